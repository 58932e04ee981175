"""What several rooms need and the field does not: whole files, progress, text, pages."""

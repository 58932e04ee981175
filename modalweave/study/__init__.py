"""What each part is worth: variants side by side, and the search on validation."""

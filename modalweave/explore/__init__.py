"""Questions to the graph of a run: queries, searches, explanations, pictures."""

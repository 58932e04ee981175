"""Named questions to the graph, and searches by similarity."""

"""The explorer: pages and a JSON API over the graph and the model of a run, for one team."""

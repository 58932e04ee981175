"""The graph, or a part of it, as networkx sees it; the paths that explain a recommendation."""

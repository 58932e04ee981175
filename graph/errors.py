"""What can go wrong with a graph store; every message names the thing, its value and the way out."""


class GraphError(Exception):
    """Anything the graph room refuses or fails at."""


class SchemaError(GraphError):
    """A label, property or type outside the schema."""


class StoreError(GraphError):
    """A store that cannot be opened, reached, read or written."""


class StoreMissing(StoreError):
    """A store that would have to be made first, opened for reading."""


class QueryRefused(GraphError):
    """A query that exploration does not allow (it writes, administers, or reads outside the graph)."""

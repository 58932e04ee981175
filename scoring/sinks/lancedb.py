"""Vectors in LanceDB, embedded: the tables `users` and `items` of a folder."""

from common.progress import Progress
from common.text import one_line
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError
from scoring.sinks import Access, needs
from scoring.sinks.tables import item_table, user_table


def write(vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
    """Replace both tables of the database at `target`; search with the metric `dot` for a user's items."""
    with needs("lancedb"):
        import lancedb
    tables = {"users": user_table(vectors), "items": item_table(vectors)}
    try:
        database = lancedb.connect(target, api_key=access.key)
        for done, (name, table) in enumerate(tables.items(), start=1):
            database.create_table(name, data=table, mode="overwrite")
            if progress:
                progress(done, len(tables))
    except (OSError, RuntimeError, ValueError) as error:
        raise ScoringError(f"lancedb:{target}: {one_line(error)}; name a folder that can be written") from error
    return sum(len(table) for table in tables.values())

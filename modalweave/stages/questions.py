"""A question in plain words to the run's graph."""

from encoders.chat import Chat
from modalweave.config import RunConfig
from modalweave.errors import ConfigError
from modalweave.explore.formats import as_object
from modalweave.explore.queries import titles
from modalweave.explore.questions import ask
from modalweave.progress import Stages, warn
from modalweave.results.enrichment import AskResult
from modalweave.stores import connect


def ask_run(
    config: RunConfig, question: str, *, store: str | None, limit: int, timeout: float, stages: Stages
) -> tuple[AskResult, dict[str, str]]:
    """The query, its rows, and the titles of items that they name."""
    if config.language_model is None:
        raise ConfigError("ask needs a model; give language_model: {address: http://127.0.0.1:8000/v1, model: X}")
    chat = Chat(config.language_model)
    with connect(store or config.store_address, config, read_only=True) as graph:
        stages.note(f"  the question and the graph's names go to {chat.sends_to}")
        found = ask(graph, chat, question, limit=limit, timeout=timeout)
        warn(graph.notes)
        named = titles(graph, found.table)
    rows = tuple(as_object(found.table)["rows"])
    refused = tuple(refused._asdict() for refused in found.refused)
    return AskResult(question=question, query=found.query, rows=rows, refused=refused, cut=found.cut), named

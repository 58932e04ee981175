"""Results of what a language model was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modalweave.results.record import OPTIONAL, JsonObject, Record

if TYPE_CHECKING:
    from etl.enrichment.enrichment import Estimate


@dataclass(frozen=True, kw_only=True)
class EnrichPlan(Record):
    """What `enrich` would send, and where; nothing was sent."""

    sends_to: str
    tasks: "tuple[Estimate, ...]"
    """What each task would still send."""
    currency: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class EnrichResult(Record):
    """What a language model wrote, all of it kept for the next build."""

    model: str
    asked: int
    """Questions, one an item and task."""
    kept: int
    """Of them, those whose reply was there already."""
    written: Mapping[str, int]
    """`caption`, `summary` and each relation -> how many."""
    left_out: int
    """Replies, or parts of them, that did not fit."""
    tokens_in: int
    tokens_out: int
    seconds: Mapping[str, float]
    page: str | None = field(default=None, metadata=OPTIONAL)
    """Items side by side with what was written of them."""


@dataclass(frozen=True, kw_only=True)
class AskResult(Record):
    """A question, the query that a language model made of it, and its rows."""

    question: str
    query: str
    rows: tuple[JsonObject, ...]
    refused: tuple[JsonObject, ...]
    """Queries that came before and were not run, each with its reason."""
    cut: bool
    """Whether there are more rows."""

"""Why an item: paths of the graph, the model's score taken apart, and the same as a small page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

from pydantic import JsonValue

from graph.views.paths import PathNode
from modalweave.results.record import OPTIONAL, JsonObject, Record
from modalweave.results.words import Audience, Language, Wording, paragraph


@dataclass(frozen=True)
class ExplainedPath(Record):
    """One path from the user over an item of their history to the item."""

    kind: str
    nodes: tuple[PathNode, ...]
    score: float
    sentence: str
    cypher: str
    parameters: JsonObject
    show: str
    modality: str | None
    share: float | None
    """What the item of the history gives to the model's score, by all ways together; None without a model."""
    relations: tuple[str, str] | None = field(default=None, metadata=OPTIONAL)
    """Of a shared entity: how the item of the history and how the recommended item are related to it."""


@dataclass(frozen=True)
class HistoryShare(Record):
    """What one item of the history gives to the score."""

    item: str
    title: str
    contribution: float
    share: float | None
    by: Mapping[str, float]


@dataclass(frozen=True)
class ScoreParts(Record):
    """A score taken apart: `history`, `others` and `rest` add up to it."""

    bundle: str
    model: str | None
    score: float
    exact: bool
    history: tuple[HistoryShare, ...]
    others: float
    rest: Mapping[str, float]
    evidence: Mapping[str, float] | None = field(default=None, metadata=OPTIONAL)
    """Of a second stage: what each kind of evidence gives, exactly; with `rest["start"]` they add up to the score."""


@dataclass(frozen=True)
class ShownQuery(Record):
    """The Cypher that shows the paths of one kind."""

    kind: str
    modality: str | None
    query: str
    parameters: JsonObject
    browser: str
    """As Neo4j Browser takes it."""


@dataclass(frozen=True)
class Drawing(Record):
    """A picture of a graph."""

    plot: str
    nodes: int
    edges: int
    left_out: int


@dataclass(frozen=True, repr=False)
class Explanation(Record):
    """Why an item was recommended to a user; a notebook shows it as a table.

    `explanation.sentences` are the reasons in plain words, the best of every kind first.
    """

    user: str
    item: str
    paths: tuple[ExplainedPath, ...]
    model: ScoreParts | None
    note: str | None
    """Why `model` is None, where it is."""
    cypher: tuple[ShownQuery, ...]
    seconds: Mapping[str, float]
    drawing: Drawing | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """The paths in plain words."""
        return tuple(path.sentence for path in self.paths)

    def in_words(
        self,
        language: Language = "en",
        audience: Audience = "customer",
        *,
        most: int = 3,
        wording: Wording = MappingProxyType({}),
    ) -> str:
        """The best reasons as a short paragraph, for a `customer` (no other person's id) or an `analyst`.

            run.explain("u7", "42").in_words("zh")

        Without a model and without a word from the catalogue but titles and names. Empty where no path leads there.
        `wording` are a customer's sentences in another tone (`modalweave.explore.rewording`).
        """
        return paragraph(self.paths, language, audience, most, wording)

    def to_json(self) -> dict[str, JsonValue]:
        """As `modalweave explain --json` prints it: a drawing's facts stand beside the others."""
        found = super().to_json()
        del found["drawing"]
        return found | (self.drawing.to_json() if self.drawing else {})

    def __repr__(self) -> str:
        reasons = [f"  {sentence}" for sentence in self.sentences] or ["  no path of the graph leads there"]
        return "\n".join([f"Why {self.item} for {self.user}", *reasons])

    def _repr_html_(self) -> str:
        """For notebooks: everything from the catalogue is escaped."""
        left = "style='text-align:left'"
        rows = "".join(
            f"<tr><td {left}>{escape(path.sentence)}</td><td>{path.score:.3f}</td>"
            f"<td>{'' if path.share is None else f'{path.share:.1%}'}</td></tr>"
            for path in self.paths
        )
        head = f"<tr><th {left}>because</th><th>strength</th><th>share of the score</th></tr>"
        title = f"Why {escape(self.item)} for {escape(self.user)}"
        if not self.paths:
            return f"<p><b>{title}</b>: no path of the graph leads there.</p>"
        return f"<table><caption {left}><b>{title}</b></caption>{head}{rows}</table>"

"""Results of the batch job, of an export and of whole runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graph.views.paths import GraphPath
from modalweave.results.build import BuildResult
from modalweave.results.metrics import EvaluateResult, RefitResult
from modalweave.results.record import OPTIONAL, JsonObject, Record


@dataclass(frozen=True)
class ScorePart(Record):
    """One file of a batch job."""

    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True, repr=False)
class ScoreResult(Record):
    """What a batch job wrote."""

    bundle: str
    """Hash of the model."""
    options: JsonObject
    users: int
    rows: int
    parts: Mapping[str, ScorePart]
    out: str
    """Folder of the parts; it opens as one table."""
    seconds: Mapping[str, float]
    unknown: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    """Users that were named and that the model does not know: they got what is popular."""
    written_back: int | None = field(default=None, metadata=OPTIONAL)
    store: str | None = field(default=None, metadata=OPTIONAL)

    def __repr__(self) -> str:
        return f"ScoreResult({self.rows:,} rows of {self.users:,} users in {self.out})"


@dataclass(frozen=True)
class Retracted(Record):
    """Links of a model that were deleted."""

    store: str
    model: str
    removed: int


@dataclass(frozen=True)
class ExportResult(Record):
    """A bundle for serving elsewhere, and how far it agrees with the original."""

    bundle: str
    source: str
    precision: str
    bytes: int
    agreement: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class VectorsResult(Record):
    """A model's vectors in another store, and how far their inner products rank as it does."""

    source: str
    """Hash of the model."""
    to: str
    dimensions: int
    users: int
    items: int
    written: int
    """Vectors that were written now; those of users and items that a graph lacks, or has already, are not."""
    agreement: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class RunResult(Record):
    """Build, train, evaluate, refit and score in one go."""

    build: BuildResult
    evaluate: EvaluateResult | None
    """None where no interactions are held out for the test."""
    refit: RefitResult
    score: ScoreResult
    workspace: str

    def __repr__(self) -> str:
        parts = (self.build, self.evaluate, self.refit, self.score)
        return "\n".join([f"RunResult({self.workspace})", *(repr(part) for part in parts if part is not None)])


@dataclass(frozen=True)
class Recommended(Record):
    """One recommendation of the demo's user."""

    item: str
    title: str
    score: float


@dataclass(frozen=True, kw_only=True, repr=False)
class DemoResult(Record):
    """A whole run on the sample catalogue, and one of its users."""

    synthetic: bool
    build: BuildResult
    evaluate: EvaluateResult
    score: ScoreResult
    user: str
    history: tuple[str, ...]
    recommended: tuple[Recommended, ...]
    paths: tuple[GraphPath, ...]
    workspace: str
    next: tuple[str, ...]

    def __repr__(self) -> str:
        return f"DemoResult({self.workspace})\n{self.evaluate!r}"

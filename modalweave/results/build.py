"""Results of a build, of the cache and of what a run would take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from etl.coverage_warnings import told
from modalweave.results.record import OPTIONAL, JsonObject, Record, key


@dataclass(frozen=True)
class BulkImport(Record):
    """A load through Neo4j's bulk import, and what is left to do."""

    folder: str
    done: bool
    next: str


@dataclass(frozen=True, kw_only=True)
class LoadResult(Record):
    """What a load changed in the store."""

    nodes: Mapping[str, int]
    """Label -> nodes of the store."""
    relationships: Mapping[str, int]
    """Type -> relationships of the store."""
    written: int
    """Nodes and relationships that were created or changed: 0 on a second build of the same input."""
    replaced: int | None = field(default=None, metadata=OPTIONAL)
    """Of an earlier delivery, that went because this one gives their items others."""
    removed: int | None = field(default=None, metadata=OPTIONAL)
    """What `--prune` took away."""
    stale: Mapping[str, int] | None = field(default=None, metadata=OPTIONAL)
    """Kind -> what the store holds and the source lacks."""
    bulk: BulkImport | None = field(default=None, metadata=key("import"))


@dataclass(frozen=True, kw_only=True)
class Refused(Record):
    """What was left out of one file for one reason."""

    file: str
    """`media` for media that could not be used."""
    reason: str
    """The first one's, where they differ in values."""
    count: int
    rows: tuple[int, ...]
    """The first lines of the file, as an editor shows them."""
    uris: tuple[str, ...]
    """The first media."""

    def __str__(self) -> str:
        return told(vars(self))


@dataclass(frozen=True, kw_only=True, repr=False)
class BuildResult(LoadResult):
    """The graph in numbers, what was left out and how much of the catalogue has which media."""

    quarantined: int
    coverage: Mapping[str, float]
    """Modality -> share of items that have it."""
    seconds: Mapping[str, float]
    refused: tuple[Refused, ...]
    """Rows and media that were left out, by file and reason, most frequent first."""
    warnings: tuple[str, ...]
    details: JsonObject
    """The whole coverage report."""

    def __repr__(self) -> str:
        kinds = ", ".join(f"{label} {number:,}" for label, number in self.nodes.items() if number)
        changed = f"{self.written:,} written, {self.quarantined:,} quarantined"
        return f"BuildResult({kinds}; {sum(self.relationships.values()):,} relationships; {changed})"


@dataclass(frozen=True)
class CacheReport(Record):
    """The embedding cache of a run."""

    folder: str
    bytes: int
    removed_bytes: int
    encoders: tuple[JsonObject, ...]


@dataclass(frozen=True)
class PlanPart(Record):
    """What one part of a training takes."""

    name: str
    memory_mb: int
    seconds: float
    setting: str
    """The key that makes it smaller."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(Record):
    """Memory and time that training takes, before it starts."""

    source: str | None = field(default=None, metadata=key("from"))
    sizes: Mapping[str, int]
    parts: tuple[PlanPart, ...]
    memory_mb: int
    available_mb: int | None
    seconds: float
    fits: bool
    verdict: str

    def __repr__(self) -> str:
        return f"Plan({self.verdict} About {self.seconds:,.0f} s.)"


@dataclass(frozen=True)
class Check(Record):
    """One thing a run needs, and what to do where it is missing."""

    name: str
    state: Literal["ok", "missing", "failed"]
    found: str
    fix: str = ""


@dataclass(frozen=True, repr=False)
class DoctorReport(Record):
    """Every check; `ok` is false where something a run needs is missing."""

    ok: bool
    checks: tuple[Check, ...] = field(default=())

    def __repr__(self) -> str:
        gaps = [f"{check.name}: {check.fix or check.found}" for check in self.checks if check.state == "failed"]
        return f"DoctorReport({'; '.join(gaps) or f'{len(self.checks)} checks, nothing missing'})"

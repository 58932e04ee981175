"""Memory and time of a fit, from the graph's sizes alone: a run that cannot fit is told before it starts.

Everything here is an estimate in bytes and in steps of arithmetic. Each recommender knows its own (`footprint`); this
module holds what they are made from, without any framework.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

FLOAT = 4
_VALIDATION = 3 * (16 << 20)
"""Blocks of scores while a model is validated, at most."""
_CACHE = 200 << 20
"""Scores of one part while an ensemble's weights are searched."""


@dataclass(frozen=True)
class Medium:
    """One modality: its nodes, the length of their vectors (0 = none) and the links between them."""

    nodes: int
    width: int = 0
    links: int = 0


@dataclass(frozen=True)
class Sizes:
    """What the estimate looks at."""

    users: int
    items: int
    pairs: int
    """Training interactions."""
    held_out: int = 0
    entities: int = 0
    related: int = 0
    follows: int = 0
    media: Mapping[str, Medium] = field(default_factory=dict)


@dataclass(frozen=True)
class Footprint:
    """What one stage takes; `flops` are dense multiply-adds x 2, `edges` sparse ones at 64 dimensions."""

    name: str
    work: int
    """Bytes while it runs."""
    kept: int
    """Bytes that stay until the end."""
    flops: float = 0.0
    edges: float = 0.0
    moved: float = 0.0
    """Bytes read or written by element-wise steps."""
    lower: str = ""
    """The setting that makes it smaller."""
    parts: tuple["Footprint", ...] = ()
    """The fits that a composite one goes through before its own work."""

    def stages(self) -> list["Footprint"]:
        """All fits in their order, each alone."""
        return [*(stage for part in self.parts for stage in part.stages()), replace(self, parts=())]


def graph_footprint(sizes: Sizes) -> Footprint:
    """The graph as tensors: 28 bytes a training pair, 20 a link, 16 a held-out pair, 80 an id, 4 a vector's number.

    While it is read, ids travel as text beside them: about 120 bytes for each relationship of the largest kind.
    """
    links = sizes.related + sizes.follows + sum(m.links + m.nodes for m in sizes.media.values())
    nodes = sizes.users + sizes.items + sizes.entities + sum(m.nodes for m in sizes.media.values())
    vectors = sum(m.nodes * m.width for m in sizes.media.values()) * FLOAT
    kept = 28 * sizes.pairs + 20 * links + 16 * sizes.held_out + 80 * nodes + vectors
    largest = max(sizes.pairs + sizes.held_out, sizes.related, *(m.links for m in sizes.media.values()), 0)
    return Footprint("graph", 120 * largest + vectors, kept, lower="source (a smaller catalogue)")


def validation_bytes(sizes: Sizes) -> int:
    """A few held-out pairs need no whole block of scores; all pairs where the split is not known yet."""
    return min(_VALIDATION, 3 * FLOAT * (sizes.held_out or sizes.pairs) * sizes.items)


def weighed(sizes: Sizes, parts: Sequence[Footprint]) -> Footprint:
    """Several fits, then the validation scores of all of them and their sum."""
    scores = min(_CACHE, FLOAT * sizes.users * sizes.items) * (len(parts) + 1)
    return Footprint("weights", scores, 0, lower="gnn.model", parts=tuple(parts))

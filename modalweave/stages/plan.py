"""Before a run: how much memory and time it takes, whether it fits, and which setting to change where it does not."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from common import memory
from etl.sources import read_source
from gnn.config import GNNConfig
from gnn.footprint import Footprint, Sizes, graph_footprint
from gnn.registry import footprints
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.results.build import Plan, PlanPart
from modalweave.stages.plan_sizes import graph_sizes, source_sizes, store_sizes
from modalweave.stores import connect, is_built

_RUNTIME = 800 << 20
"""Python with torch, PyG and the stores loaded."""
_HEADROOM = 0.9
"""Share of the free memory that a plan may take: the estimate is good to about a third."""


def plan(config: RunConfig) -> Plan:
    """Estimate `train` from the built graph's counts, or from the source where nothing is built yet."""
    built = is_built(config)
    if built:
        with connect(config.store_address, config, read_only=True) as store:
            sizes = store_sizes(store)
    else:
        sizes = source_sizes(read_source(config.source), config.neighbours.k)
    source = config.store_address if built else f"source {config.source.path}"
    return replace(estimate(sizes, config.gnn), source=source)


def refuse_what_cannot_fit(config: RunConfig, data: HeteroData) -> None:
    """Raises `RunError` where training on a graph that is already read cannot fit into what is free now."""
    parts, free = footprints(config.gnn, graph_sizes(data)), memory.available()
    needed, largest = _peak(parts)
    if free is not None and needed > free:
        raise RunError(_too_large(needed, free, largest))


def estimate(sizes: Sizes, gnn: GNNConfig) -> Plan:
    """Memory and seconds, part by part.

    peak = runtime + graph + max over parts (what the parts before keep + what this one works with);
    seconds = flops / this machine's dense rate + edges / its sparse rate + bytes moved / its memory rate.
    """
    graph, parts = graph_footprint(sizes), footprints(gnn, sizes)
    rates = _rates()
    needed, largest = _peak(parts)
    needed = max(_RUNTIME + graph.kept + needed, _RUNTIME + graph.kept + graph.work)
    free = memory.available()
    fits = free is None or needed <= _HEADROOM * free
    verdict = f"Needs about {needed / 2**30:.1f} GiB"
    verdict += f" of {free / 2**30:.1f} GiB free: it fits." if fits and free is not None else "."
    if not fits and free is not None:
        verdict = _too_large(needed, free, largest)
    rows = tuple(
        PlanPart(part.name, round((part.work or part.kept) / 2**20), round(_seconds(part, rates), 1), part.lower)
        for part in (graph, *parts)
    )
    return Plan(
        sizes={"users": sizes.users, "items": sizes.items, "pairs": sizes.pairs},
        parts=rows,
        memory_mb=round(needed / 2**20),
        available_mb=None if free is None else round(free / 2**20),
        seconds=round(sum(_seconds(part, rates) for part in (graph, *parts)), 1),
        fits=fits,
        verdict=verdict,
    )


def _peak(parts: list[Footprint]) -> tuple[int, Footprint]:
    """The most that is held at once beside the graph, and the part that holds it."""
    kept, highest = 0, (0, parts[0])
    for part in parts:
        highest = max(highest, (kept + part.work, part), key=lambda found: found[0])
        kept += part.kept
    return highest


def _too_large(needed: int, free: int, part: Footprint) -> str:
    way = f", lower {part.lower}" if part.lower else "; free memory or take a larger machine"
    return (
        f"training needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free: it cannot fit; "
        f"{part.name} takes most{way}"
    )


def _seconds(part: Footprint, rates: tuple[float, float, float]) -> float:
    return part.flops / rates[0] + part.edges / rates[1] + part.moved / rates[2]


def _rates() -> tuple[float, float, float]:
    """Flops, edges at 64 dimensions and bytes per second, measured here and now in a third of a second."""
    rng = np.random.default_rng(0)
    left, right = torch.rand(512, 64), torch.rand(64, 8192)
    dense = 2 * 512 * 64 * 8192 / _fastest(lambda: left @ right)
    edges = 200_000
    ends = rng.integers(0, 20_000, (2, edges))
    matrix = sp.csr_matrix((np.ones(edges, np.float32), (ends[0], ends[1])), shape=(20_000, 20_000))
    vectors = rng.random((20_000, 64), dtype=np.float32)
    sparse = edges / _fastest(lambda: matrix @ vectors)
    block = torch.rand(4_000_000)
    moved = 2 * block.nbytes / _fastest(lambda: block * 2)
    return dense, sparse, moved


def _fastest(step: Callable[[], object]) -> float:
    found = []
    for _ in range(4):
        began = time.perf_counter()
        step()
        found.append(time.perf_counter() - began)
    return max(min(found), 1e-6)

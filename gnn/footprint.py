"""Memory and time of a fit, from the graph's sizes alone: a run that cannot fit is told before it starts.

Everything here is an estimate in bytes and in steps of arithmetic. Symbols: U users, I items, E entities, N their sum,
P training pairs, L item-to-item links of all modalities, d `embedding_dim`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnn.closed_form.ease import EASEConfig
from gnn.config import GNNConfig, PartConfig
from gnn.network.config import NetworkConfig
from gnn.network.cross_entropy import BLOCK_ROWS

FLOAT = 4
_EPOCHS = 40
"""Epochs a network is taken to need: early stopping ends most runs between 20 and 60."""
_VALIDATION = 3 * (64 << 20)
"""Blocks of scores while a model is validated, at most."""
_CACHE = 200 << 20
"""Scores of one part while an ensemble's weights are searched."""
_MAX_FEATURES = 256


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


def network_footprint(sizes: Sizes, config: NetworkConfig) -> Footprint:
    """A heterogeneous network.

    work = 20 N d (parameters, gradients, two Adam moments, the best so far) + 4 N d (2 layers + 3 channels + 6)
    (states of one pass, forward and back) + 76 P + 64 L (operators both ways, and in tiles) + 8 I width (features, and
    while they are whitened) + the loss: 8 users_a_step I for the full softmax, 12 (2,048 negatives + pairs d) for the
    others. Time: an epoch has U / users_a_step steps (P / pairs_a_step for BPR), each over every edge but those of the
    last layer towards users, which all steps share; with sampled batches P / pairs_a_step, each over `fan_out` edges of
    a node met, at most 1 + `fan_out` nodes a pair.
    """
    media = {m: sizes.media[m] for m in config.modalities if m in sizes.media}
    similar = "SIMILAR" in config.relations
    links = sum(2 * m.links for m in media.values()) if similar else 0
    related = sizes.related if "RELATED" in config.relations else 0
    nodes = sizes.users + sizes.items + (sizes.entities if related else 0)
    state = FLOAT * nodes * config.embedding_dim
    channels = len(media) if config.fusion == "joint" else min(len(media), 1)
    width = sum(min(m.width, _MAX_FEATURES) for m in media.values()) if config.content else 0
    whitening = max((8 * m.nodes * m.width * 2 for m in media.values()), default=0) if config.content else 0
    sampled = config.batching == "sampled" or (
        config.batching == "auto" and sizes.pairs + links + related + sizes.follows > config.sampled_above
    )
    full = config.loss == "softmax" and not sampled and sizes.items <= config.full_softmax_items
    batch = config.pairs_a_step(sizes.pairs, sampled=sampled)
    steps_an_epoch = max(1.0, sizes.pairs / batch)
    if config.loss != "bpr" and not sampled:
        steps_an_epoch = max(1.0, sizes.users / config.users_a_step(sizes.users))
        batch = round(sizes.pairs / steps_an_epoch)
    users = sizes.users / steps_an_epoch
    drawn = BLOCK_ROWS * config.negatives * (config.loss != "bpr")
    loss = round(8 * users * sizes.items) if full else 12 * (drawn + batch * config.embedding_dim)
    share_met = min(1.0, batch * (1 + config.fan_out) / nodes) if sampled else 1.0
    met = min(sizes.pairs, round(config.fan_out * nodes * share_met)) if sampled else sizes.pairs
    passed = round(state * (2 * config.layers + 3 * channels + 6) * share_met)
    work = 5 * state + passed + 76 * sizes.pairs + 64 * links + 40 * related
    work += (50 * sizes.pairs + 60 * met + round(64 * links * share_met) + 2 * state) * sampled
    work += 2 * FLOAT * sizes.items * width + max(loss + _validation(sizes), whitening)
    epochs = min(config.epochs, _EPOCHS)
    steps = epochs * steps_an_epoch
    share = config.embedding_dim / 64
    once = (2 + 2 * channels) * met / (1 if sampled else steps_an_epoch)  # for the batch's users alone
    per_step = max(4 * config.layers - 2, 0) * met + 4 * config.layers * related * share_met + once
    return Footprint(
        "network",
        work,
        FLOAT * (sizes.users + sizes.items) * config.embedding_dim,
        flops=epochs * 6.0 * sizes.users * sizes.items * config.embedding_dim * full
        + steps * 6.0 * users * config.negatives * config.embedding_dim * (config.loss != "bpr" and not full)
        + steps * 6.0 * share_met * sizes.items * width * config.embedding_dim,
        edges=steps * share * (per_step + 2 * config.similar_hops * links * share_met),
        moved=steps * state * (12 + 4 * config.layers + 6 * channels),
        lower="gnn.embedding_dim" if state * 5 > loss else "gnn.batch_users" if full else "gnn.negatives",
    )


def ease_footprint(sizes: Sizes, config: EASEConfig) -> Footprint:
    """Up to `dense_limit` items 20 I^2 (Gram matrix, its factor, inverse, two candidates; with media one more Gram
    matrix and 16 bytes an entry of R^T R), 2 I^3 flops a candidate; above it 16 (U + I) rank, and as many cuts as
    media weights are tried. A search tries about 3 penalties and 3 weights a modality.
    """
    used = (
        sizes.media
        if config.media_weights is None
        else {m: sizes.media[m] for m in config.media_weights if m in sizes.media}
    )
    linked = [m for m in used.values() if m.links]
    weights = 3 * len(linked) if config.media_weights is None else 0
    if sizes.items <= config.dense_limit:
        square = sizes.items**2
        near = sum(min(square, 4 * m.links**2 / max(sizes.items, 1)) for m in linked)
        tried = (3 if config.regularisation is None else 1) + weights
        return Footprint(
            "ease",
            round((24 if linked else 20) * square + 16 * near) + _validation(sizes),
            FLOAT * square,
            flops=2.0 * tried * sizes.items**3,
            lower="gnn.ease.dense_limit",
        )
    slim = (sizes.users + sizes.items * (1 + len(linked))) * config.rank
    entries = sizes.pairs + sum(2 * m.links for m in linked)
    return Footprint(
        "ease",
        16 * slim + _validation(sizes),
        FLOAT * (sizes.users + sizes.items) * config.rank,
        flops=40.0 * (1 + weights) * slim * config.rank,
        edges=10.0 * (1 + weights) * entries * config.rank / 64,
        lower="gnn.ease.rank",
    )


def filter_footprint(sizes: Sizes, dense_limit: int, row_entries: int, search_users: int) -> Footprint:
    """Up to `dense_limit` items 20 I^2 (co-occurrence, filter, its smoothed forms, one more to blend) and the scores of
    the searched users; above it 40 I row_entries. Co-occurrence has at most P^2 / U entries for equal histories."""
    blocks = 8 * FLOAT * min(search_users, sizes.users) * sizes.items
    together = min(float(sizes.items) ** 2, 2.0 * sizes.pairs**2 / max(sizes.users, 1))
    links = sum(m.links for m in sizes.media.values())
    if sizes.items <= dense_limit:
        square = sizes.items**2
        return Footprint(
            "graph_filter", 20 * square + blocks, FLOAT * square, edges=30 * together / 8 + links * sizes.items / 8,
            moved=30.0 * blocks, lower="gnn.graph_filter.dense_limit",
        )  # fmt: skip
    rows = sizes.items * row_entries
    return Footprint(
        "graph_filter", 40 * rows + blocks // 8, 8 * rows, edges=3 * together, moved=30.0 * blocks / 8,
        lower="gnn.graph_filter.row_entries",
    )  # fmt: skip


def part_footprint(sizes: Sizes, part: PartConfig) -> Footprint:
    """Any single recommender."""
    if part.model == "hetero":
        return network_footprint(sizes, part.network)
    if part.model == "ease":
        return ease_footprint(sizes, part.ease)
    if part.model == "graph_filter":
        settings = part.graph_filter
        return filter_footprint(sizes, settings.dense_limit, settings.row_entries, settings.search_users)
    if part.model == "item_knn":
        entries = sizes.items * part.item_knn.k
        return Footprint(
            "item_knn", 16 * entries + _validation(sizes), 8 * entries, edges=sizes.pairs, lower="gnn.item_knn.k"
        )
    return Footprint(part.model, _validation(sizes), FLOAT * (sizes.users + sizes.items))


def _validation(sizes: Sizes) -> int:
    """A few held-out pairs need no whole block of scores; all pairs where the split is not known yet."""
    return min(_VALIDATION, 3 * FLOAT * (sizes.held_out or sizes.pairs) * sizes.items)


def footprints(sizes: Sizes, config: GNNConfig, networks: int, copies: int) -> list[Footprint]:
    """The parts of a fit in order. Under `auto` `networks` are compared and the best is fitted `copies` times."""
    if config.fusion == "decision" and config.model in ("auto", "hetero"):
        used = [(), *((m,) for m in config.modalities if m in sizes.media)]
        single = [config.network().model_copy(update={"modalities": m, "fusion": "joint"}) for m in used]
        return [*(network_footprint(sizes, network) for network in single), _weighing(sizes, len(single))]
    if config.model == "auto":
        names = (*config.auto.closed_forms, *["hetero"] * (networks + copies - 1))
    elif config.model == "ensemble":
        return [
            *(part_footprint(sizes, part) for part in config.ensemble.parts),
            _weighing(sizes, len(config.ensemble.parts)),
        ]
    else:
        names = (config.model,)
    parts = [
        part_footprint(
            sizes,
            PartConfig.model_validate(
                {
                    "model": name,
                    "network": config.network(),
                    "graph_filter": config.graph_filter,
                    "ease": config.ease,
                    "item_knn": config.item_knn,
                }
            ),
        )
        for name in names
    ]
    return [*parts, _weighing(sizes, len(parts))] if config.model == "auto" else parts


def _weighing(sizes: Sizes, parts: int) -> Footprint:
    """The validation scores of every part and their sum."""
    return Footprint("weights", min(_CACHE, FLOAT * sizes.users * sizes.items) * (parts + 1), 0, lower="gnn.model")

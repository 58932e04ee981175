"""Memory and time of a network's training, from the graph's sizes alone.

Symbols: U users, I items, E entities, N their sum, P training pairs, L item-to-item links of all modalities (both
ways), d `embedding_dim`.
"""

from dataclasses import dataclass

from gnn.footprint import FLOAT, Footprint, Medium, Sizes, validation_bytes
from gnn.network.config import BLOCK_ROWS, MAX_FEATURES, NetworkConfig

_EPOCHS = 40
"""Epochs a network is taken to need: early stopping ends most runs between 20 and 60."""


def network_footprint(sizes: Sizes, config: NetworkConfig) -> Footprint:
    """A heterogeneous network.

    work = 20 N d (parameters, gradients, two Adam moments, the best so far) + 4 N d (2 layers + 3 channels + 6)
    (states of one pass, forward and back) + 76 P + 64 L (operators both ways, and in tiles) + 8 I width (features, and
    while they are whitened) + the loss: 8 users_a_step I for the full softmax, 12 (2,048 negatives + pairs d) for the
    others. Time: an epoch has U / users_a_step steps (P / pairs_a_step for BPR), each over every edge but those of the
    last layer towards users, which all steps share; with sampled batches P / pairs_a_step, each over `fan_out` edges of
    a node met, at most 1 + `fan_out` nodes a pair.
    """
    used = _used(sizes, config)
    step = _step(sizes, config, used)
    return Footprint(
        "network",
        _work(sizes, config, used, step),
        FLOAT * (sizes.users + sizes.items) * config.embedding_dim,
        flops=_flops(sizes, config, used, step),
        edges=_edges(config, used, step),
        moved=_steps(config, step) * used.state * (12 + 4 * config.layers + 6 * used.channels),
        lower=_lower(used, step),
    )


@dataclass(frozen=True)
class _Used:
    """What of the graph the settings look at."""

    media: dict[str, Medium]
    links: int
    related: int
    nodes: int
    channels: int
    width: int
    """Features of an item, over all modalities."""
    state: int
    """Bytes of one vector for each node."""


@dataclass(frozen=True)
class _Step:
    """One training step."""

    sampled: bool
    full_softmax: bool
    an_epoch: float
    """Steps of an epoch."""
    users: float
    loss: int
    """Bytes the loss holds."""
    share: float
    """Of the nodes, met in the step: 1 over the whole graph."""
    met: int
    """Interactions passed over."""


def _used(sizes: Sizes, config: NetworkConfig) -> _Used:
    media: dict[str, Medium] = {m: sizes.media[m] for m in config.modalities if m in sizes.media}
    links = sum(2 * m.links for m in media.values()) if "SIMILAR" in config.relations else 0
    related = sizes.related if "RELATED" in config.relations else 0
    nodes = sizes.users + sizes.items + (sizes.entities if related else 0)
    channels = len(media) if config.fusion == "joint" else min(len(media), 1)
    width = sum(min(m.width, MAX_FEATURES) for m in media.values()) if config.content else 0
    return _Used(media, links, related, nodes, channels, width, FLOAT * nodes * config.embedding_dim)


def _step(sizes: Sizes, config: NetworkConfig, used: _Used) -> _Step:
    sampled = config.samples(sizes.pairs + used.links + used.related + sizes.follows)
    full = config.loss == "softmax" and not sampled and sizes.items <= config.full_softmax_items
    batch = config.pairs_a_step(sizes.pairs, sampled=sampled)
    an_epoch = max(1.0, sizes.pairs / batch)
    if _softmax(config) and not sampled:  # batches of users, with all their pairs
        an_epoch = max(1.0, sizes.users / config.users_a_step(sizes.users))
        batch = round(sizes.pairs / an_epoch)
    users = sizes.users / an_epoch
    share, met = 1.0, sizes.pairs
    if sampled:
        share = min(1.0, batch * (1 + config.fan_out) / used.nodes)
        met = min(sizes.pairs, round(config.fan_out * used.nodes * share))
    if full:
        loss = round(8 * users * sizes.items)
    else:
        scores = BLOCK_ROWS * config.negatives if _softmax(config) else 0
        loss = 12 * (scores + batch * config.embedding_dim)
    return _Step(sampled, full, an_epoch, users, loss, share, met)


def _softmax(config: NetworkConfig) -> bool:
    """Whether a loss takes batches of users and scores of many items; one from outside is taken to."""
    return config.loss != "bpr"


def _work(sizes: Sizes, config: NetworkConfig, used: _Used, step: _Step) -> int:
    """Bytes."""
    passed = round(used.state * (2 * config.layers + 3 * used.channels + 6) * step.share)
    work = 5 * used.state + passed + 76 * sizes.pairs + 64 * used.links + 40 * used.related
    if step.sampled:
        work += 50 * sizes.pairs + 60 * step.met + round(64 * used.links * step.share) + 2 * used.state
    whitening = max((8 * m.nodes * m.width * 2 for m in used.media.values()), default=0) if config.content else 0
    features = 2 * FLOAT * sizes.items * used.width
    return work + features + max(step.loss + validation_bytes(sizes), whitening)


def _epochs(config: NetworkConfig) -> int:
    return min(config.epochs, _EPOCHS)


def _steps(config: NetworkConfig, step: _Step) -> float:
    return _epochs(config) * step.an_epoch


def _flops(sizes: Sizes, config: NetworkConfig, used: _Used, step: _Step) -> float:
    """Of the scores and of the projected features, forward and back."""
    steps, dim = _steps(config, step), config.embedding_dim
    scores = 0.0
    if step.full_softmax:
        scores = _epochs(config) * 6.0 * sizes.users * sizes.items * dim
    elif _softmax(config):
        scores = steps * 6.0 * step.users * config.negatives * dim
    return scores + steps * 6.0 * step.share * sizes.items * used.width * dim


def _edges(config: NetworkConfig, used: _Used, step: _Step) -> float:
    """Passed over, forward and back, as at 64 dimensions."""
    share = config.embedding_dim / 64
    of_batch = (2 + 2 * used.channels) * step.met / (1 if step.sampled else step.an_epoch)  # its users alone
    layers = max(4 * config.layers - 2, 0) * step.met + 4 * config.layers * used.related * step.share
    links = 2 * config.similar_hops * used.links * step.share
    return _steps(config, step) * share * (layers + of_batch + links)


def _lower(used: _Used, step: _Step) -> str:
    """The setting that takes most."""
    if used.state * 5 > step.loss:
        return "gnn.embedding_dim"
    return "gnn.batch_users" if step.full_softmax else "gnn.negatives"

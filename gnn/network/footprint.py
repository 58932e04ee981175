"""Memory and time of a network's training, from the graph's sizes alone.

Symbols: U users, I items, E entities, N their sum, P training pairs, L item-to-item links of all modalities,
d `embedding_dim`.
"""

from gnn.footprint import FLOAT, Footprint, Sizes, validation_bytes
from gnn.network.config import BLOCK_ROWS, NetworkConfig

_EPOCHS = 40
"""Epochs a network is taken to need: early stopping ends most runs between 20 and 60."""
_MAX_FEATURES = 256


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
    work += 2 * FLOAT * sizes.items * width + max(loss + validation_bytes(sizes), whitening)
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

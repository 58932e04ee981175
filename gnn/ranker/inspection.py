"""What a second stage rests on, user by user."""

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from gnn.ranker.scorer import START, RankedScorer


def evidence_shares(
    scorer: RankedScorer, users: Int[Tensor, "users"], *, depth: int = 20
) -> dict[str, Float[np.ndarray, "users"]]:
    """Group of evidence -> its share of what orders each user's first `depth` items; the shares add up to 1.

    The mean size of the group's exact shares in the scores of these items: how much each modality, relation or friend
    counts for this very user. 0 throughout for a user without a history.
    """
    groups = dict.fromkeys(feature.group for feature in scorer.retrieval.features.described)
    found = {group: np.zeros(len(users)) for group in groups}
    row = 0
    for block in scorer.retrieval.candidates(users):
        ranked = scorer.rank(block).numpy() + scorer.blend * block.features[:, :, 0]
        order = np.argsort(-np.where(block.items >= 0, ranked, -np.inf), axis=1, kind="stable")[:, :depth]
        for user, places in enumerate(order):
            listed = places[block.items[user, places] >= 0]
            if len(listed):
                shares = scorer.shares(block, user, listed)
                sizes = {group: np.abs(shares[group]).mean() for group in shares if group != START}
                total = max(sum(sizes.values()), 1e-12)
                for group, size in sizes.items():
                    found[group][row + user] = size / total
        row += len(block.users)
    return found

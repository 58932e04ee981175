"""Which items a scorer takes for alike: the item's row of what ranks the catalogue for its users."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gnn.errors import GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, normalised


def likeness(scorer: Scorer, item: int) -> Float[Tensor, "items"]:
    """How alike each item of the catalogue is to `item`, its own value among them; higher is more alike.

    - `dot`: the cosine of the items' vectors.
    - `item_item`: `weights[item]`, what a user who chose the item alone is given.
    - `sum`: the parts' own, made comparable and weighted as the scores are.

    Raises `GnnError` for a scorer that tells no items apart, as popularity.
    """
    found = _of(scorer, item)
    if found is None or not bool(found.any()):
        raise GnnError(
            f"a {scorer.kind!r} scorer without anything of its items knows none that are alike; train another"
        )
    return found


def _of(scorer: Scorer, item: int) -> Float[Tensor, "items"] | None:
    if isinstance(scorer, DotScorer):
        vectors = scorer.item_vectors.float()
        if vectors.shape[1] == 1:  # popularity: one number an item
            return None
        return functional.cosine_similarity(vectors, vectors[item : item + 1])
    if isinstance(scorer, ItemItemScorer):
        if isinstance(scorer.weights, Tensor):
            return scorer.weights[item].float()
        return torch.from_numpy(scorer.weights[item].toarray().ravel()).float()
    if isinstance(scorer, SumScorer):
        total = None
        for part, weight in zip(scorer.parts, scorer.weights, strict=True):
            found = _of(part, item) if weight else None
            if found is not None:
                row = weight * normalised(found[None], scorer.normalise)[0]
                total = row if total is None else total + row
        return total
    return None

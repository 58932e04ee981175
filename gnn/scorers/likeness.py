"""Which items a scorer takes for alike: the item's row of what ranks the catalogue for its users."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from gnn.errors import GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.extended import ExtendedScorer, MixedScorer


def likeness(scorer: Scorer) -> Scorer:
    """A scorer whose users are the items: how alike each item of the catalogue is to them, themselves among them.

    - `dot`: the cosine of the items' vectors.
    - `item_item`: `weights[item]`, what a user who chose the item alone is given.
    - `sum`: the parts' own, made comparable and weighted as the scores are.
    - a catalogue that has grown: an item added is alike as the items are that it resembles.

    Raises `GnnError` for a scorer that tells no items apart, as popularity.
    """
    found = _of(scorer)
    if found is None:
        raise GnnError(
            f"a {scorer.kind!r} scorer without anything of its items knows none that are alike; train another"
        )
    return found


def has_alike(alike: Scorer) -> Bool[np.ndarray, "items"]:
    """Of which items a scorer of `likeness` knows anything: what nobody has and no media describe is like all else."""
    if isinstance(alike, DotScorer):
        return alike.item_vectors.any(dim=1).numpy()
    if isinstance(alike, ItemItemScorer):
        weights = alike.weights
        return weights.any(dim=1).numpy() if isinstance(weights, Tensor) else weights.getnnz(axis=1) > 0
    if isinstance(alike, ExtendedScorer):
        assert isinstance(alike.scorer, MixedScorer)
        return alike.scorer.shares @ has_alike(alike.scorer.scorer).astype(np.float32) > 0
    assert isinstance(alike, SumScorer)
    return np.any([has_alike(part) for part in alike.parts], axis=0)


def _of(scorer: Scorer) -> Scorer | None:
    if isinstance(scorer, DotScorer):
        vectors = functional.normalize(scorer.item_vectors.float(), dim=1)
        # of one number an item it is popularity
        return DotScorer(vectors, vectors) if vectors.shape[1] > 1 and bool(vectors.any()) else None
    if isinstance(scorer, ItemItemScorer):
        some = scorer.weights.any() if isinstance(scorer.weights, Tensor) else scorer.weights.nnz
        return ItemItemScorer(sp.identity(scorer.num_items, np.float32, "csr"), scorer.weights) if some else None
    if isinstance(scorer, ExtendedScorer):
        known = _of(scorer.scorer)
        if known is None:
            return None
        own = sp.identity(scorer.scorer.num_items, np.float32, "csr")
        return ExtendedScorer(MixedScorer(known, sp.vstack([own, scorer.means.T], format="csr")), scorer.likeness)
    if isinstance(scorer, SumScorer):
        found = [(_of(part), weight) for part, weight in zip(scorer.parts, scorer.weights, strict=True) if weight]
        parts = [(part, weight) for part, weight in found if part is not None]
        if parts:
            return SumScorer([part for part, _ in parts], [weight for _, weight in parts], scorer.normalise)
    return None

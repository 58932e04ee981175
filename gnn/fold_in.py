"""People whom a model never met, or whose history grew: scored by what the model knows of items, without training."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.errors import GnnError
from gnn.ranker.scorer import RankedScorer
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.extended import ExtendedScorer
from gnn.scorers.popular import without_history

_SHRINK = 1.0
"""Ridge penalty of the map from histories to vectors; on validation a third and three times as much do the same."""


def fold_in(scorer: Scorer, history: sp.csr_matrix, known: Int[np.ndarray, "people"], fitted: sp.csr_matrix) -> Scorer:
    """A scorer of the same kind whose users are the rows of `history` (people x items, 1 where a person chose one).

    `known` is the index of each person whom the model met, else -1; `fitted` (users x items) what it was fitted on.
    What each kind does:

    - `item_item`: its weights on the history. Exact.
    - `dot` whose terms are a plain sum over the history (EASE cut to singular vectors): that sum. Exact.
    - any other `dot`: a linear map from histories to vectors, by ridge regression on the model's own users; of a person
      known before also what the map leaves of their vector, which makes it exact.
    - a catalogue that has grown: as before it grew; what is new in it moves no score.
    - `sum` and `ranked`: by their parts; habits that only a graph tells are those of the median user, and nobody's
      friends are known.

    What is new in a history counts as an interaction of mean strength and age did in the fit. Raises `GnnError` for a
    scorer of another kind.
    """
    if isinstance(scorer, ItemItemScorer):
        return replace(scorer, history=grown(scorer.history, history, known))
    if isinstance(scorer, DotScorer):
        return _dot(scorer, history, known, fitted)
    if isinstance(scorer, SumScorer):
        return replace(scorer, parts=[fold_in(part, history, known, fitted) for part in scorer.parts])
    if isinstance(scorer, ExtendedScorer):
        items = scorer.scorer.num_items
        return replace(scorer, scorer=fold_in(scorer.scorer, history[:, :items], known, fitted[:, :items]))
    if isinstance(scorer, RankedScorer):
        retrieval = scorer.retrieval
        evidence = retrieval.evidence
        habits = {}
        for name, values in evidence.habits.items():
            habits[name] = np.where(known >= 0, values[np.maximum(known, 0)], np.median(values)).astype(np.float32)
        nobody = None if evidence.friends is None else sp.csr_matrix((len(known), len(known)), dtype=np.float32)
        evidence = replace(evidence, history=grown(evidence.history, history, known), habits=habits, friends=nobody)
        retriever = fold_in(retrieval.scorer, history, known, fitted)
        return replace(scorer, retrieval=replace(retrieval, scorer=retriever, evidence=evidence))
    raise GnnError(f"a scorer of kind {scorer.kind!r} cannot take in new people; train again with them")


def grown(fitted: sp.csr_matrix, history: sp.csr_matrix, known: Int[np.ndarray, "people"]) -> sp.csr_matrix:
    """The rows a scorer has of those it knows, with what is new in their histories; of others their histories."""
    picked = sp.csr_matrix(
        (np.ones(int((known >= 0).sum()), np.float32), (np.flatnonzero(known >= 0), known[known >= 0])),
        shape=(len(known), fitted.shape[0]),
    )
    before = (picked @ fitted).tocsr()
    return (before + history - history.multiply(before.astype(bool))).tocsr().astype(np.float32)


def _dot(
    scorer: DotScorer, history: sp.csr_matrix, known: Int[np.ndarray, "people"], fitted: sp.csr_matrix
) -> DotScorer:
    met = torch.from_numpy(np.maximum(known, 0))
    if bool((scorer.user_vectors == scorer.user_vectors[:1]).all()):  # popularity: everybody's
        return replace(scorer, user_vectors=scorer.user_vectors[:1].expand(len(known), -1).contiguous(), terms=None)
    some = ~without_history(fitted)
    terms = scorer.terms
    if terms is not None and terms.exponent == 0 and terms.scale is None and not terms.channels:
        summed = torch.from_numpy(history.sign() @ terms.messages.numpy())
        return DotScorer(summed, scorer.item_vectors)
    rows = sp.vstack([history, fitted[met.numpy()]], format="csr")
    mapped = _mapped(rows, fitted[some.numpy()], scorer.user_vectors[some])
    vectors, before = mapped[: len(known)], mapped[len(known) :]
    beyond = torch.where(torch.from_numpy(known >= 0)[:, None], scorer.user_vectors[met] - before, 0.0)
    return DotScorer(vectors + beyond, scorer.item_vectors)


def _mapped(
    history: sp.csr_matrix, fitted: sp.csr_matrix, vectors: Float[Tensor, "users dim"]
) -> Float[Tensor, "people dim"]:
    """Vectors of histories by the linear map that gives the model's users theirs, as nearly as it can."""
    from sklearn.linear_model import Ridge  # here: most that is scored needs none

    def shares(rows: sp.csr_matrix) -> sp.csr_matrix:
        chosen = rows.astype(bool).astype(np.float32)
        return (sp.diags(1 / np.sqrt(np.maximum(chosen.getnnz(axis=1), 1))) @ chosen).tocsr()

    found = Ridge(alpha=_SHRINK, solver="sparse_cg").fit(shares(fitted), vectors.numpy())
    return torch.from_numpy(np.ascontiguousarray(found.predict(shares(history)), dtype=np.float32))

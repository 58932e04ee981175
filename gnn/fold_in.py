"""People whom a model never met, or whose history grew: scored by what the model knows of items, without training."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.errors import GnnError
from gnn.ranker.scorer import RankedScorer
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, UserTerms
from gnn.scorers.popular import without_history

_SHRINK = 1.0
"""Ridge penalty of the map from histories to vectors where a model does not say what its vectors are summed from."""


def fold_in(scorer: Scorer, history: sp.csr_matrix, known: Int[np.ndarray, "people"], fitted: sp.csr_matrix) -> Scorer:
    """A scorer of the same kind whose users are the rows of `history` (people x items, 1 where a person chose one).

    `known` is the index of each person whom the model met, else -1; `fitted` (users x items) what it was fitted on.
    What each kind does:

    - `item_item`: its weights on the history. Exact.
    - `dot` with terms: the sum over the history that a user's vector is, by the same formula; of a person known before
      also what was learned of them beyond it, which makes it exact; of others nothing of their own is known.
    - `dot` without: a linear map from histories to vectors, by ridge regression on the model's own users, and of a
      person known before also what the map leaves of their vector.
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
    if scorer.terms is None:
        rows = sp.vstack([history, fitted[met.numpy()]], format="csr")
        mapped = _mapped(rows, fitted[some.numpy()], scorer.user_vectors[some])
        vectors, before = mapped[: len(known)], mapped[len(known) :]
        beyond = torch.where(torch.from_numpy(known >= 0)[:, None], scorer.user_vectors[met] - before, 0.0)
        return replace(scorer, user_vectors=vectors + beyond)
    terms = scorer.terms
    degrees = np.asarray(fitted.astype(bool).sum(axis=0), dtype=np.float64).ravel()
    known_before = torch.from_numpy(known >= 0)[:, None]
    gates = None
    if terms.gates is not None:
        gates = torch.where(known_before, terms.gates[met], terms.gates[some].mean(dim=0))
    before = scorer.user_vectors if terms.scale is None else scorer.user_vectors / terms.scale[:, None]
    own = before - _summed(terms, terms.gates, fitted, degrees)
    vectors = torch.where(known_before, own[met], 0.0) + _summed(terms, gates, history, degrees)
    if terms.scale is not None:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return DotScorer(vectors, scorer.item_vectors)


def _summed(
    terms: UserTerms, gates: Float[Tensor, "people channels"] | None, history: sp.csr_matrix, degrees: np.ndarray
) -> Float[Tensor, "people dim"]:
    """What each history gives its person's vector, before it is scaled (`UserTerms`)."""
    chosen = history.astype(bool).astype(np.float64)
    lengths = np.maximum(chosen.getnnz(axis=1), 1)
    weights = sp.diags(lengths**-terms.exponent) @ chosen @ sp.diags(np.maximum(degrees, 1) ** -terms.exponent)
    total = torch.from_numpy(weights @ terms.messages.double().numpy())
    for number, channel in enumerate(terms.channels.values()):
        sent = torch.from_numpy((chosen @ channel.double().numpy()) / lengths[:, None])
        total += sent if gates is None else gates[:, number : number + 1].double() * sent
    return total.float()


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

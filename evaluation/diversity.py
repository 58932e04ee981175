"""How unlike the items of a list are, and whether its mix is the user's own."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from evaluation.lists import Lists
from evaluation.metrics import chunks

_LEAST = 0.01
"""Of the history's own mix in the list's (alpha of Steck 2018): a value that no listed item has costs much, not all."""


def vector_diversity(lists: Lists, vectors: Float[np.ndarray, "items dim"]) -> Float[np.ndarray, "some"]:
    """Intra-list diversity (Ziegler et al., WWW 2005): mean of 1 - cosine over the pairs of a list.

    `vectors` are of unit length, zero where an item has none: pairs with such an item do not count, and a user with
    fewer than two items that have one is left out. No pair is ever looked at: the cosines of n unit vectors sum up to
    |their sum|^2.
    """
    known = (vectors != 0).any(axis=1)
    total = np.zeros(len(lists.ranked))
    count = np.zeros(len(lists.ranked), dtype=np.int64)
    for chunk in chunks(len(lists.ranked), vectors.shape[1]):
        matrix = lists.matrix[chunk]
        total[chunk] = np.square(matrix @ vectors, dtype=np.float64).sum(axis=1)
        count[chunk] = (matrix @ known.astype(np.float32)).round()
    some, n = count >= 2, count[count >= 2]
    return 1 - (total[some] - n) / (n * (n - 1))


def link_diversity(lists: Lists, similarity: sp.csr_matrix) -> Float[np.ndarray, "some"]:
    """The same where only the most similar items of each are known: symmetric, 0 on the diagonal; pairs without an
    entry count as unlike. An item without any link does not count."""
    links = np.diff(similarity.indptr)
    known = sp.diags((links > 0).astype(np.float32), format="csr")
    total, count = np.zeros((2, len(lists.ranked)))
    for chunk in chunks(len(lists.ranked), lists.ranked.shape[1] * int(links.max(initial=1))):
        matrix = lists.matrix[chunk] @ known
        total[chunk] = (matrix @ similarity).multiply(matrix).sum(axis=1).ravel()
        count[chunk] = matrix.sum(axis=1).round().ravel()
    some, n = count >= 2, count[count >= 2]
    return 1 - total[some] / (n * (n - 1))


def miscalibration(lists: Lists, values: sp.csr_matrix) -> Float[np.ndarray, "some"]:
    """How far the mix of values in a list is from that in the user's history (Steck, RecSys 2018): the Kullback-Leibler
    divergence of p, the history's, from (1 - a) q + a p, q the list's and a = .01. In nats: 0 is the user's own mix,
    -log(a) = 4.6 is one that shares nothing with it.

    `values`: items x values of an attribute; an item of several counts in equal parts for each. Users without a value
    in history or list are left out.
    """
    shares = _unit_sums(sp.csr_matrix(values, dtype=np.float64))
    found = []
    for chunk in chunks(len(lists.ranked), values.shape[1]):
        own, listed = (_unit_sums(m[chunk].astype(bool) @ shares).toarray() for m in (lists.history, lists.matrix))
        both = own.any(axis=1) & listed.any(axis=1)
        own, listed = own[both], listed[both]
        ratio = np.divide(own, (1 - _LEAST) * listed + _LEAST * own, out=np.ones_like(own), where=own > 0)
        found.append((own * np.log(ratio)).sum(axis=1))
    return np.concatenate(found)


def _unit_sums(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows that sum to 1; empty ones stay empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)) @ matrix)

"""The graph filter's formula, dense or with pruned rows; no choices are made here."""

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from torch_geometric.data import HeteroData

from gnn.blocked import blocked_top, truncated_svd
from gnn.closed_form.config import FilterParameters
from gnn.matrices import inverse_power, media_similarity
from gnn.parallel import product
from graph.schema import MODALITIES


def media_matrices(data: HeteroData) -> dict[str, sp.csr_matrix]:
    """Modality -> normalised item links, for the modalities that have any."""
    found = {modality: media_similarity(data, modality) for modality in MODALITIES}
    return {modality: matrix for modality, matrix in found.items() if matrix is not None}


def dense_filter(
    history: sp.csr_matrix,
    media: Mapping[str, sp.csr_matrix],
    parameters: FilterParameters,
    low_rank: int,
    seed: int,
) -> Float[np.ndarray, "items items"]:
    """Q as one dense matrix."""
    weights = plain_filter(history, media, parameters)
    if parameters.low_rank_weight and low_rank:
        blend_in(truncated_svd(weights, low_rank, seed=seed), weights, parameters)
    return weights


def plain_filter(
    history: sp.csr_matrix, media: Mapping[str, sp.csr_matrix], parameters: FilterParameters
) -> Float[np.ndarray, "items items"]:
    """`(I + al M + a2 M^2) S` alone."""
    base = normalised(cooccurrence(history, parameters.user_exponent), history, parameters)
    base = base + cold_diagonal(history, parameters)
    mixed = mixed_links(media, parameters)
    once, twice = parameters.hops
    weights: np.ndarray = base.toarray()
    if mixed is not None and (once or twice):
        # al M S + a2 M M S, right to left: S is still sparse, so its product is a tenth of the second one
        inner = product(mixed, base)
        inner *= twice
        inner += once * weights
        weights += product(mixed, inner)
    return weights


def blend_in(
    cut: tuple[np.ndarray, np.ndarray, np.ndarray],
    weights: Float[np.ndarray, "items items"],
    parameters: FilterParameters,
) -> None:
    """Add the truncation `cut` (U, s, V) of the plain filter to it, in place."""
    left, values, right = cut
    weights += parameters.low_rank_weight * ((left * values) @ right.T)


def sparse_filter(
    history: sp.csr_matrix, media: Mapping[str, sp.csr_matrix], parameters: FilterParameters, entries: int
) -> tuple[sp.csr_matrix, float]:
    """Q with at most `entries` entries a row; S is pruned first, so memory is items x entries throughout.

    With it the share of the sum of S that its pruned form keeps.
    """
    base, kept = sparse_similarity(history, parameters, entries)
    base = (base + cold_diagonal(history, parameters)).tocsr()
    mixed = mixed_links(media, parameters)
    if mixed is None:
        return base, kept
    once, twice = parameters.hops
    first = blocked_top(lambda start, stop: mixed[start:stop] @ base, history.shape[1], entries)
    inner = (once * base + twice * first).tocsr()

    def filtered(start: int, stop: int) -> sp.csr_matrix:
        return (base[start:stop] + mixed[start:stop] @ inner).tocsr()

    return blocked_top(filtered, history.shape[1], entries), kept


def cold_diagonal(history: sp.csr_matrix, parameters: FilterParameters) -> sp.csr_matrix:
    """What S holds for each item nobody has: co-occurrence leaves its row and column empty."""
    cold = history.getnnz(axis=0) == 0
    diagonal = sp.diags(np.float32(cold_similarity(history, parameters)) * cold.astype(np.float32)).tocsr()
    diagonal.eliminate_zeros()
    return diagonal


def cold_similarity(history: sp.csr_matrix, parameters: FilterParameters) -> float:
    """c times the mean of `S_ii` (without s) over the items somebody has: the scale of S differs by orders of magnitude
    with histories and exponents."""
    weights = inverse_power(np.asarray(history.sum(axis=1)).ravel(), 2 * parameters.user_exponent)
    incoming, outgoing = input_scale(history, parameters), output_scale(history, parameters)
    own = (history.power(2).T @ weights) ** parameters.power * incoming * outgoing
    known = own[history.getnnz(axis=0) > 0]
    return parameters.cold_weight * float(known.mean()) if len(known) else 0.0


def sparse_similarity(
    history: sp.csr_matrix, parameters: FilterParameters, entries: int, gram: sp.csr_matrix | None = None
) -> tuple[sp.csr_matrix, float]:
    """S with the `entries` largest of each row, computed a block of rows at a time, and the share of its sum kept.

    `gram` is C where it is at hand.
    """
    columns = weighted_history(history, parameters.user_exponent).T.tocsr()
    sums: list[float] = []

    def similarity(start: int, stop: int) -> sp.csr_matrix:
        block = (columns[start:stop] @ history).tocsr() if gram is None else gram[start:stop]
        whole = normalised(block, history, parameters, first_row=start)
        sums.append(float(whole.data.sum()))
        return whole

    pruned = blocked_top(similarity, history.shape[1], entries)
    return pruned, float(pruned.data.sum()) / max(sum(sums), 1e-12)


def weighted_history(history: sp.csr_matrix, user_exponent: float) -> sp.csr_matrix:
    """`D_u^(-2a) X`."""
    degrees = np.asarray(history.sum(axis=1)).ravel()
    return (sp.diags(inverse_power(degrees, 2 * user_exponent)) @ history).tocsr().astype(np.float32)


def cooccurrence(history: sp.csr_matrix, user_exponent: float) -> sp.csr_matrix:
    """`C = X^T D_u^(-2a) X`."""
    return (history.T.tocsr() @ weighted_history(history, user_exponent)).tocsr()


def normalised(
    gram: sp.csr_matrix, history: sp.csr_matrix, parameters: FilterParameters, first_row: int = 0
) -> sp.csr_matrix:
    """`S = (d_i^(-bi) C d_j^(-bo))^p` on the stored entries of (a block of rows of) C, diagonal times s."""
    rows = np.repeat(np.arange(first_row, first_row + gram.shape[0]), np.diff(gram.indptr))
    incoming, outgoing = input_scale(history, parameters), output_scale(history, parameters)
    values = gram.data**parameters.power * incoming[rows] * outgoing[gram.indices]
    values[rows == gram.indices] *= parameters.diagonal
    return sp.csr_matrix((values.astype(np.float32), gram.indices, gram.indptr), shape=gram.shape)


def input_scale(history: sp.csr_matrix, parameters: FilterParameters) -> Float[np.ndarray, "items"]:
    """`d_i^(-bi p)`: what the input exponent multiplies each row with."""
    degrees = np.asarray(history.sum(axis=0)).ravel()
    return inverse_power(degrees, parameters.input_exponent * parameters.power)


def output_scale(history: sp.csr_matrix, parameters: FilterParameters) -> Float[np.ndarray, "items"]:
    """`d_j^(-bo p)`: what the output exponent multiplies each column with."""
    degrees = np.asarray(history.sum(axis=0)).ravel()
    return inverse_power(degrees, parameters.output_exponent * parameters.power)


def modality_shares(media: Iterable[str], weights: Mapping[str, float]) -> dict[str, float]:
    """The weights of the modalities present, scaled to sum to 1 (all 0 where they sum to 0)."""
    present = {modality: max(weights.get(modality, 0.0), 0.0) for modality in media}
    total = sum(present.values())
    return {modality: value / total if total else 0.0 for modality, value in present.items()}


def mixed_links(media: Mapping[str, sp.csr_matrix], parameters: FilterParameters) -> sp.csr_matrix | None:
    """M: the weighted mean of the media links; None where there are none."""
    shares = modality_shares(media, parameters.modality_weights)
    parts = [share * media[modality] for modality, share in shares.items() if share]
    if not parts:
        return None
    mixed = parts[0]
    for part in parts[1:]:
        mixed = mixed + part
    return mixed.tocsr().astype(np.float32)

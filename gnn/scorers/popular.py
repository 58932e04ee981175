"""What a user without a history gets: nothing of them is known, so what is popular."""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor


def popularity(history: sp.csr_matrix) -> Float[Tensor, "items"]:
    """Of each item the users that have it in `history` (users x items), as a share of the most popular one's."""
    counts = np.asarray(history.sum(axis=0), dtype=np.float64).ravel()
    return torch.from_numpy((counts / max(counts.max(initial=0), 1)).astype(np.float32))


def without_history(history: sp.csr_matrix) -> Tensor:
    """Which rows are empty."""
    return torch.from_numpy(np.diff(history.indptr) == 0)


def popular_vector(item_vectors: Float[Tensor, "items dim"], history: sp.csr_matrix) -> Float[Tensor, "dim"]:
    """The user vector whose inner products with the items come nearest to their popularity (least squares)."""
    target = popularity(history).to(item_vectors.dtype)
    return torch.linalg.lstsq(item_vectors, target[:, None], driver="gelsd").solution[:, 0]

"""The best of each row, whatever is equal in a fixed order."""

import torch
from torch import Tensor

_CHUNK = 64
"""Items whose best score stands for them while the best ones are looked for."""


def stable_top(scores: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """`topk` with ties broken by lower index, which `torch.topk` alone does not promise."""
    width = min(depth + 1, scores.shape[1])
    values, order = best_of(scores, width)
    tied = torch.zeros(len(scores), dtype=torch.bool)
    if width > depth:
        # only a tie across the cut can bring in the wrong items; inside it a second sort is enough
        tied = (values[:, depth - 1] == values[:, depth]) & (values[:, depth] > -torch.inf)
        values, order = values[:, :depth], order[:, :depth].clone()
    if tied.any():
        exact = scores[tied].sort(dim=1, descending=True, stable=True)
        values, order = values.clone(), order.clone()
        values[tied], order[tied] = exact.values[:, :depth], exact.indices[:, :depth]
    by_index = order.argsort(dim=1)
    values, order = values.gather(1, by_index), order.gather(1, by_index)
    by_value = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, by_value), order.gather(1, by_value).clone()


def best_of(scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """`topk`, of many items by the best of each chunk first: the `width` best lie in the `width` best chunks."""
    chunks = scores.shape[1] // _CHUNK
    if chunks < 4 * width:
        return scores.topk(width, dim=1)
    cut = chunks * _CHUNK
    best = scores[:, :cut].view(len(scores), _CHUNK, chunks).amax(dim=1).topk(width, dim=1, sorted=False).indices
    inside = (best[:, :, None] + chunks * torch.arange(_CHUNK)).flatten(1)
    rest = torch.arange(cut, scores.shape[1]).expand(len(scores), -1)
    candidates = torch.cat([inside, rest], dim=1)
    values, order = scores.gather(1, candidates).topk(width, dim=1)
    return values, candidates.gather(1, order)

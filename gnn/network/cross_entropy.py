"""Cross-entropy of cosines over many items, its gradients written out.

Autograd would hold five buffers of scores instead of one: at 512 users by 6,710 items a third of the time of a step.
"""

import torch
from torch import Tensor

from gnn.network.config import BLOCK_ROWS

_EPSILON = 1e-12


class UnitLength(torch.autograd.Function):
    """Rows divided by their lengths: `functional.normalize`, bit for bit, in a third of the time."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        """Rows of length 1; one of zeros stays."""
        length = rows.norm(dim=1, keepdim=True)
        unit = rows / length.clamp_min(_EPSILON)
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        """The gradient."""
        unit, length = ctx.saved_tensors  # type: ignore[attr-defined]
        divisor = length.clamp_min(_EPSILON)
        along = (unit / divisor).mul_(grads[0]).sum(dim=1, keepdim=True).mul_(length >= _EPSILON)
        return (grads[0] / divisor).sub_(unit * along)


class CatalogueCrossEntropy(torch.autograd.Function):
    """`sum(weights * (logsumexp(scores)[row] - scores[row, columns]))`, scores = left @ right.T, each row of `right` of
    length 1."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        left: Tensor,
        right: Tensor,
        row: Tensor,
        columns: Tensor,
        weights: Tensor,
    ) -> Tensor:
        """The loss; keeps what the way back needs."""
        scores = left @ right.T
        positive = scores[row, columns]
        highest = left.norm(dim=1, keepdim=True)  # the right side has length 1: no score is higher
        total = scores.sub_(highest).exp_().sum(dim=1)
        ctx.save_for_backward(left, right, row, columns, weights, total)
        ctx.exponentials = scores  # type: ignore[attr-defined]
        return (weights * ((highest[:, 0] + total.log())[row] - positive)).sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """The gradients; uses up the buffer."""
        left, right, row, columns, weights, total = ctx.saved_tensors  # type: ignore[attr-defined]
        weights = weights * grads[0]
        by_row = weights.new_zeros(len(left)).index_add_(0, row, weights)
        slope = ctx.exponentials.mul_((by_row / total)[:, None])  # type: ignore[attr-defined]
        slope.index_put_((row, columns), -weights, accumulate=True)
        return slope @ right, slope.T @ left, None, None, None


class SampledCrossEntropy(torch.autograd.Function):
    """`sum(weights * (log(total[row] + correction * exp(own)) - own))`, total = the row sums of
    `exp(left @ right.T - expected)`; `own` is no larger than the length of its row of `left`, and `row`, on the CPU,
    ascends.

    A block of rows at a time, each with its gradients: the scores of a large batch are never held at once.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        left: Tensor,
        right: Tensor,
        own: Tensor,
        expected: Tensor,
        row: Tensor,
        correction: Tensor,
        weights: Tensor,
    ) -> Tensor:
        """The loss; keeps its gradients."""
        slopes = torch.empty_like(left), torch.zeros_like(right), torch.empty_like(own)
        loss = left.new_zeros(())
        cuts = torch.searchsorted(row, torch.arange(0, len(left) + BLOCK_ROWS, BLOCK_ROWS)).tolist()
        for number, start in enumerate(range(0, len(left), BLOCK_ROWS)):
            block, pairs = slice(start, start + BLOCK_ROWS), slice(cuts[number], cuts[number + 1])
            at = (row[pairs] - start).to(left.device)
            scores = torch.addmm(-expected, left[block], right.T)
            highest = torch.maximum(scores.amax(dim=1), left[block].norm(dim=1))
            total = scores.sub_(highest[:, None]).exp_().sum(dim=1)
            mine = (own[pairs] - highest[at]).exp()
            each = torch.maximum(total[at] + correction[pairs] * mine, mine)  # smaller by rounding alone
            share = weights[pairs] / each
            loss = loss + (weights[pairs] * (highest[at] + each.log() - own[pairs])).sum()
            slope = scores.mul_(torch.zeros_like(total).index_add_(0, at, share)[:, None])
            slopes[0][block] = slope @ right
            slopes[1].addmm_(slope.T, left[block])
            slopes[2][pairs] = share * correction[pairs] * mine - weights[pairs]
        ctx.save_for_backward(*slopes)
        return loss

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grads: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        """The gradients."""
        left, right, own = ctx.saved_tensors  # type: ignore[attr-defined]
        return left * grads[0], right * grads[0], own * grads[0], None, None, None, None

"""Modality vectors of one item drawn together."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def alignment(
    contents: dict[str, Float[Tensor, "items dim"]],
    items: Int[Tensor, "chosen"],
    temperature: float,
    teacher: str | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE (van den Oord et al., 2018) between every two modalities over the chosen items.

    Items that lack one of the two (a zero vector) stay out. With a `teacher` only the pairs with it count,
    and its vectors do not move: knowledge passes from the strong modality to the weak ones.
    """
    names = list(contents)
    total = items.new_zeros((), dtype=torch.float32)
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            if teacher is not None and teacher not in (first, second):
                continue
            a, b = (contents[m][items].detach() if m == teacher else contents[m][items] for m in (first, second))
            both = (a.abs().sum(dim=1) > 0) & (b.abs().sum(dim=1) > 0)
            if int(both.sum()) < 2:
                continue
            logits = functional.normalize(a[both]) @ functional.normalize(b[both]).T / temperature
            target = torch.arange(len(logits), device=logits.device)
            total = total + (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    return total

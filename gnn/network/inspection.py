"""What a trained network rests on: parts left out at inference, and how much of its scores each part carries.

A part is what one source of the graph gives: `behaviour` (the learned vectors, spread along INTERACTED),
`image content` and `image SIMILAR` (a modality's vectors and its links), `RELATED director`, `FOLLOWS`.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from gnn.network.finished import finished_scorer
from gnn.network.hetero_network import HeteroNetwork, Vectors
from gnn.network.registries import LOSSES
from gnn.scorers.base import DotScorer

BEHAVIOUR = "behaviour"

_NODES = 8
"""Gauss-Legendre points: exact for polynomials of degree 15, more than three light layers give."""


def part_masks(network: HeteroNetwork) -> dict[str, dict[str, Tensor]]:
    """Part -> parameter -> 1 where scaling that entry scales the part; parts without effect are absent."""
    shapes = {name: parameter.detach() for name, parameter in network.named_parameters()}
    masks = {BEHAVIOUR: {name: torch.ones_like(shapes[name]) for name in ("user_start", "item_start")}}
    for number, (name, channel) in enumerate(zip(network.fusion.names, network.channels(), strict=True)):
        own = torch.zeros_like(shapes["similar_weights"])
        own[number] = 1
        content = {"content_weights": own} if channel.content is not None else {}
        # a channel without links adds its content in their place, with the weight of the links
        if channel.similar is None:
            content["similar_weights"] = own
        else:
            masks[f"{name} SIMILAR"] = {"similar_weights": own}
        if channel.content is not None:
            masks[f"{name} content"] = content
    for number, relation in enumerate(network.graph.item_entity):
        masks[f"RELATED {relation}"] = {f"related_weights.{number}": torch.ones(())}
    if "follow_weight" in shapes:
        masks["FOLLOWS"] = {"follow_weight": torch.ones(())}
    return masks


def of_modality(parts: Collection[str], modality: str) -> list[str]:
    """The parts that are gone where the modality's nodes are: its vectors, its links, those to other modalities."""
    return [part for part in parts if modality in part.rpartition(" ")[0].split("-")]


def of_relation(parts: Collection[str], relation: str) -> list[str]:
    """The parts that are gone where the relation is."""
    return [part for part in parts if relation in part.split(" ")]


def scorer_without(network: HeteroNetwork, parts: Collection[str]) -> DotScorer:
    """The trained network's scorer with these parts left out of the graph; nothing is trained again."""
    masks = part_masks(network)
    with _zeroed(network, [masks[part] for part in parts]):
        return finished_scorer(network, _cosine(network))


def contributions(
    network: HeteroNetwork, users: Int[Tensor, "chosen"], items: Int[np.ndarray, "chosen depth"]
) -> dict[str, float]:
    """How much of the scores of these pairs each part carries; the shares add up to 1.

    Aumann-Shapley values (integrated gradients, Sundararajan, Taly and Yan, ICML 2017): all parts are raised
    together from nothing to what they are, and each is credited with the slope of the score it causes on the way.
    A share below 0 means that the part lowers the scores of what is recommended. -1 in `items` is no item.
    """
    masks = part_masks(network)
    known = torch.from_numpy(items >= 0)
    places = torch.from_numpy(np.maximum(items, 0))
    with torch.no_grad():
        full = network()
    scale = known / (_lengths(full.users[users])[:, None] * _lengths(full.items)[places]) if _cosine(network) else known

    def total(vectors: Vectors) -> Tensor:
        scores = torch.einsum("ud,ukd->uk", vectors.users[users], vectors.items[places])
        return (scores * scale).sum()

    found = torch.zeros(len(masks))
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        raised = torch.full((len(masks),), float(point), requires_grad=True)
        vectors = functional_call(network, _scaled(network, masks, raised), ())
        (slope,) = torch.autograd.grad(total(vectors), raised)
        found += float(weight) * slope
    whole = float(found.sum())
    return {part: float(value) / whole if whole else 0.0 for part, value in zip(masks, found, strict=True)}


def _scaled(network: HeteroNetwork, masks: Mapping[str, Mapping[str, Tensor]], raised: Tensor) -> dict[str, Tensor]:
    """Parameters with each part's entries multiplied by its element of `raised`."""
    factors: dict[str, Tensor] = {}
    for number, parameters in enumerate(masks.values()):
        for name, mask in parameters.items():
            factors[name] = factors.get(name, torch.ones_like(mask)) + mask * (raised[number] - 1)
    values = dict(network.named_parameters())
    return {name: value.detach() * factors[name] if name in factors else value for name, value in values.items()}


@contextmanager
def _zeroed(network: HeteroNetwork, masks: Collection[Mapping[str, Tensor]]) -> Iterator[None]:
    values = dict(network.named_parameters())
    touched = {name: values[name].detach().clone() for parameters in masks for name in parameters}
    try:
        with torch.no_grad():
            for parameters in masks:
                for name, mask in parameters.items():
                    values[name].mul_(1 - mask)
        yield
    finally:
        with torch.no_grad():
            for name, value in touched.items():
                values[name].copy_(value)


def _cosine(network: HeteroNetwork) -> bool:
    return LOSSES[network.config.loss].cosine


def _lengths(vectors: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows"]:
    return vectors.norm(dim=1).clamp_min(1e-12)

"""What a trained network makes of an item that nobody has yet: its vector as a function of its media alone.

The item starts from its content, no message reaches it but those of the media that its own resemble, and its vector is
the sum of both: exactly what a pass over a graph that holds the item gives, entities aside.
"""

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from gnn.matrices import inverse_power, media_links
from gnn.network.fusion import FeatureFusion, JointFusion
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import principal
from graph.schema import MEDIA_LABELS

UNIT = "unit"
"""One number: whether vectors are of length 1."""


@torch.no_grad()
def item_encoder(network: HeteroNetwork, data: HeteroData, *, cosine: bool) -> dict[str, np.ndarray]:
    """The arrays of the item encoder of a network fitted on `data`; empty where its fusion has no such form.

    For each modality `m` whose media have vectors `x`: `m.mean` [width] and `m.matrix` [width, dim], content adds
    `(x - mean) @ matrix`; and `m.linked` [items, dim], what an item sends to one whose media are like its own, who
    gets `sum of a * linked / sqrt(sum of a)` of items it is linked to with strengths `a`.
    """
    fusion = network.fusion
    if type(fusion) not in (JointFusion, FeatureFusion) or len(getattr(fusion, "marks", ())):
        return {}  # attention looks at all modalities at once, and what was made up for a gap has no encoder
    assert isinstance(fusion, JointFusion | FeatureFusion)
    network.place("cpu")
    channels, start = network.channels(), network.item_starts()
    media = network.graph.media
    sources = sum(medium.similar is not None for medium in media.values())
    found: dict[str, torch.Tensor] = {}
    for modality in network.config.modalities:
        name = modality if isinstance(fusion, JointFusion) else "media"
        if modality not in media or name not in fusion.names:
            continue
        number = fusion.names.index(name)
        similar = network.similar_weights[number]
        if modality in fusion.projections:
            # content is one of the layers that are averaged, and all there is of a channel without links
            alone = similar if channels[number].similar is None else 0.0
            share = network.content_weights[number] / (network.config.layers + 1) + alone
            label = data[MEDIA_LABELS[modality]]
            x, projection = label.x[label.mask], fusion.projections[modality]
            components, deviations = principal(x, len(projection))
            matrix = (components / deviations).float() @ projection * share
            found |= {f"{modality}.matrix": matrix, f"{modality}.mean": x.mean(dim=0)}
        links = channels[number].similar
        if links is not None and media[modality].similar is not None:
            sent = start
            for _ in range(network.config.similar_hops - 1):
                sent = links @ sent
            weight = similar if isinstance(fusion, JointFusion) else similar / sources
            found[f"{modality}.linked"] = weight * _scaled(sent, media_links(data, modality))
    if not found:
        return {}
    return {UNIT: np.array([cosine], np.uint8), **{name: np.ascontiguousarray(a.numpy()) for name, a in found.items()}}


def _scaled(sent: torch.Tensor, links: sp.csr_matrix | None) -> torch.Tensor:
    """The senders' half of the normalisation."""
    assert links is not None
    return sent * torch.from_numpy(inverse_power(np.asarray(links.sum(axis=1)).ravel(), 0.5))[:, None]

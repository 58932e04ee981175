"""What messages pass over: the training graph, brought once into the operators the network multiplies by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from gnn.matrices import histories, interactions, media_similarity, sym_normalised
from gnn.network.config import MAX_FEATURES, NetworkConfig
from gnn.network.operators import SparseOperator, degree_normalised, ones, row_mean
from graph.schema import HAS, MEDIA_LABELS

_NAMED_RELATIONS = 8


@dataclass(frozen=True)
class Medium:
    """One modality seen from the items."""

    features: Float[Tensor, "items width"] | None
    """Mean of the whitened vectors of the item's media (0 = none); None where no node has a vector."""
    similar: SparseOperator | None
    """Items x items along HAS -> SIMILAR -> HAS; None where nothing is linked."""
    filled: Bool[Tensor, "items"] | None = None
    """True = the features are imputed; None where nothing was to be."""

    @cached_property
    def present(self) -> Bool[Tensor, "items"]:
        """Items with features, real or imputed."""
        assert self.features is not None
        return self.features.abs().sum(dim=1) > 0

    def to(self, device: str) -> "Medium":
        """Its tensors there; links are operators and follow what they are multiplied by."""
        features, filled = (None if part is None else part.to(device) for part in (self.features, self.filled))
        return Medium(features, self.similar, filled)

    def cut(self, items: Int[Tensor, "kept"]) -> "Medium":
        """It on these items alone."""
        features, filled = (None if part is None else part[items] for part in (self.features, self.filled))
        return Medium(features, None if self.similar is None else self.similar.cut(items, items), filled)


@dataclass(frozen=True)
class Part:
    """Some nodes of a graph, ids ascending, and the interactions between them that a batch passes messages over."""

    users: Int[Tensor, "kept_users"]
    items: Int[Tensor, "kept_items"]
    entities: Int[Tensor, "kept_entities"]
    between: sp.csr_matrix
    """Users x items, numbered as here; the values are the whole graph's weights."""


@dataclass(frozen=True)
class MessageGraph:
    """Every relation of the training graph as an operator; a relation that is absent is simply not there."""

    history: sp.csr_matrix
    """Users x items, 1 = training interaction."""
    media: Mapping[str, Medium]
    """By modality; links between two modalities stand under both names (`text-image`)."""
    item_entity: Mapping[str, SparseOperator]
    """Relation name -> items x entities; rare relations share the name `other`."""
    entity_entity: SparseOperator | None
    follows: SparseOperator | None
    strength: sp.csr_matrix | None = None
    """How much each training interaction counts in the loss (users x items); None = all alike."""

    @property
    def pairs(self) -> sp.csr_matrix:
        """What the loss learns from: `strength`, or `history`."""
        return self.history if self.strength is None else self.strength

    @property
    def num_users(self) -> int:
        """Rows of `history`."""
        return int(self.history.shape[0])

    @property
    def num_items(self) -> int:
        """Columns of `history`."""
        return int(self.history.shape[1])

    @property
    def num_entities(self) -> int:
        """Entities that a used relation reaches, else 0."""
        return next(iter(self.item_entity.values())).shape[1] if self.item_entity else 0

    @property
    def edges(self) -> int:
        """Interactions and entries of every other relation."""
        operators = [self.entity_entity, self.follows, *self.item_entity.values()]
        operators += [medium.similar for medium in self.media.values()]
        return int(self.history.nnz + sum(o.forward.nnz for o in operators if o is not None))

    def to(self, device: str) -> "MessageGraph":
        """Its tensors there."""
        return replace(self, media={name: medium.to(device) for name, medium in self.media.items()})

    def cut(self, part: Part) -> "MessageGraph":
        """It between the nodes of the part; of the interactions those that were drawn."""
        items, entities = part.items, part.entities
        return MessageGraph(
            ones(part.between),
            {name: medium.cut(items) for name, medium in self.media.items()},
            {name: operator.cut(items, entities) for name, operator in self.item_entity.items()},
            None if self.entity_entity is None else self.entity_entity.cut(entities, entities),
            None if self.follows is None else self.follows.cut(part.users, part.users),
        )


def message_graph(data: HeteroData, config: NetworkConfig) -> MessageGraph:
    """Read the relations `config` asks for; only training interactions are ever looked at."""
    media: dict[str, Medium] = {m: _medium(data, m, config) for m in config.modalities}
    if "SIMILAR" in config.relations:
        media |= {f"{a}-{b}": _crossed(data, a, b) for a, b in combinations(config.modalities, 2)}
    related = "RELATED" in config.relations
    counted = histories(data)
    alike = bool((counted.data == 1).all())
    return MessageGraph(
        counted if alike else interactions(data),
        {m: medium for m, medium in media.items() if medium.features is not None or medium.similar is not None},
        _item_entity(data) if related else {},
        _square(data, ("Entity", "RELATED", "Entity"), "Entity") if related else None,
        _square(data, ("User", "FOLLOWS", "User"), "User") if "FOLLOWS" in config.relations else None,
        None if alike else counted,
    )


def _medium(data: HeteroData, modality: str, config: NetworkConfig) -> Medium:
    label = MEDIA_LABELS[modality]
    key = ("Item", HAS[modality], label)
    if not data[label].num_nodes or key not in data.edge_types:
        return Medium(None, None)
    similar = media_similarity(data, modality) if "SIMILAR" in config.relations else None
    x, mask = data[label].x, data[label].mask
    features = None
    if config.content and x.shape[1] and bool(mask.any()):
        features = _item_features(x, mask, data[key].edge_index, int(data["Item"].num_nodes))
    return Medium(features, None if similar is None else SparseOperator(similar))


def _crossed(data: HeteroData, first: str, second: str) -> Medium:
    """Items linked by media of different kinds, where one encoder embeds both."""
    items = int(data["Item"].num_nodes)
    total = sp.csr_matrix((items, items), dtype=np.float32)
    for a, b in ((first, second), (second, first)):
        key = (MEDIA_LABELS[a], "SIMILAR", MEDIA_LABELS[b])
        if key in data.edge_types and data[key].edge_index.shape[1]:
            source, target = data[key].edge_index.numpy()
            weight = np.maximum(data[key].score.numpy().astype(np.float32), 0)
            shape = (int(data[key[0]].num_nodes), int(data[key[2]].num_nodes))
            links = sp.csr_matrix((weight, (source, target)), shape=shape)
            total = total + _owns(data, a) @ links @ _owns(data, b).T
    total = (total + total.T).tocsr()
    total.setdiag(0)
    total.eliminate_zeros()
    return Medium(None, SparseOperator(sym_normalised(total)) if total.nnz else None)


def _owns(data: HeteroData, modality: str) -> sp.csr_matrix:
    """Items x media nodes, 1 = the item carries it."""
    label = MEDIA_LABELS[modality]
    source, target = data["Item", HAS[modality], label].edge_index.numpy()
    shape = (int(data["Item"].num_nodes), int(data[label].num_nodes))
    return sp.csr_matrix((np.ones(len(source), np.float32), (source, target)), shape=shape)


def _item_features(x: Tensor, mask: Tensor, edges: Tensor, items: int) -> Tensor:
    """Whiten the vectors over the media nodes, then average them for each item."""
    vectors = torch.zeros(len(x), min(x.shape[1], MAX_FEATURES, int(mask.sum())))
    vectors[mask] = whitened(x[mask], vectors.shape[1])
    source, target = edges[:, mask[edges[1]]].numpy()
    owns = sp.csr_matrix((np.ones(len(source), np.float32), (source, target)), shape=(items, len(x)))
    return torch.from_numpy(row_mean(owns) @ vectors.numpy())


def whitened(x: Float[Tensor, "nodes dim"], width: int) -> Float[Tensor, "nodes width"]:
    """The first `width` principal components scaled to unit variance, the smallest ones damped."""
    components, deviations = principal(x, width)
    return ((x - x.mean(dim=0)).double() @ components / deviations).float()


def principal(x: Float[Tensor, "nodes dim"], width: int) -> tuple[Float[Tensor, "dim width"], Float[Tensor, "width"]]:
    """The first `width` principal components, and what `whitened` divides each by; float64."""
    centred = (x - x.mean(dim=0)).double()
    covariance = centred.T @ centred / max(len(x) - 1, 1)
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:width].clamp_min(0), vectors.flip(1)[:, :width]
    # the sign of an eigenvector is arbitrary: fix it so that every run and store gives the same features
    signs = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)).sign()
    floor = 1e-3 * values.max().clamp_min(1e-12)
    return vectors * signs, (values + floor).sqrt()


def _item_entity(data: HeteroData) -> dict[str, SparseOperator]:
    key = ("Item", "RELATED", "Entity")
    if key not in data.edge_types or data[key].edge_index.shape[1] == 0:
        return {}
    source, target = data[key].edge_index.numpy()
    codes = data[key].relation.numpy()
    shape = (int(data["Item"].num_nodes), int(data["Entity"].num_nodes))
    counts = np.bincount(codes, minlength=len(data.relations))
    common = np.argsort(-counts, kind="stable")[:_NAMED_RELATIONS]
    parts = {data.relations[c]: codes == c for c in sorted(common) if counts[c]}
    parts["other"] = ~np.isin(codes, common)
    result = {}
    for name, chosen in parts.items():
        if chosen.any():
            ones = np.ones(int(chosen.sum()), np.float32)
            matrix = sp.csr_matrix((ones, (source[chosen], target[chosen])), shape=shape)
            result[name] = SparseOperator(degree_normalised(matrix))
    return result


def _square(data: HeteroData, key: tuple[str, str, str], label: str) -> SparseOperator | None:
    """A relation within one label, both ways."""
    if key not in data.edge_types or data[key].edge_index.shape[1] == 0:
        return None
    source, target = data[key].edge_index.numpy()
    size = int(data[label].num_nodes)
    matrix = sp.csr_matrix((np.ones(len(source), np.float32), (source, target)), shape=(size, size))
    both = (matrix + matrix.T).tocsr()
    both.data[:] = 1
    return SparseOperator(degree_normalised(both))

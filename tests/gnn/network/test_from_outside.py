"""A fusion, a loss, a propagation and a schedule as a user brings them: a class of his own, registered by a name."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from common.registry import Registry
from gnn.errors import GnnError
from gnn.network.config import NetworkConfig
from gnn.network.fusion import Channel, Fusion, projections
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.losses import FullSoftmax
from gnn.network.message_graph import Medium, message_graph
from gnn.network.objective import Batch, Loss, SampledLoss, make_sampled_loss, shuffled
from gnn.network.operators import SparseOperator
from gnn.network.perturbation import Perturbation
from gnn.network.propagation import Propagation
from gnn.network.recommender import HeteroGNN
from gnn.network.registries import FUSIONS, LOSSES, PROPAGATIONS, SCHEDULES
from gnn.network.sampling import sampled_steps

SMALL: dict[str, Any] = {
    "embedding_dim": 8,
    "epochs": 4,
    "learning_rate": 0.02,
    "batch_users": 50,
    "batch_size": 200,
    "negatives": 32,
    "fan_out": 3,
}


class RarestMedium(Fusion):
    """One channel: the projected features, each scaled by how few items have that modality; links of the first."""

    def __init__(self, media: Mapping[str, Medium], config: NetworkConfig, generator: torch.Generator) -> None:
        super().__init__(media, config, generator)
        self.names = ("rare",) if media else ()
        self.projections = projections(media, config, generator)

    def prepare(self, media: Mapping[str, Medium]) -> tuple[Tensor, SparseOperator | None]:
        rarity = 1 / torch.stack([m.present.float() for m in media.values()]).sum(dim=0).clamp_min(1)
        return rarity, next(iter(media.values())).similar

    def cut(self, prepared: Any, media: Mapping[str, Medium], items: Int[Tensor, "kept"]) -> Any:
        rarity, similar = prepared
        return rarity[items], None if similar is None else similar.cut(items, items)

    def forward(self, features: Mapping[str, Tensor], prepared: Any) -> list[Channel]:
        rarity, similar = prepared
        total = torch.stack([features[name] @ weight for name, weight in self.projections.items()]).sum(dim=0)
        return [Channel(total * rarity[:, None], similar)]


class Hinge(SampledLoss):
    """A seen item above one that is drawn, by a margin."""

    cosine = True

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        return shuffled(self.pairs, self.config.pairs_a_step(len(self.pairs.users)), generator)

    def draw(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return torch.randint(self.history.shape[1], batch.items.shape, generator=generator)

    def __call__(self, users: Tensor, items: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        left, right = functional.normalize(users)[batch.rows], functional.normalize(items)
        gap = (left * (right[batch.items] - right[self.negatives(batch, generator)])).sum(dim=1)
        return functional.relu(1 - gap).mean()


class WholeOnly(FullSoftmax):
    """Looks at every item and names nothing that stands in for it."""

    estimate = None


class Damped(Propagation):
    """Light messages times one learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(
        self, interacted: SparseOperator, users: Tensor, items: Tensor, only: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        to_users = interacted if only is None else interacted.rows(only)
        return self.factor * (to_users @ items), self.factor * (interacted.T @ users)


def halved(done: float) -> float:
    return 0.5 - 0.25 * done


BROUGHT: dict[str, tuple[Registry[Any], Any]] = {
    "fusion": (FUSIONS, RarestMedium),
    "loss": (LOSSES, Hinge),
    "propagation": (PROPAGATIONS, Damped),
    "schedule": (SCHEDULES, halved),
}


@pytest.fixture
def registered() -> Iterator[Callable[[str, Any], None]]:
    """`registered(kind, component)` makes it known as `mine` until the test ends."""
    used: list[Registry[Any]] = []

    def register(kind: str, component: Any) -> None:
        registry = BROUGHT[kind][0]
        registry.register("mine", component)
        used.append(registry)

    yield register
    for registry in used:
        registry.unregister("mine")


@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("kind", BROUGHT)
def test_what_is_brought_from_outside_trains(
    kind: str, batching: str, registered: Callable[[str, Any], None], taste_graph: Callable[[], HeteroData]
) -> None:
    registered(kind, BROUGHT[kind][1])
    config = NetworkConfig.model_validate({**SMALL, "batching": batching, kind: "mine"})
    first, second = HeteroGNN(config), HeteroGNN(config)
    scorer = first.fit(taste_graph(), seed=0)
    assert first.report is not None and first.network is not None
    losses = [row["loss"] for row in first.report.history]
    assert losses[-1] < losses[0]
    assert torch.equal(scorer.user_vectors, second.fit(taste_graph(), seed=0).user_vectors)
    plain = HeteroGNN(config.model_copy(update={kind: NetworkConfig.model_fields[kind].default}))
    assert not torch.equal(plain.fit(taste_graph(), seed=0).user_vectors, scorer.user_vectors), "the own one is used"
    assert (scorer.terms is None) == (kind == "propagation"), "what does not say it is linear is not taken apart"


def test_without_its_name_it_is_gone() -> None:
    LOSSES.register("mine", Hinge)
    assert NetworkConfig(loss="mine").loss == "mine"
    LOSSES.unregister("mine")
    with pytest.raises(ValueError, match="loss 'mine' is unknown; use one of softmax, sampled_softmax, bpr"):
        NetworkConfig(loss="mine")


def test_a_brought_fusion_is_cut_as_it_says(
    registered: Callable[[str, Any], None], taste_graph: Callable[[], HeteroData]
) -> None:
    registered("fusion", RarestMedium)
    data = taste_graph()
    edges = data["Item", "HAS_IMAGE", "Image"].edge_index
    data["Item", "HAS_IMAGE", "Image"].edge_index = edges[:, edges[0] % 3 != 0]  # rarity differs between items
    config = NetworkConfig(**SMALL | {"fan_out": 10_000, "batch_size": 9}, fusion="mine", loss="sampled_softmax")
    network = HeteroNetwork(message_graph(data, config), config, torch.Generator().manual_seed(0))
    whole = network()
    loss = make_sampled_loss(network.graph.history, config)
    for step in sampled_steps(network, network.inputs, loss, torch.Generator().manual_seed(1)):
        batch, part = step.judged(network, Perturbation())
        assert torch.allclose(part.items[batch.items], whole.items[batch.items], atol=1e-5)
        assert torch.allclose(part.users[batch.rows], whole.users[batch.users], atol=1e-5)


def test_a_fusion_that_is_not_cut_cannot_be_made(
    registered: Callable[[str, Any], None], taste_graph: Callable[[], HeteroData]
) -> None:
    class Uncut(Fusion):
        names = ("one",)

        def prepare(self, media: Mapping[str, Medium]) -> None:
            return None

        def forward(self, features: Mapping[str, Tensor], prepared: None) -> list[Channel]:
            return []

    with pytest.raises(TypeError, match=r"abstract .*cut"):
        Uncut({}, NetworkConfig(), torch.Generator())  # type: ignore[abstract]
    registered("fusion", Uncut)
    with pytest.raises(GnnError, match=r"^fusion 'mine' \(class Uncut\) has no method cut; write it$"):
        HeteroGNN(NetworkConfig(**SMALL, fusion="mine")).fit(taste_graph(), seed=0)


def test_a_loss_that_looks_at_all_items_is_refused_for_sampled_batches(
    registered: Callable[[str, Any], None], taste_graph: Callable[[], HeteroData]
) -> None:
    registered("loss", WholeOnly)
    told = (
        r"^loss 'mine' looks at all items, which a sampled batch does not hold; use batching 'full', or give WholeOnly"
    )
    with pytest.raises(GnnError, match=told):
        HeteroGNN(NetworkConfig(loss="mine", batching="sampled"))  # before any graph is read
    with pytest.raises(GnnError, match=told):
        HeteroGNN(NetworkConfig(**SMALL, loss="mine", sampled_above=10)).fit(taste_graph(), seed=0)
    HeteroGNN(NetworkConfig(**SMALL, loss="mine", full_softmax_items=10)).fit(taste_graph(), seed=0)


def test_every_loss_but_an_abstract_one_says_whether_it_is_sampled() -> None:
    for name, kind in LOSSES.items():
        assert issubclass(kind, SampledLoss) or issubclass(LOSSES[kind.estimate], SampledLoss), name
    with pytest.raises(TypeError, match="abstract"):
        Loss(None, NetworkConfig())  # type: ignore[abstract, arg-type]

"""What a network is put together from, by name; nothing here imports a network, so that a config reads at once.

LOSSES["bpr"]                       # imported now
FUSIONS.register("mine", MyFusion)  # from outside; installed packages use the entry points named below
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Registry

if TYPE_CHECKING:
    from gnn.network.fusion import Fusion
    from gnn.network.objective import Loss
    from gnn.network.propagation import Propagation

FUSIONS: "Registry[type[Fusion]]" = Registry(
    "fusion",
    {
        "joint": "gnn.network.fusion:JointFusion",
        "feature": "gnn.network.fusion:FeatureFusion",
        "attended": "gnn.network.fusion:AttendedFusion",
    },
    group="modalweave.fusions",
)
"""How modalities meet inside one network; decision-level fusion stands outside, in `gnn/decision_fusion.py`."""

LOSSES: "Registry[type[Loss]]" = Registry(
    "loss",
    {
        "softmax": "gnn.network.losses:FullSoftmax",
        "sampled_softmax": "gnn.network.losses:SampledSoftmax",
        "bpr": "gnn.network.losses:PairwiseRanking",
    },
    group="modalweave.losses",
)
"""Training objectives."""

PROPAGATIONS: "Registry[type[Propagation]]" = Registry(
    "propagation",
    {
        "light": "gnn.network.propagation:LightPropagation",
        "attention": "gnn.network.propagation:AttentionPropagation",
    },
    group="modalweave.propagations",
)
"""How messages pass along INTERACTED."""

SCHEDULES: Registry[Callable[[float], float]] = Registry(
    "schedule",
    {
        "constant": "gnn.network.schedules:constant",
        "cosine": "gnn.network.schedules:cosine",
        "linear": "gnn.network.schedules:linear",
    },
    group="modalweave.schedules",
)
"""Factor on the learning rate by the share of epochs done."""

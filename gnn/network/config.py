"""Settings of the heterogeneous network and its training. Reading them imports nothing that computes."""

from functools import partial
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from common.device import checked_device
from gnn.network.registries import FUSIONS, LOSSES, PROPAGATIONS, SCHEDULES

Modality = Literal["text", "image", "audio"]

STEPS, USER_STEPS = 60, 40
"""Batches of pairs, or of users, an epoch at most where their size is not given: each passes messages over the graph,
so that with more and more of them an epoch would grow with the square of the interactions."""

BATCH_USERS, BATCH_SIZE = 512, 2048
"""Users or training pairs of a batch at least."""

SAMPLED_BATCH = 65_536
"""Training pairs of a sampled batch at most: what it meets stays small beside a graph that asks for sampling."""

MAX_FEATURES = 256
"""Principal components of a modality's vectors that are kept at most."""

BLOCK_ROWS = 2048
"""Users whose scores the softmax over drawn items holds at once."""

VALIDATION_SCORES = 140_000_000
"""Scores of a validation during training at most, about: its time stays a small part of the training's."""

RelationName = Literal["SIMILAR", "RELATED", "FOLLOWS"]

DECISION = "decision"
"""The one kind of fusion that no network knows: networks of one modality each, summed (`gnn/decision_fusion.py`)."""

WITHOUT_IMPUTATION = ("joint", DECISION)
"""Fusion kinds that leave a missing modality out; those that make one item feature want a vector in its place."""


class ImputeConfig(BaseModel, extra="forbid"):
    """How missing vectors are filled in."""

    method: Literal["none", "neighbours", "hops", "pagerank"] = "none"
    """none: zeros; neighbours: weighted mean of those one edge away; hops: the same repeated outwards
    until nothing new is reached or `hops` is spent; pagerank: known vectors weighted by personalised
    PageRank."""

    hops: PositiveInt = 3
    """Steps outwards for `hops`."""

    damping: float = Field(0.85, gt=0, lt=1)
    """Chance to walk on rather than to restart, for `pagerank`."""

    iterations: PositiveInt = 20
    """Power iterations for `pagerank`."""


class NetworkConfig(BaseModel, extra="forbid"):
    """A light heterogeneous network over the cross-modal graph and how it is trained."""

    embedding_dim: PositiveInt = 64
    """Length of the user and item vectors."""

    layers: NonNegativeInt = 2
    """Rounds of message passing over INTERACTED, RELATED and FOLLOWS."""

    propagation: Annotated[str, AfterValidator(PROPAGATIONS.checked)] = "light"
    """Messages along INTERACTED: `light` (fixed degree-normalised weights) or `attention` (tilted towards ends
    that agree, the sharpness learned)."""

    similar_hops: PositiveInt = 1
    """How often item vectors are spread along the media links (1 = item to similar item)."""

    fusion: Annotated[str, AfterValidator(partial(FUSIONS.checked, also=(DECISION,)))] = "joint"
    """How modalities meet: `joint` (a channel and a gate each), `feature` (vectors concatenated into one item
    feature before propagation), `attended` (one item feature, a learned weighted mean) or `decision` (a network
    for behaviour and one for each modality, their scores summed with weights from validation)."""

    imputation: ImputeConfig = ImputeConfig()
    """How `feature` and `attended` fusion fill in what an item lacks, from items with the same training users and
    alike other media; the network is told which features are real. `joint` leaves a missing modality out."""

    modalities: tuple[Modality, ...] = ("text", "image", "audio")
    """Modalities used where the graph has them; empty = the same network without media."""

    relations: tuple[RelationName, ...] = ("SIMILAR", "RELATED", "FOLLOWS")
    """Relations used where the graph has them, beside INTERACTED and HAS_*."""

    content: bool = True
    """Let media nodes start from their encoder's vectors (projected); False keeps only their links."""

    loss: Annotated[str, AfterValidator(LOSSES.checked)] = "softmax"
    """`softmax` (all items, cosine), `sampled_softmax` (cosine, logQ correction) or `bpr` (dot product)."""

    full_softmax_items: PositiveInt = 10_000
    """Items above which `softmax` becomes `sampled_softmax`: all scores grow with users times items."""

    temperature: PositiveFloat = 0.25
    """Divides cosine scores in the softmax losses."""

    user_weight_power: float = Field(default=0.0, ge=0, le=1)
    """Softmax losses: a user's pairs weigh `pairs ** -power`; 0 = every pair alike, 1 = every user alike."""

    negatives: PositiveInt = 4096
    """Items drawn for each batch by `sampled_softmax`."""

    cold_negatives: bool = True
    """Softmax losses: let items without any training interaction stand among the negatives."""

    alignment: NonNegativeFloat = 0.0
    """Weight of the InfoNCE term that draws the modality vectors of one item together."""

    alignment_teacher: Modality | None = None
    """The strong modality the others are drawn to; it does not move itself. None = all move."""

    learning_rate: PositiveFloat = 2e-3
    """Step size of Adam."""

    schedule: Annotated[str, AfterValidator(SCHEDULES.checked)] = "constant"
    """Learning rate over the epochs: `constant`, `cosine` or `linear` decay to a tenth."""

    modality_learning_rates: dict[Modality, PositiveFloat] = {}
    """Factor on the learning rate of one modality's projection, to help a weak modality keep up."""

    batch_users: PositiveInt | None = None
    """Softmax losses: users in a batch, with all their pairs; None takes a fortieth of all, at least 512."""

    batch_size: PositiveInt | None = None
    """`bpr` and sampled batches: training pairs in one; None takes a sixtieth of all, at least 2,048 (sampled: at most
    65,536)."""

    batching: Literal["auto", "full", "sampled"] = "auto"
    """`full` passes messages over the whole graph in each step, `sampled` over the neighbourhood of its batch, for
    which `softmax` becomes `sampled_softmax` (weaker on items without interactions); `auto` samples above
    `sampled_above` edges."""

    sampled_above: PositiveInt = 50_000_000
    """Edges of all used relations from which `auto` samples: the whole graph takes some 10 GB there at 64 dimensions
    with one modality, 20 GB at 128 with three layers."""

    fan_out: PositiveInt = 10
    """Sampled batches: neighbours drawn for a node in each relation and hop."""

    device: Annotated[str, AfterValidator(checked_device)] = "auto"
    """Where training runs: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`."""

    gpu_precision: Literal["highest", "high", "medium"] = "high"
    """Dense products on a GPU: `highest` (float32), `high` (TF32) or `medium` (bfloat16 inside, sums in float32)."""

    epochs: PositiveInt = 120
    """Upper limit of passes over the training interactions."""

    schedule_epochs: PositiveInt | None = None
    """Epochs over which the learning rate decays, where they are not `epochs`: a training that was stopped early and is
    repeated to the epoch it kept."""

    patience: PositiveInt = 8
    """Validations without a better NDCG@20 before training stops."""

    evaluate_every: PositiveInt = 1
    """Epochs between validations."""

    validation_users: PositiveInt = 20_000
    """Users measured by a validation during training, about, the same ones each time; of over 7,000 items fewer."""

    regularisation: NonNegativeFloat = 0.0
    """Weight of the squared length of the learned start vectors of a batch."""

    edge_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of interactions left out of message passing in each epoch; those of busy ends go first."""

    identity_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of items that stand without own vector and interactions in each batch, as a new item does."""

    modality_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of items that lose a modality in each batch."""

    feature_noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise on whitened media vectors (their own is 1)."""

    initial_scale: PositiveFloat = 0.1
    """Standard deviation of the learned start vectors before training."""

    def users_a_step(self, users: int) -> int:
        """Users of a batch where so many have training pairs."""
        return self.batch_users or max(BATCH_USERS, users // USER_STEPS)

    def pairs_a_step(self, pairs: int, *, sampled: bool = False) -> int:
        """Training pairs of a batch where the graph has so many."""
        most = SAMPLED_BATCH if sampled else pairs
        return self.batch_size or max(BATCH_SIZE, min(most, pairs // STEPS))

    def samples(self, edges: int) -> bool:
        """Whether steps run on sampled neighbourhoods of a graph with so many edges of all used relations."""
        return self.batching == "sampled" or (self.batching == "auto" and edges > self.sampled_above)

    @model_validator(mode="after")
    def _imputation_has_a_use(self) -> "NetworkConfig":
        if self.imputation.method != "none" and self.fusion in WITHOUT_IMPUTATION:
            raise ValueError(
                f"imputation {self.imputation.method!r} is of no use with fusion {self.fusion!r}, where a missing "
                f"modality is left out; use fusion feature or attended"
            )
        return self

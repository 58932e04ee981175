"""The `gnn:` section of a config: which recommender, and every recommender's own settings.

No recommender but the network is known here: the others are found by name (`gnn/registry.py`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_validator,
)

from gnn.closed_form.config import HALF_LIVES, Recency, RecencyConfig
from gnn.network.config import NetworkConfig
from gnn.ranker.config import SecondStageConfig
from gnn.registry import COMPOSITE, RECOMMENDERS, SETTINGS, settings_of
from gnn.sections import NETWORK, Sectioned


def _no_composite(name: str) -> str:
    if name in COMPOSITE:
        raise ValueError(f"model {name!r} is made of others and cannot be a part; name its parts")
    return RECOMMENDERS.checked(name)


def _section(model: str) -> str:
    return "network" if model == NETWORK else model


ModelName = Annotated[str, AfterValidator(RECOMMENDERS.checked)]
PartName = Annotated[str, AfterValidator(_no_composite)]


class PartConfig(Sectioned):
    """One recommender of an ensemble, its settings in the section of its name (of `hetero`: `network`)."""

    model: PartName
    """Its name."""

    seed_offset: NonNegativeInt = 0
    """Added to the run's seed, so that two networks of one kind differ."""

    @classmethod
    def of(cls, model: str, settings: BaseModel, seed_offset: int = 0) -> Self:
        """A part from what it is made of."""
        return cls.model_validate({"model": model, "seed_offset": seed_offset, _section(model): settings})

    @property
    def settings(self) -> BaseModel:
        """The settings of the recommender named."""
        return self.sections.get(_section(self.model)) or settings_of(self.model)()

    @classmethod
    def owner(cls, section: str) -> str | None:
        """`network` holds the settings of `hetero`."""
        return NETWORK if section == _section(NETWORK) else super().owner(section)

    @classmethod
    def keys(cls) -> list[str]:
        """All keys a part takes."""
        return [*super().keys(), _section(NETWORK)]

    @classmethod
    def read_sections(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Of all sections the part's own is kept; it is there wherever there is something to set."""
        read, model = super().read_sections(raw), raw.get("model")
        kept = {key: value for key, value in read.items() if key in cls.model_fields}
        if isinstance(model, str) and cls.owner(_section(model)) == model and settings_of(model).model_fields:
            kept[_section(model)] = read.get(_section(model)) or settings_of(model)()
        return kept


class EnsembleConfig(BaseModel, extra="forbid"):
    """A weighted sum of recommenders, each user's scores normalised first."""

    parts: tuple[PartConfig, ...] = Field((PartConfig(model="hetero"), PartConfig(model="graph_filter")), min_length=1)
    """What is summed."""

    weights: tuple[NonNegativeFloat, ...] | None = None
    """One weight a part; None chooses them on validation (0 is allowed and leaves a part out)."""

    normalise: Literal["z", "rank"] = "z"
    """How parts are made comparable: scores over their deviation, or each item's place in the part's ranking."""

    max_dimensions: PositiveInt | None = None
    """Deliver one dot product of at most this many dimensions, for vector indexes; None keeps the exact sum."""


class AutoConfig(BaseModel, extra="forbid"):
    """What the automatic choice looks at."""

    closed_forms: tuple[PartName, ...] = ("graph_filter", "ease", "popularity")
    """Recommenders that are candidates beside the networks, with the settings of their sections."""

    networks: tuple[NetworkConfig, ...] | None = None
    """Network settings that are compared; None takes the declared space of `gnn/automatic.py`."""

    copies: PositiveInt = 2
    """Networks trained with the winning settings, each with its own seed."""

    max_pairs: PositiveInt = 3_000_000
    """Training interactions above which only the first network of the space is trained, once."""

    second_stage: bool = True
    """Try the second stage (`ranked`) last; it is kept where validation gains. Not with `ensemble.max_dimensions`,
    since no dot product does what it does."""


class RankedConfig(SecondStageConfig, extra="forbid"):
    """A retriever, and the second stage over it."""

    retriever: ModelName = "auto"
    """What finds the candidates, with the settings of its section here."""

    @field_validator("retriever")
    @classmethod
    def _one_second_stage(cls, name: str) -> str:
        if name == "ranked":
            raise ValueError("retriever 'ranked' would order what is ordered; name what finds the candidates")
        return name


class GNNConfig(NetworkConfig, Sectioned, extra="allow"):
    """The recommender of a run. `{}` is the automatic choice.

    The network's settings stand here directly (`embedding_dim: 64`), those of every other recommender in a section of
    its name (`ease: {regularisation: 100}`). Under `model: auto` those that are set hold for every candidate and the
    others are chosen.
    """

    model: ModelName = "auto"
    """`auto` compares closed forms and networks on validation and combines them; the others are used as named."""

    recency: Recency = HALF_LIVES
    """Days after which an interaction counts half in popularity and in the closed forms' histories: one number, several
    of which each takes the best on validation (none included), or null. A section's own `recency` goes before it."""

    ensemble: EnsembleConfig = EnsembleConfig()
    """Settings of the ensemble."""

    auto: AutoConfig = AutoConfig()
    """Settings of the automatic choice."""

    ranked: RankedConfig = RankedConfig()
    """Settings of the second stage."""

    @classmethod
    def of(cls, model: str, settings: BaseModel) -> Self:
        """A section that fits one recommender with these settings."""
        if isinstance(settings, NetworkConfig):
            return cls.model_validate({"model": model, **settings.model_dump(exclude_unset=True)})
        return cls.model_validate({"model": model, model: settings})

    def settings(self, model: str) -> BaseModel:
        """The settings of the recommender named, as they stand here."""
        if model == NETWORK:
            return self.network()
        if model == "ensemble":
            return self.ensemble
        own = self.sections.get(model) or settings_of(model)()
        if isinstance(own, RecencyConfig) and {"recency"} & self.model_fields_set - own.model_fields_set:
            return own.model_copy(update={"recency": self.recency})
        return own

    def network(self) -> NetworkConfig:
        """The network's settings alone."""
        return NetworkConfig(**{name: getattr(self, name) for name in NetworkConfig.model_fields})

    def fixed(self) -> dict[str, object]:
        """The network settings that were given, as opposed to left at their default."""
        return {name: getattr(self, name) for name in NetworkConfig.model_fields if name in self.model_fields_set}

    @classmethod
    def read_sections(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Those of this package are there where they are not given, too: a resolved config tells every default."""
        own = {name: settings_of(name) for name in SETTINGS if cls.owner(name)}
        return {n: kind() for n, kind in own.items() if kind.model_fields} | super().read_sections(raw)

"""Settings of the recommenders that are solved, not trained; read without loading what solves them."""

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from gnn.network.config import Modality

Recency = PositiveFloat | tuple[PositiveFloat, ...] | None
"""Half-life in days; of several validation takes the best, none included; None = age is no matter."""

HALF_LIVES: Recency = (7.0, 30.0, 180.0)
"""Compared where nothing is set."""


class RecencyConfig(BaseModel, extra="forbid"):
    """How fast interactions grow old."""

    recency: Recency = HALF_LIVES
    """Days after which an interaction counts half; several: the best on validation, or none; null: all count alike.
    Without timestamps it changes nothing."""


class PopularityConfig(RecencyConfig, extra="forbid"):
    """Nothing but since when what is popular is counted."""


class EASEConfig(RecencyConfig, extra="forbid"):
    """How strongly the weights are held small, what media count, and where the exact form ends."""

    regularisation: PositiveFloat | None = None
    """L2 penalty; None takes the best of `candidates` on validation."""

    candidates: tuple[PositiveFloat, ...] = Field((10.0, 30.0, 100.0, 300.0, 1000.0), min_length=1)
    """Ascending penalties where `regularisation` is None: from the middle one downhill is left off."""

    media_weights: dict[Modality, NonNegativeFloat] | None = {}
    """Modality -> what a media neighbourhood counts beside a user's history; `{}` leaves media out, None takes the
    best of `media_candidates` for each modality on validation."""

    media_candidates: tuple[NonNegativeFloat, ...] = Field((0.0, 1.0, 3.0, 10.0, 30.0), min_length=1)
    """Ascending weights where `media_weights` is None."""

    search_users: PositiveInt = 20_000
    """Validation users a choice looks at (a seeded sample); an eighth of them above `dense_limit` items."""

    dense_limit: PositiveInt = 10_000
    """Items above which the low-rank form is used (the exact one holds items x items float32, three times)."""

    rank: PositiveInt = 512
    """Singular vectors kept in the low-rank form."""


class FilterParameters(BaseModel, extra="forbid"):
    """The numbers in the filter's formula."""

    user_exponent: float = Field(0.35, ge=0, le=1)
    """a: users with long histories count less in the co-occurrence, by degree^-2a."""

    input_exponent: float = Field(0.35, ge=0, le=1)
    """bi: popular items in the history count less."""

    output_exponent: float = Field(0.25, ge=0, le=1)
    """bo: popular items are scored lower."""

    power: float = Field(0.85, gt=0, le=3)
    """p: element-wise power of the normalised co-occurrence; under 1 evens it out."""

    diagonal: float = Field(1.0, ge=0)
    """s: what the diagonal is multiplied with."""

    hops: tuple[float, float] = (1.5, 2.0)
    """al, a2: weight of the history smoothed once and twice over the media links."""

    modality_weights: dict[str, float] = {"text": 0.7, "image": 0.3, "audio": 0.3}
    """w: share of each modality in the media links; those the graph lacks are ignored and the rest sum to 1."""

    low_rank_weight: float = Field(0.0, ge=0)
    """Weight of the filter's own truncation to `low_rank` singular vectors, added to it."""

    cold_weight: float = Field(2.0, ge=0)
    """c: how alike an item nobody has in train is to itself, by the mean of the others, so that histories reach it
    over the media links."""


class GraphFilterConfig(RecencyConfig, extra="forbid"):
    """Fixed parameters, or a search for them on validation."""

    parameters: FilterParameters | None = None
    """None searches for them on validation; without validation pairs the defaults are used."""

    low_rank: NonNegativeInt = 16
    """Singular vectors of the truncation that `low_rank_weight` blends in (dense form only)."""

    search_users: PositiveInt = 3000
    """Validation users the search looks at (a seeded sample); fewer above `dense_limit` items, down to an eighth. There
    long histories leave only output exponent, hops and cold weight to be searched."""

    search_rounds: PositiveInt = 1
    """Passes of the coordinate search over all parameters; a last one over the quick ones follows."""

    dense_limit: PositiveInt = 10_000
    """Items above which every matrix stays sparse and rows are pruned."""

    row_entries: PositiveInt = 300
    """Entries kept in each row of a pruned matrix."""


class ItemKNNConfig(RecencyConfig, extra="forbid"):
    """How many neighbours, and how much weakly supported similarities are held down."""

    k: PositiveInt = 100
    """Neighbours kept for each item."""

    shrinkage: float = Field(10.0, ge=0)
    """Added to the product of norms: similarities that rest on few users shrink towards 0."""

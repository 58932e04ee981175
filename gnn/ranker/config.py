"""Settings of the second stage; read without loading what learns it."""

from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt


class TreesConfig(BaseModel, extra="forbid"):
    """How the trees grow."""

    rounds: PositiveInt = 200
    """Trees."""

    leaves: int = Field(7, ge=2, le=255)
    """Leaves of a tree, at most."""

    learning_rate: PositiveFloat = 0.05
    """What each tree adds of what it found."""

    feature_share: float = Field(0.5, gt=0, le=1)
    """Share of the features that each tree may look at."""

    least_rows: PositiveInt = 20
    """Training rows in a leaf, at least."""


class SecondStageConfig(BaseModel, extra="forbid"):
    """What is ordered anew, and on what the order is learned."""

    candidates: int = Field(200, ge=1, le=10_000)
    """Items of the retriever's list that are ordered anew."""

    learn_on: Literal["train", "validation"] = "train"
    """`train` holds interactions back, fits the retriever on the others and learns from what it could not know;
    `validation` learns on the validation pairs themselves: they then measure nothing that others could be held
    against."""

    share: float = Field(0.15, gt=0, lt=1)
    """Share of the training interactions that is held back to learn on."""

    negatives: PositiveInt = 60
    """Candidates that the user did not choose in each list learned from, drawn evenly: more of the first ones teach the
    trees that what the retriever puts first is bad."""

    blend: NonNegativeFloat | None = None
    """What the retriever's own score counts beside the trees', both of a user; None takes the best on validation."""

    leave_out: tuple[str, ...] = ()
    """Groups of evidence that are not looked at: `model`, `together`, `friends`, `popular`, `history`, a modality, a
    relation."""

    trees: TreesConfig = TreesConfig()
    """How the trees grow."""

"""Who meets which variant: a function of user id and design alone, the same on every machine, with nothing stored.

Each question (layer, holdout, ramp, variant) hashes the id with a salt of its own, so that their answers are
independent of one another (Kohavi, Tang and Xu 2020, chapters 4 and 14; Tang et al. 2010 for layers).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.ab import assign
from evaluation.experiments.design import ExperimentDesign
from evaluation.hashing import points

Reason = Literal["excluded", "holdout", "layer", "ramp"]
"""Why a user is in no variant: named by hand, held out, of another experiment's slice, or not yet."""


@dataclass(frozen=True)
class Assigned:
    """One user's place."""

    variant: str | None
    reason: Reason | None
    """Given where there is no variant."""


def assign_users(user_ids: Sequence[str], design: ExperimentDesign, excluded: Collection[str] = ()) -> list[Assigned]:
    """Each user's variant, or why there is none; the first reason of `Reason`'s order counts."""
    variants = assign(user_ids, design.variants, salt=design.name)
    reasons: list[Reason | None] = ["excluded" if user in excluded else None for user in user_ids]

    def leave(reason: Reason, outside: np.ndarray) -> None:
        for place in np.flatnonzero(outside):
            reasons[place] = reasons[place] or reason

    if design.holdout:
        leave("holdout", points(user_ids, f"holdout\0{design.holdout.name}") < design.holdout.share)
    if design.layer:
        at = points(user_ids, f"layer\0{design.layer.name}")
        leave("layer", (at < design.layer.start) | (at >= design.layer.end))
    if design.ramp < 1:
        leave("ramp", points(user_ids, f"ramp\0{design.name}") >= design.ramp)
    return [Assigned(None, r) if r else Assigned(v, None) for v, r in zip(variants, reasons, strict=True)]

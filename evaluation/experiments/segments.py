"""Which users gained: the effect within the values of a column."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from evaluation.experiments.arms import Difference, compare_arms
from evaluation.experiments.design import ExperimentDesign
from evaluation.experiments.event_units import Units
from evaluation.significance import holm

FEWEST = 20
"""Users in each variant under which a segment is left out."""
_MOST = 20
"""Values of a column that are looked at, the most frequent ones."""


@dataclass(frozen=True, kw_only=True)
class SegmentEffect(Difference):
    """One metric of one variant within one segment."""

    segment: str
    value: str
    metric: str
    variant: str
    users: int
    """Of variant and control."""
    p_holm: float | None
    """Over all segments, metrics and variants."""


def segment_effects(
    found: Units, design: ExperimentDesign, values: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[tuple[SegmentEffect, ...], list[str]]:
    """Each metric (above and below the line, by user) within each segment; and sentences on what was left out.

    Not adjusted by CUPED.
    """
    rows, left = [], []
    control = found.variant == found.names.index(design.control)
    for column, of in found.segments.items():
        counts = of.drop_nulls().value_counts(sort=True)
        named = counts[column if column in counts.columns else counts.columns[0]].to_list()
        small = list(named[_MOST:])
        for value in named[:_MOST]:
            here = (of == value).fill_null(False).to_numpy()
            for place, variant in enumerate(found.names):
                if variant == design.control:
                    continue
                there = found.variant == place
                if min((here & there).sum(), (here & control).sum()) < FEWEST:
                    small.append(value)
                    continue
                for metric, both in values.items():
                    arms = [found.arm(name, both, here) for name in (variant, design.control)]
                    tested = compare_arms(*arms, rate=design.metrics[metric].kind == "rate")
                    facts = {"segment": column, "value": value, "metric": metric, "variant": variant}
                    users = int((here & (there | control)).sum())
                    rows.append(SegmentEffect(**vars(tested), **facts, users=users, p_holm=None))
        if unknown := of.null_count():
            left.append(f"{column}: unknown of {unknown:,} users.")
        if small:
            named_so = ", ".join(dict.fromkeys(small[:5]))
            left.append(f"{column}: {len(dict.fromkeys(small))} values with few users are left out ({named_so}).")
    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return tuple(row if row.p is None else replace(row, p_holm=next(corrected)) for row in rows), left

"""Events -> one row for each exposed user, and what each did on each day.

Everything is lazy until users are counted, so that memory follows the users and their days, not the events.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from common.text import one_line
from evaluation.errors import EvaluationError
from evaluation.experiments.arms import Arm
from evaluation.experiments.design import ExperimentDesign, Metric

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Units:
    """The users of an experiment, in one order everywhere."""

    names: tuple[str, ...]
    """The variants."""
    variant: Int[np.ndarray, "users"]
    """Place in `names`."""
    exposed: Int[np.ndarray, "users"]
    """Day of the first exposure, from 0."""
    cluster: Int[np.ndarray, "users"] | None
    segments: dict[str, pl.Series]
    """Column -> value of each user as text, null where unknown."""
    daily: pl.DataFrame
    """`unit, event, day, count, total`: what was done after the exposure."""
    past: pl.DataFrame
    """`unit, event, count, total`: what was done before the start."""
    has_past: Int[np.ndarray, "users"]
    """1 where any event of the user is older than the start."""
    first_day: datetime
    days: int
    """From the first exposure's day to the last event's."""
    crossed: int
    """Users in two variants, left out."""
    unexposed: int
    """Users with outcomes and without an exposure, left out."""

    def outcome(self, metric: Metric, days: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Above and below the line for each user (below: 1 unless a ratio), on days [first, last) or all."""
        rows = self.daily
        if days is not None:
            rows = rows.filter((pl.col("day") >= days[0]) & (pl.col("day") < days[1]))
        return self._summed(rows, metric)

    def arm(
        self, name: str, values: tuple[np.ndarray, np.ndarray], among: Bool[np.ndarray, "users"] | None = None
    ) -> Arm:
        """The users of a variant (those `among` them) with their values above and below the line."""
        mine = self.variant == self.names.index(name)
        mine = mine if among is None else mine & among
        return Arm(values[0][mine], values[1][mine], None if self.cluster is None else self.cluster[mine])

    def before(self, metric: Metric) -> Float[np.ndarray, "users"]:
        """What stands above the line in the past; NaN for a user who has none."""
        above, _ = self._summed(self.past, metric)
        return np.where(self.has_past > 0, above, np.nan)

    def _summed(self, rows: pl.DataFrame, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
        above = self._of(rows, metric.event, "total" if metric.value else "count")
        if metric.kind == "rate":
            above = (above > 0).astype(np.float64)
        below = self._of(rows, metric.per, "count") if metric.per else np.ones(len(self.variant))
        return above, below

    def _of(self, rows: pl.DataFrame, event: str, column: str) -> Float[np.ndarray, "users"]:
        rows = rows.filter(pl.col("event") == event)
        weights = rows[column].to_numpy()
        return np.bincount(rows["unit"].to_numpy(), weights=weights, minlength=len(self.variant))


def units(events: pl.LazyFrame, design: ExperimentDesign, assignment: pl.LazyFrame | None = None) -> Units:
    """Aggregate the events of an experiment.

    Args:
        events: the columns that `design.columns` names.
        design: of the experiment.
        assignment: `user_id, variant`, where exposures do not say the variant or nobody logged exposures: then all of
            its users count, from the start on.

    Raises:
        EvaluationError: a column that is missing or unreadable, no user, a variant that the design lacks.
    """
    log = _log(events, design, needs_variant=assignment is None)
    met = _exposed(log, design, assignment)
    crossed = met.filter(pl.col("variants") > 1)
    met = met.filter(pl.col("variants") == 1).sort("user").with_row_index("unit")
    if met.is_empty():
        raise EvaluationError(f"no user has an event {design.exposure!r} in {design.name}; see exposure, start and end")
    return _units(log, met, crossed, design.start or met["first"].min(), design)


def past_units(events: pl.LazyFrame, design: ExperimentDesign, *, days: int) -> Units:
    """The users of the last `days` days of a log that knows no experiment: all in control, met at their first event.

    What is older is the past that CUPED would adjust by.
    """
    log = _log(events, design, needs_variant=False)
    last = _collected(log.select(pl.col("time").max()))[0].item()
    if last is None:
        raise EvaluationError("the past events are none; give a log with at least one")
    start = last.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    facts = [pl.col(name).drop_nulls().first() for name in _facts(log)]
    came = log.filter(pl.col("time") >= start).group_by("user").agg(pl.col("time").min().alias("first"), *facts)
    met = _collected(came)[0].sort("user").with_row_index("unit").with_columns(pl.lit(design.control).alias("variant"))
    return _units(log, met, met.clear(), start, design)


def _units(log: pl.LazyFrame, met: pl.DataFrame, crossed: pl.DataFrame, start: Any, design: ExperimentDesign) -> Units:
    unknown = sorted(set(met["variant"].unique().to_list()) - set(design.variants))
    if unknown:
        raise EvaluationError(f"variant {unknown[0]!r} is not in the design (has {', '.join(design.variants)})")
    origin = start.replace(hour=0, minute=0, second=0, microsecond=0)
    wanted = sorted({event for m in design.metrics.values() for event in (m.event, m.per) if event})
    daily, past, known, strangers = _done(log, met, crossed, start, origin, wanted)
    names = tuple(design.variants)
    exposed = _day(met["first"], origin)
    last = max(int(exposed.max()), int(daily["day"].to_numpy().max(initial=0)))
    return Units(
        names=names,
        variant=met["variant"].replace_strict(list(names), list(range(len(names))), return_dtype=pl.Int32).to_numpy(),
        exposed=exposed,
        cluster=met["cluster"].rank("dense").to_numpy().astype(np.int64) - 1 if design.cluster else None,
        segments={name: met[f"segment:{name}"] for name in design.segments},
        daily=daily,
        past=past,
        has_past=np.bincount(known, minlength=len(met)),
        first_day=origin,
        days=last + 1,
        crossed=len(crossed),
        unexposed=strangers,
    )


def _log(events: pl.LazyFrame, design: ExperimentDesign, *, needs_variant: bool) -> pl.LazyFrame:
    """The events under our names: `user, variant, time, event, value`, segments and cluster."""
    c, schema = design.columns, events.collect_schema()
    valued = any(metric.value for metric in design.metrics.values())
    needed = [c.user, c.timestamp, c.event, *[c.variant] * needs_variant, *[c.value] * valued]
    needed += [*design.segments, *([design.cluster] if design.cluster else [])]
    if missing := [name for name in needed if name not in schema.names()]:
        has = ", ".join(schema.names())
        raise EvaluationError(f"events: column {missing[0]!r} is missing (has {has}); name it in the design's columns")
    columns = {
        "user": pl.col(c.user).cast(pl.String),
        "time": _time(c.timestamp, schema[c.timestamp]),
        "event": pl.col(c.event).cast(pl.String),
        "variant": pl.col(c.variant).cast(pl.String) if needs_variant else pl.lit(None, pl.String),
        "value": pl.col(c.value).cast(pl.Float64).fill_null(0.0) if valued else pl.lit(0.0),
        "cluster": pl.col(design.cluster).cast(pl.String) if design.cluster else pl.lit(None, pl.String),
        **{f"segment:{name}": pl.col(name).cast(pl.String) for name in design.segments},
    }
    log = events.select(**columns).filter(pl.col("user").is_not_null())
    return log.filter(pl.col("time") < design.end) if design.end else log


def _time(name: str, kind: pl.DataType) -> pl.Expr:
    column, utc = pl.col(name), pl.Datetime("us", "UTC")
    if isinstance(kind, pl.Datetime):
        shifted = column.dt.convert_time_zone("UTC") if kind.time_zone else column.dt.replace_time_zone("UTC")
        return shifted.cast(utc)
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if kind == pl.String:
        return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=True)
    if not kind.is_numeric():
        raise EvaluationError(f"events: column {name!r} holds {kind}, no times; give seconds or ISO 8601")
    number = column.cast(pl.Float64)  # seconds are under 1e11 until the year 5138, milliseconds over it since 1973
    scale = pl.when(number < 1e11).then(1e6).when(number < 1e14).then(1e3).otherwise(1.0)
    return (number * scale).cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _exposed(log: pl.LazyFrame, design: ExperimentDesign, assignment: pl.LazyFrame | None) -> pl.DataFrame:
    """`user, variant, variants (how many), first, cluster, segment:...`."""
    during = log.filter(pl.col("time") >= design.start) if design.start else log
    met = during.filter(pl.col("event") == design.exposure)
    facts = _facts(log)
    first = [pl.col("time").min().alias("first"), *(pl.col(name).drop_nulls().first() for name in facts)]
    if assignment is None:
        seen = pl.col("variant").drop_nulls()
        found = met.group_by("user").agg(seen.first(), seen.n_unique().alias("variants"), *first)
        return _collected(found.filter(pl.col("variants") > 0))[0]
    drawn = assignment.select(user=pl.col("user_id").cast(pl.String), variant=pl.col("variant").cast(pl.String))
    drawn = drawn.drop_nulls().group_by("user").agg(pl.col("variant").first(), variants=pl.col("variant").n_unique())
    came = _collected(met.group_by("user").agg(*first))[0]
    if len(came):
        return came.join(_collected(drawn)[0], on="user", how="inner")
    if facts and design.cluster:
        raise EvaluationError(f"no event {design.exposure!r} says the {design.cluster!r} of a user; log exposures")
    if design.start is None:
        raise EvaluationError("nobody logged exposures: the design has to give the start")
    filled = [pl.lit(None, pl.String).alias(name) for name in facts]
    return _collected(drawn.with_columns(pl.lit(design.start).dt.cast_time_unit("us").alias("first"), *filled))[0]


def _facts(log: pl.LazyFrame) -> list[str]:
    """What is read of a user beside the variant."""
    return [name for name in log.collect_schema().names() if name.startswith("segment:") or name == "cluster"]


def _done(
    log: pl.LazyFrame,
    met: pl.DataFrame,
    crossed: pl.DataFrame,
    start: datetime,
    origin: datetime,
    wanted: list[str],
) -> tuple[pl.DataFrame, pl.DataFrame, np.ndarray, int]:
    """Daily outcomes, the past, units that have one, and how many users with outcomes were never exposed."""
    keys = pl.concat(
        [met.select("user", "unit", "first"), crossed.select("user", unit=None, first=None)], how="vertical_relaxed"
    )
    joined = log.join(keys.lazy(), on="user", how="left")
    counted = [pl.len().alias("count").cast(pl.Float64), pl.col("value").sum().alias("total")]
    ours, outcome = pl.col("unit").is_not_null(), pl.col("event").is_in(wanted)
    day = ((pl.col("time") - origin).dt.total_microseconds() // _DAY_US).cast(pl.Int32).alias("day")
    daily = (
        joined.filter(ours & outcome & (pl.col("time") >= pl.col("first"))).group_by("unit", "event", day).agg(counted)
    )
    old = joined.filter(ours & (pl.col("time") < start)).group_by("unit", "event").agg(counted)
    strange = (
        log.filter(outcome & (pl.col("time") >= start)).select("user").unique().join(keys.lazy(), on="user", how="anti")
    )
    done, past, strangers = _collected(daily, old, strange.select(pl.len()))
    return done, past.filter(outcome), past["unit"].unique().to_numpy(), int(strangers.item())


def _day(times: pl.Series, origin: datetime) -> Int[np.ndarray, "users"]:
    return ((times - origin).dt.total_microseconds() // _DAY_US).to_numpy().astype(np.int64)


def _collected(*frames: pl.LazyFrame) -> list[pl.DataFrame]:
    """Several at once read what they share only once."""
    try:
        return pl.collect_all(frames, engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise EvaluationError(f"events: not readable ({one_line(error)}); see the design's columns") from error

"""Experiments: what one takes, who meets which variant, and what came of it."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import polars as pl
from pydantic import BaseModel, ValidationError

from common.files import write_whole
from common.problems import place, sentence
from common.text import suggestion
from evaluation.experiments.analysis import analyse_experiment
from evaluation.experiments.assignment import Assigned, assign_users
from evaluation.experiments.design import Columns, ExperimentDesign, Holdout, Layer, Metric
from evaluation.experiments.event_units import past_units, units
from evaluation.experiments.report import findings, write_experiment
from evaluation.experiments.simulated_plan import MetricPlan, detectable, plan_on_past, users_needed
from modalweave.config import read_config
from modalweave.errors import ConfigError, RunError
from modalweave.progress import Stages
from modalweave.results.experiment import Assignment, ExperimentPlan, ExperimentResult
from modalweave.stages.event_files import open_events, open_table

_BLOCK = 100_000
_KEYS: dict[str, type[BaseModel]] = {"columns": Columns, "metrics": Metric, "layer": Layer, "holdout": Holdout}


def read_design(path: Path) -> ExperimentDesign:
    """A design from its YAML file. Raises `ConfigError` in one line that names the key."""
    try:
        return ExperimentDesign.model_validate(read_config(path))
    except ValidationError as error:
        problem = error.errors()[0]
        at = place(problem)
        if problem["type"] == "extra_forbidden":
            known = (_KEYS[at[0]] if len(at) > 1 else ExperimentDesign).model_fields
            raise ConfigError(f"{path}: unknown key {'.'.join(at)!r}; {suggestion(at[-1], known)}") from None
        if problem["type"] == "missing":
            raise ConfigError(f"{path}: {'.'.join(at)} is missing; give it") from None
        raise ConfigError(f"{path}: {'.'.join(at)}{': ' if at else ''}{sentence(error)}") from None


def plan_by_formula(
    baseline: float,
    deviation: float,
    *,
    effect: float,
    variants: int,
    alpha: float,
    power: float,
    daily: int | None,
    days: int,
) -> ExperimentPlan:
    """One metric of which a mean and a deviation (of a rate p: sqrt(p (1 - p))) are known."""
    names = ["control", *(f"variant {n}" for n in range(1, variants))]
    design = ExperimentDesign(name="experiment", variants=dict.fromkeys(names, 1.0), control="control", alpha=alpha)
    users = users_needed(baseline, deviation, effect, design, power=power)
    came = daily * days if daily else None
    plan = MetricPlan(
        baseline=baseline,
        deviation=deviation,
        effect=effect,
        users=users,
        days=-(-users // daily) if daily else None,
        detectable=detectable(baseline, deviation, came, design, power=power) if came else None,
        available=came,
        variance_removed=0.0,
        simulated=None,
    )
    return _plan(design, {"metric": plan}, power)


def plan_from_past(
    source: str,
    design: ExperimentDesign,
    *,
    table: str,
    effect: float,
    days: int,
    power: float,
    runs: int,
    seed: int,
    stages: Stages,
) -> ExperimentPlan:
    """Every metric of the design, from the last `days` days of a log, checked by simulation."""
    with stages.stage("events", "Reading past events"):
        found = past_units(open_events(source, table=table, columns=_columns(design)), design, days=days)
    with stages.stage("simulation", "Simulating experiments"):
        return _plan(design, plan_on_past(found, design, effect=effect, power=power, runs=runs, seed=seed), power)


def assign_stream(lines: Iterable[str], out: TextIO, design: ExperimentDesign, *, exclude: Path | None) -> None:
    """`user_id,variant,reason` for each line, which is one id, as it comes."""
    excluded = read_ids(exclude) if exclude else frozenset()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("user_id", "variant", "reason"))
    for line in lines:
        user = line.rstrip("\r\n")
        if user:
            (found,) = assign_users([user], design, excluded)
            writer.writerow((user, found.variant or "", found.reason or ""))
            out.flush()


def assign_file(users: Path, out: Path, design: ExperimentDesign, *, exclude: Path | None) -> Assignment:
    """The same as a table, `.csv` or `.parquet`."""
    if out.suffix not in (".csv", ".parquet"):
        raise RunError(f"{out}: assignments are written as .csv or .parquet; name such a file")
    excluded = read_ids(exclude) if exclude else frozenset()
    ids = sorted(read_ids(users))
    found = list(_assigned(ids, design, excluded))
    columns = {
        "user_id": ids,
        "variant": [f.variant for f in found],
        "reason": [f.reason for f in found],
    }
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    write_whole(out, table.write_csv if out.suffix == ".csv" else table.write_parquet)
    return Assignment(
        name=design.name,
        users=len(ids),
        variants={name: sum(f.variant == name for f in found) for name in design.variants},
        left_out=dict(Counter(f.reason for f in found if f.reason)),
        out=str(out),
    )


def read_ids(path: Path) -> frozenset[str]:
    """Ids from a text file (one a line) or the `user_id` column of a table."""
    if path.suffix == ".txt":
        try:
            return frozenset(path.read_text(encoding="utf-8").split("\n")) - {""}
        except UnicodeDecodeError as error:
            raise RunError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from None
    frame = open_table(path)
    names = frame.collect_schema().names()
    if "user_id" not in names:
        raise RunError(f"{path}: column 'user_id' is missing (has {', '.join(names)}); rename it")
    ids = frame.select(pl.col("user_id").cast(pl.String).drop_nulls().unique()).collect()
    return frozenset(ids["user_id"].to_list())


def analyse(
    source: str, design: ExperimentDesign, *, table: str, assignment: Path | None, out: Path | None, stages: Stages
) -> ExperimentResult:
    """Test every metric and write the page (`NAME.html` unless `out` names another)."""
    with stages.stage("events", "Reading events"):
        drawn = open_table(assignment) if assignment else None
        found = units(open_events(source, table=table, columns=_columns(design)), design, drawn)
    with stages.stage("tests", "Testing"):
        analysis = analyse_experiment(found, design)
    page = out or Path(f"{_file_name(design.name)}.html")
    said = tuple(findings(analysis, design))
    write_experiment(page, analysis, design, said)
    return ExperimentResult(events=source, findings=said, analysis=analysis, page=str(page))


def _assigned(ids: list[str], design: ExperimentDesign, excluded: Collection[str]) -> Iterator[Assigned]:
    rest = iter(ids)
    while block := list(islice(rest, _BLOCK)):
        yield from assign_users(block, design, excluded)


def _plan(design: ExperimentDesign, metrics: dict[str, MetricPlan], power: float) -> ExperimentPlan:
    return ExperimentPlan(
        name=design.name,
        variants=design.shares(),
        alpha=design.alpha,
        power=power,
        claims=design.claims(),
        metrics=metrics,
        users=max((plan.users for plan in metrics.values()), default=0),
    )


def _columns(design: ExperimentDesign) -> frozenset[str]:
    named = design.columns.model_dump().values()
    return frozenset([*named, *design.segments, *([design.cluster] if design.cluster else [])])


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name) or "experiment"

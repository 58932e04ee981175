"""A measurement as tables on a terminal."""

import json

from evaluation.headline import percent
from evaluation.measures import group_label, measure_label
from evaluation.verdict import ALPHA
from modalweave.cli.grid import Grid, plain
from modalweave.progress import out
from modalweave.results.beyond import BeyondAccuracy
from modalweave.results.classification import Classification
from modalweave.results.metric import Metric
from modalweave.results.metrics import EvaluateResult, Measurement, NewItems, TrainResult

_LEAST = 0.01
"""Share of a kind of evidence that is named."""


def metrics(result: Measurement) -> None:
    """Every metric with its interval, and what stands beside it."""
    if isinstance(result, EvaluateResult):
        beside_baselines(result)
    else:
        grid = Grid(f"Metrics on {result.split} (95 % interval)", "metric", "model")
        for metric, value in result.metrics.items():
            grid.add_row(metric, repr(value))
        out.print(grid)
    if result.note:
        out.print(f"[yellow]note[/yellow] {plain(result.note)}", soft_wrap=True)
    if result.new_items is not None:
        new_items(result.new_items)
    if isinstance(result, EvaluateResult) and result.beyond_accuracy:
        beyond_accuracy(result.beyond_accuracy)
    if isinstance(result, EvaluateResult) and result.classification:
        classification(result.classification)
    if isinstance(result, EvaluateResult) and result.evidence:
        shares = sorted(((k, s) for k, s in result.evidence["all"].items() if s >= _LEAST), key=lambda pair: -pair[1])
        out.print("What orders the lists: " + ", ".join(f"{plain(kind)} {share:.0%}" for kind, share in shares))
    if isinstance(result, TrainResult) and result.chosen:
        out.print(f"Chosen on validation: {plain(json.dumps(result.chosen))}")


def beside_baselines(result: EvaluateResult) -> None:
    """The headline, then every metric, a column a model: the baselines' means and by how much the model is ahead."""
    if result.headline:
        out.print(plain(result.headline), soft_wrap=True)
    grid = Grid(f"Metrics on {result.split} (95 % interval; % ahead of each, ? may be chance)", "metric", "model")
    for name in result.baselines:
        grid.add_column(name, justify="right")
    leads = {(row.baseline, row.metric): row.lead for row in result.comparisons}
    for metric, value in result.metrics.items():
        others = {name: values[metric] for name, values in result.baselines.items() if metric in values}
        cells = [f"{other.mean:.4f} {leads.get((name, metric), '')}".rstrip() for name, other in others.items()]
        grid.add_row(metric, _short(value), *cells)
    out.print(grid)


def beyond_accuracy(found: BeyondAccuracy) -> None:
    """What the lists are like beside the baselines' lists, how popular, and which groups are served worse."""
    grid = Grid(f"Beyond accuracy, lists of {found.k} (95 % interval)", "measure", "model")
    for name in found.baselines:
        grid.add_column(name, justify="right")
    for metric, value in found.metrics.items():
        others = [values.get(metric) for values in found.baselines.values()]
        grid.add_row(measure_label(metric), _short(value), *(f"{o.mean:.4f}" if o else "" for o in others))
    out.print(grid)
    everybody = found.popularity_bias["all"].get("all")
    if everybody is not None:
        lift = everybody.lift
        sign = -1 if lift.mean < 0 else 1
        ends = sorted(sign * end for end in (lift.low, lift.high) if end is not None)
        size = f"{percent(sign * lift.mean)} %" + (f" [{', '.join(map(percent, ends))}]" if ends else "")
        said = f"Items in lists are {size} {'less' if sign < 0 else 'more'} popular than in histories"
        out.print(plain(said), soft_wrap=True)
    for grouping, fair in found.fairness.items():
        for metric, gap in fair.gaps.items():
            if gap.p < ALPHA:
                best, worst = group_label(grouping, gap.best), group_label(grouping, gap.worst)
                higher = f"{metric} is {gap.difference:.4f} higher for {best} than for {worst}"
                out.print(plain(f"Served unlike by {grouping}: {higher}"), soft_wrap=True)


def classification(found: Classification) -> None:
    """Every test pair: link or none."""
    values = ", ".join(f"{name.replace('_', ' ')} {value!r}" for name, value in found.metrics.items())
    said = f"{found.links:,} links of {found.pairs:,} pairs, accuracy of predicting none {found.never:.4f}"
    out.print(f"As classification: {values} ({said})", soft_wrap=True)


def _short(value: Metric) -> str:
    """`0.2278 [.213, .243]`: baselines stand beside it on 80 columns."""
    if value.low is None or value.high is None:
        return f"{value.mean:.4f}"
    low, high = (f"{end:.3f}".removeprefix("0") for end in (value.low, value.high))
    return f"{value.mean:.4f} [{low}, {high}]"


def new_items(found: NewItems) -> None:
    """How items that content alone reaches fare."""
    share = f"{100 * found.share_of_lists:.1f} % of the places in the lists"
    out.print(f"New items: {found.items:,} with media and no interaction in train; {share}")
    for name, value in list(found.among_new.items())[-1:]:
        chance = found.random[name]
        out.print(
            f"  {name} among them {value!r}, at random {chance:.4f} ({found.positives:,} held out)", soft_wrap=True
        )

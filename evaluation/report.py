"""The report of one evaluation as a single HTML file that needs no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_text
from common.page import Bar, Bars, Block, Cell, Paragraph, Section, Table, render
from evaluation.effects import ALPHA
from evaluation.errors import EvaluationError
from evaluation.evidence import EVIDENCE

_GROUPS: Mapping[str, tuple[str, str]] = {
    "user_activity": ("Users by training interactions", "{} interactions"),
    "item_popularity": ("Items by popularity (thirds of the training interactions)", "{} third"),
    "cold_items": ("Cold items", "{}"),
    "missing_modality": ("Items that lack a modality", "no {}"),
}
_MEANING: Mapping[str, str] = {
    "recall": "share of a user's held-out items that are among the first K",
    "precision": "share of the first K that are held-out items",
    "f1": "harmonic mean of precision and recall",
    "ndcg": "like recall, but a hit further up counts for more; 1 is the best possible order",
    "map": "mean precision at each hit, over min(K, held-out items)",
    "hit": "share of users with at least one hit among the first K",
    "mrr": "1 / rank of the first hit, averaged",
}


def write_report(path: Path, result: Mapping[str, Any], *, title: str, notes: Sequence[str] = ()) -> None:
    """Write the report; whole or not at all.

    Args:
        path: the `.html` file.
        result: as `metrics.json`: `split`, `k`, `metrics` and, where there, `slices`, `baselines` (name -> metrics),
            `comparisons` (rows of `significance.compare`), `evidence` (user group -> kind -> share), `seconds`, `seed`.
        title: shown as the heading.
        notes: paragraphs added under the summary, e.g. that the data is synthetic.

    Raises:
        EvaluationError: `metrics` or `k` is missing, or the file cannot be written.
    """
    for key in ("metrics", "k", "split"):
        if not result.get(key):
            raise EvaluationError(f"result has no {key!r} (has {', '.join(result)}); pass what `evaluate` returns")
    content = render(title, _blocks(result, notes))
    try:
        write_text(path, content)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _blocks(result: Mapping[str, Any], notes: Sequence[str]) -> list[Block]:
    models = {"this model": result["metrics"], **result.get("baselines", {})}
    depth = max(result["k"])
    out: list[Block] = [
        *map(Paragraph, [*_summary(models, depth, result["split"], result.get("comparisons", ())), *notes])
    ]
    shown = [name for name in (f"recall@{depth}", f"ndcg@{depth}") if name in result["metrics"]]
    charts = [_model_bars(models, name) for name in shown]
    out.append(Section("Metrics", [*charts, _metrics_table(models)]))
    if compared := result.get("comparisons"):
        out.append(Section("Is the difference real?", [_comparison_table(compared)]))
    if evidence := result.get("evidence"):
        out.append(_evidence_section(evidence))
    for group, slices in result.get("slices", {}).items():
        out.append(_slice_section(group, slices, depth))
    used = {name.partition("@")[0] for name in result["metrics"]}
    meanings = [[name, words] for name, words in _MEANING.items() if name in used]
    out.append(Section("What the metrics mean", [Table(["metric", "meaning"], meanings, words=True)]))
    facts = [[name, str(result[name])] for name in ("split", "seed", "device", "graph", "bundle") if name in result]
    facts += [[f"seconds: {stage}", f"{spent:.1f}"] for stage, spent in result.get("seconds", {}).items()]
    out.append(Section("How it was run", [Table(["fact", "value"], facts, words=True)]))
    return out


def _summary(models: Mapping[str, Any], depth: int, split: str, comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    name = f"recall@{depth}"
    ours = models["this model"].get(name)
    if ours is None:
        return _behind(models, comparisons)
    low, high = ours.get("ci95", (ours["mean"], ours["mean"]))
    text = [
        f"Of a user's held-out items ({split} split), on average {ours['mean']:.1%} are among the first {depth} "
        f"recommendations (95 % interval {low:.1%} to {high:.1%})."
    ]
    rivals = {rival: values[name]["mean"] for rival, values in models.items() if name in values}
    del rivals["this model"]
    if rivals:
        best = max(rivals, key=lambda rival: rivals[rival])
        text.append(f"{_ratio(ours['mean'], rivals[best])} the best baseline, {best} ({rivals[best]:.1%}).")
        text += [_chance(row) for row in comparisons if (row["baseline"], row["metric"]) == (best, name)]
    return [" ".join(text), *_behind(models, comparisons)]


def _ratio(ours: float, best: float) -> str:
    if not best:
        return "That is more than is reached by" if ours else "That is no more than is reached by"
    ratio = ours / best
    return f"That is {ratio:.2f} times as much as" if ratio >= 1 else f"That is {ratio:.0%} of what is reached by"


def _chance(row: Mapping[str, Any]) -> str:
    p = max(row["p_bootstrap"], row["p_wilcoxon"])
    said = "is more than chance would give" if _claimed(row) else "may be chance"
    low, high = row["ci95"]
    found = f"{row['difference']:+.2%} ({low:+.2%} to {high:+.2%})"
    return f"Over the same users the difference of {found} {said} (p = {p:.2g})."


def _behind(models: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where a baseline has the higher mean, whatever the headline says."""
    ours, said = models["this model"], []
    surely = {(row["baseline"], row["metric"]) for row in comparisons if _claimed(row)}
    for rival, values in models.items():
        found = [name for name in ours if name in values and ours[name]["mean"] < values[name]["mean"]]
        if found:
            marked = [f"{name} (more than chance)" if (rival, name) in surely else name for name in found]
            said.append(f"It is behind {rival} in {', '.join(marked)}.")
    return said


def _claimed(row: Mapping[str, Any]) -> bool:
    """Both tests, after Holm's correction."""
    return bool(max(row["p_bootstrap"], row["p_wilcoxon"]) < ALPHA)


def _model_bars(models: Mapping[str, Any], name: str) -> Bars:
    rows = [
        Bar(model, values[name]["mean"], _interval(values[name]), model == "this model")
        for model, values in models.items()
        if name in values
    ]
    return Bars(rows, f"{name}, mean over users; lines are 95 % intervals")


def _metrics_table(models: Mapping[str, Any]) -> Table:
    names = list(models["this model"])
    rows: list[list[Cell]] = [[name, *(_value(values.get(name)) for values in models.values())] for name in names]
    return Table(["metric", *models], rows, "Mean over users, with 95 % bootstrap interval")


def _comparison_table(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{row['metric']} against {row['baseline']}",
            (f"{row['difference']:+.4f}", f"{row['ci95'][0]:+.4f} to {row['ci95'][1]:+.4f}"),
            f"{row['p_bootstrap']:.4f}",
            f"{row['p_wilcoxon']:.2g}",
            ("ahead" if row["difference"] > 0 else "behind") if _claimed(row) else "may be chance",
        ]
        for row in comparisons
    ]
    headers = ["comparison", "difference", "p (bootstrap)", "p (Wilcoxon)", "this model is"]
    return Table(headers, rows, "Paired over users; p-values Holm-corrected over all rows")


def _evidence_section(evidence: Mapping[str, Mapping[str, float]]) -> Section:
    kinds = sorted(evidence["all"], key=lambda kind: -evidence["all"][kind])
    words = {kind: EVIDENCE.get(kind, f"in common: {kind}") for kind in kinds}
    rows = [Bar(words[kind], evidence["all"][kind]) for kind in kinds]
    body: list[list[Cell]] = [
        [words[kind], *(f"{shares.get(kind, 0):.1%}" for shares in evidence.values())] for kind in kinds
    ]
    headers = ["evidence", *("all users" if name == "all" else f"{name} interactions" for name in evidence)]
    chart = Bars(rows, "mean share of what orders a user's list")
    return Section("What orders the lists", [chart, Table(headers, body)])


def _slice_section(group: str, slices: Mapping[str, Any], depth: int) -> Section:
    heading, label = _GROUPS.get(group, (group, "{}"))
    name = f"recall@{depth}"
    rows = [
        Bar(
            f"{label.format(part)} ({values['users']} users)",
            values["metrics"][name]["mean"],
            _interval(values["metrics"][name]),
        )
        for part, values in slices.items()
        if name in values["metrics"]
    ]
    measured = dict.fromkeys(metric for values in slices.values() for metric in values["metrics"])
    names = [metric for metric in measured if metric.endswith(f"@{depth}") or "@" not in metric]
    body = [
        [
            label.format(part),
            f"{values['users']}",
            f"{values['positives']}",
            *(_value(values["metrics"].get(metric)) for metric in names),
        ]
        for part, values in slices.items()
    ]
    chart = [Bars(rows, f"{name} within each group")] if rows else []
    return Section(heading, [*chart, Table(["group", "users", "held-out items", *names], body)])


def _interval(value: Mapping[str, Any]) -> tuple[float, float] | None:
    return (value["ci95"][0], value["ci95"][1]) if "ci95" in value else None


def _value(value: Mapping[str, Any] | None) -> Cell:
    if value is None:
        return "–"
    interval = _interval(value)
    return (
        f"{value['mean']:.4f}" if interval is None else (f"{value['mean']:.4f}", f"{interval[0]:.4f}–{interval[1]:.4f}")
    )

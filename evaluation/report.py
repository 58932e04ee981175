"""The report of one evaluation as a single HTML file that needs no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_text
from common.page import Bar, Bars, Block, Cell, Paragraph, Section, Table, render
from evaluation.beyond_report import beyond_sections
from evaluation.bootstrap import FEWEST
from evaluation.classification_report import classification_section
from evaluation.errors import EvaluationError
from evaluation.evidence import EVIDENCE
from evaluation.headline import lead, verdict
from evaluation.report_cells import FEW, interval_of, mean_cell

_GROUPS: Mapping[str, tuple[str, str]] = {
    "user_activity": ("Users by training interactions", "{} interactions"),
    "item_popularity": ("Items by popularity (thirds of the training interactions)", "{} third"),
    "cold_items": ("Cold items", "{}"),
    "missing_modality": ("Items that lack a modality", "no {}"),
    "modality": ("Items whose texts are all by a language model", "{}"),
    "facts": ("Items whose facts are all by a language model", "{}"),
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

_COMPARED = (
    "How far this model is ahead of each baseline, as a share of the baseline's mean, with 95 % interval, paired over "
    "users. A “?” may be chance: the p-value of the bootstrap's or Wilcoxon's test, Holm-corrected over the whole "
    "table, is .05 or more. An interval is of one comparison alone, so it may leave out 0 even there."
)


def write_report(path: Path, result: Mapping[str, Any], *, title: str, notes: Sequence[str] = ()) -> None:
    """Write the report; whole or not at all.

    Args:
        path: the `.html` file.
        result: as `metrics.json`: `split`, `k`, `metrics` and, where there, `slices`, `baselines` (name -> metrics),
            `comparisons` (rows of `significance.compare`), `headline` (a sentence on them), `beyond_accuracy`,
            `classification`, `evidence` (user group -> kind -> share), `seconds`, `seed`.
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
    out: list[Block] = [*map(Paragraph, [*_summary(result, depth), *notes])]
    shown = [name for name in (f"recall@{depth}", f"ndcg@{depth}") if name in result["metrics"]]
    charts = [_model_bars(models, name) for name in shown]
    out.append(Section("Metrics", [*charts, _metrics_table(models)]))
    if compared := result.get("comparisons"):
        out.append(Section("Is the difference real?", [Paragraph(_COMPARED, soft=True), _comparison_table(compared)]))
    if beyond := result.get("beyond_accuracy"):
        out += beyond_sections(beyond)
    if classification := result.get("classification"):
        out.append(classification_section(classification))
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


def _summary(result: Mapping[str, Any], depth: int) -> list[str]:
    """What was reached, and how it stands to the baselines."""
    text, ours = [], result["metrics"].get(f"recall@{depth}")
    if ours is not None:
        low, high = ours.get("ci95", (ours["mean"], ours["mean"]))
        text.append(
            f"Of a user's held-out items ({result['split']} split), on average {ours['mean']:.1%} are among the first "
            f"{depth} recommendations (95 % interval {low:.1%} to {high:.1%})."
        )
    return [*text, *filter(None, [result.get("headline")])]


def _model_bars(models: Mapping[str, Any], name: str) -> Bars:
    rows = [
        Bar(model, values[name]["mean"], interval_of(values[name]), model == "this model")
        for model, values in models.items()
        if name in values
    ]
    return Bars(rows, f"{name}, mean over users; lines are 95 % intervals")


def _metrics_table(models: Mapping[str, Any]) -> Table:
    names = list(models["this model"])
    rows: list[list[Cell]] = [[name, *(mean_cell(values.get(name)) for values in models.values())] for name in names]
    return Table(["metric", *models], rows, "Mean over users, with 95 % bootstrap interval")


def _comparison_table(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """A row a metric, a column a baseline."""
    baselines = list(dict.fromkeys(row["baseline"] for row in comparisons))
    cells = {(row["metric"], row["baseline"]): _compared(row) for row in comparisons}
    rows: list[list[Cell]] = [
        [metric, *(cells.get((metric, name), "–") for name in baselines)]
        for metric in dict.fromkeys(row["metric"] for row in comparisons)
    ]
    return Table(["metric", *baselines], rows)


def _compared(row: Mapping[str, Any]) -> Cell:
    size, _, interval = lead(row).partition(" [")
    return size + "?" * (verdict(row) == "unclear"), f"[{interval}"


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
            interval_of(values["metrics"][name]),
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
            *(mean_cell(values["metrics"].get(metric)) for metric in names),
        ]
        for part, values in slices.items()
    ]
    chart = [Bars(rows, f"{name} within each group")] if rows else []
    few = [Paragraph(FEW, soft=True)] if any(values["users"] < FEWEST for values in slices.values()) else []
    return Section(heading, [*chart, *few, Table(["group", "users", "held-out items", *names], body)])

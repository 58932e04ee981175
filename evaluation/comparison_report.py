"""Runs side by side as a page: what differs, who gains, whose lists changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_text
from common.page import Cell, Table
from evaluation.document import Plot, Section, as_html
from evaluation.plots import Estimate, interval_plot

_VERDICTS = {"better": "ahead", "worse": "behind", "unclear": "may be chance"}
_HELP = (
    "A difference counts where three paired tests over the same users agree after Holm's correction over all rows of "
    "the table: the bootstrap, Wilcoxon's and the t-test. Intervals hold 95 %, each for itself."
)
_GROUPS = {
    "user_activity": "users with {} training interactions",
    "item_popularity": "items, {}",
    "cold_items": "cold items ({})",
    "missing_modality": "items with {}",
    "modality": "items whose texts are {}",
    "facts": "items whose facts are {}",
}


def write_comparison(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page; `result` is the JSON that `compare --json` prints."""
    first, *others = (run["name"] for run in result["runs"])
    write_text(path, as_html(f"{', '.join(others)} against {first}", _sections(result)))


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """One sentence a run: what it is surely ahead and behind in, against the first."""
    first, out = result["runs"][0]["name"], []
    for run in result["runs"][1:]:
        rows = [row for row in result["differences"] if row["run"] == run["name"]]
        said = []
        for verdict in ("better", "worse"):
            found = [f"{row['metric']} ({row['difference']:+.4f})" for row in rows if row["verdict"] == verdict]
            said += [f"{_VERDICTS[verdict]} in {', '.join(found)}"] if found else []
        rest = len([row for row in rows if row["verdict"] == "unclear"])
        said += [f"not told apart in {rest} of {len(rows)} metrics"] if rest else []
        out.append(f"{run['name']} against {first}: {'; '.join(said)}.")
    return out


def slice_label(row: Mapping[str, Any]) -> str:
    """A slice in words, with its users."""
    label = _GROUPS.get(row["group"], f"{row['group']}: {{}}").format(row["slice"])
    return f"{label} ({row['users']:,} users)"


def _sections(result: Mapping[str, Any]) -> list[Section]:
    held = f"{result['users']:,} users, {result['positives']:,} held-out interactions ({result['split']} split)."
    sections = [Section("In short", [held], [*verdicts(result), *result["notes"]]), _metrics(result)]
    for run in result["runs"][1:]:
        sections.append(_run(run["name"], result))
    for changes in result["lists"]:
        sections.append(_changed(changes, result["runs"][0]["name"]))
    facts: list[list[Cell]] = [["split", result["split"]], ["seed", str(result["seed"])]]
    facts += [[f"bundle of {run['name']}", run["bundle"]] for run in result["runs"]]
    return [*sections, Section("How it was run", tables=[Table(["fact", "value"], facts, words=True)])]


def _metrics(result: Mapping[str, Any]) -> Section:
    runs = result["runs"]
    rows: list[list[Cell]] = [[name, *(_value(run["metrics"][name]) for run in runs)] for name in runs[0]["metrics"]]
    headers = ["metric", *(f"{run['name']} ({run['model']})" for run in runs)]
    return Section("Side by side", tables=[Table(headers, rows, "Mean over users with 95 % bootstrap interval")])


def _run(name: str, result: Mapping[str, Any]) -> Section:
    first = result["runs"][0]["name"]
    whole = [row for row in result["differences"] if row["run"] == name]
    slices = [row for row in result["slices"] if row["run"] == name]
    plots = [Plot("metrics", _forest(whole, [row["metric"] for row in whole]), f"{name} minus {first}")]
    tables = [_tested(whole, [row["metric"] for row in whole], "metric")]
    if slices:
        labels = [slice_label(row) for row in slices]
        caption = f"{slices[0]['metric']} of {name} minus {first}, in groups of 20 users and more"
        plots.append(Plot("slices", _forest(slices, labels), caption))
        tables.append(_tested(slices, labels, "who"))
    return Section(f"{name} against {first}", [_HELP], plots=plots, tables=tables)


def _changed(changes: Mapping[str, Any], first: str) -> Section:
    words = (
        f"Lists of {changes['run']} and {first} share {changes['jaccard']['mean']:.0%} of their items (Jaccard); their "
        f"rank-biased overlap is {changes['rbo']['mean']:.2f} (1: the same lists, 0: nothing in common). Recall is "
        f"higher for {changes['gained']:,} users, lower for {changes['lost']:,} and the same for {changes['same']:,}."
    )
    rows: list[list[Cell]] = [
        [
            user["user"],
            f"{user['rbo']:.2f}",
            f"{user['jaccard']:.2f}",
            f"{user['recall'][0]:.2f} to {user['recall'][1]:.2f}",
            named_items(user["gone"]),
            named_items(user["new"]),
        ]
        for user in changes["users"]
    ]
    headers = ["user", "RBO", "Jaccard", "recall", f"only in {first}", f"only in {changes['run']}"]
    return Section(f"Whose lists changed most under {changes['run']}", [words], tables=[Table(headers, rows)])


def named_items(items: Sequence[Mapping[str, Any]], most: int = 5) -> str:
    """The first items of a list, by title where there is one, with their ids."""
    named = [f"{item['title']} ({item['id']})" if item["title"] else str(item["id"]) for item in items[:most]]
    return "; ".join(named) + (f" and {len(items) - most} more" if len(items) > most else "")


def _forest(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Any:
    estimates = [
        Estimate(label, row["difference"], row["ci95"][0], row["ci95"][1], row["verdict"] != "unclear")
        for label, row in zip(labels, rows, strict=True)
    ]
    return interval_plot(estimates, "difference", zero=True)


def _tested(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], first: str) -> Table:
    body: list[list[Cell]] = []
    for label, row in zip(labels, rows, strict=True):
        low, high = row["ci95"]
        relative = "–" if row["relative"] is None else f"{100 * row['relative']:+.1f} %"
        tests = [f"{row[test]:.2g}" for test in ("p_bootstrap", "p_wilcoxon", "p_t")]
        difference = (f"{row['difference']:+.4f}", f"{low:+.4f} to {high:+.4f}")
        body.append([label, difference, relative, *tests, _VERDICTS[row["verdict"]]])
    headers = [first, "difference", "relative", "p (bootstrap)", "p (Wilcoxon)", "p (t)", "is"]
    return Table(headers, body, "Paired over users; p-values Holm-corrected over the table")


def _value(found: Mapping[str, Any]) -> Cell:
    low, high = found["ci95"]
    return f"{found['mean']:.4f}", f"{low:.4f}–{high:.4f}"

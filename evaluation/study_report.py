"""A study's result as a document: findings in words first, then what they rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from common.page import Cell, Table
from evaluation.document import Plot, Section
from evaluation.effects import TESTS
from evaluation.findings import LABELS, findings, slice_findings
from evaluation.plots import Estimate, interval_plot, share_plot

_GROUPS = {
    "user_activity": "users with {} training interactions",
    "item_popularity": "items, {}",
    "cold_items": "cold items ({})",
    "missing_modality": "items with {}",
    "modality": "items whose texts are {}",
    "facts": "items whose facts are {}",
}
_HELP = (
    "An effect is claimed only where three paired tests say so after Holm's correction over all effects of its table: "
    "the bootstrap and Wilcoxon's test over users, and a t-test over users and training seeds. Intervals hold 95 % and "
    "contain both; they are not corrected."
)


def study_sections(result: Mapping[str, Any]) -> list[Section]:
    """The sections of a study, those without content left out."""
    metric = result["metric"]
    sections = [_words(result, metric), _variants(result, metric), _effects(result, metric)]
    if result["slices"]:
        sections.append(_slices(result))
    if result["knocked_out"]:
        sections.append(_knocked_out(result, metric))
    if result["carried"]:
        sections.append(_carried(result))
    if result["gates"]:
        caption = "Mean share of attention, by a user's training interactions (the joint network, mean over seeds)"
        plot = Plot("gates", share_plot(result["gates"], "share of attention"), caption)
        sections.append(Section("Which modality counts for whom", plots=[plot]))
    if result["agreement"]:
        sections.append(_agreement(result["agreement"]))
    return [*sections, _how(result)]


def _words(result: Mapping[str, Any], metric: str) -> Section:
    said = findings(result["effects"], metric)
    said += slice_findings(
        result["slices"], {q["name"]: f"by slice, {q['subject']}" for q in result["slice_questions"]}
    )
    facts = (
        f"{result['users']} users with held-out items ({result['split']} split), {len(result['seeds'])} training seeds."
    )
    if len(result["seeds"]) == 1:
        facts += " With one seed, what another training run would change is not in the intervals."
    return Section("What was found", [facts], said)


def _variants(result: Mapping[str, Any], metric: str) -> Section:
    rows, estimates = [], []
    for variant in result["variants"]:
        value = variant["metrics"][metric]
        low, high = value["ci95"]
        estimates.append(Estimate(variant["label"], value["mean"], low, high, variant["name"] == "joint"))
        cells: list[Cell] = [(variant["label"], variant["name"])]
        cells += [_number(found) for found in variant["metrics"].values()]
        rows.append([*cells, f"{variant['seconds']:.1f}", f"{variant['memory_mb']:,}"])
    headers = ["variant", *result["variants"][0]["metrics"], "seconds", "memory, MB"]
    caption = "Mean over users and seeds with 95 % interval; seconds to fit one seed; highest memory of the process"
    plot = Plot("variants", interval_plot(estimates, metric), f"{metric} of every variant with its 95 % interval")
    return Section("Variants side by side", plots=[plot], tables=[Table(headers, rows, caption)])


def _effects(result: Mapping[str, Any], metric: str) -> Section:
    rows = result["effects"]
    labelled = [(LABELS[row["kind"]].format(row["subject"]), row) for row in rows]
    caption = f"Difference of {metric}; blue where it is claimed"
    # what a network is ahead of popularity by would leave no room to see the rest
    drawn = [pair for pair in labelled if pair[1]["kind"] != "baseline"] or labelled
    plots = [Plot("effects", _forest(drawn), caption)] if rows else []
    return Section("What each part is worth", [_HELP], plots=plots, tables=[_tested(labelled, "comparison")])


def _slices(result: Mapping[str, Any]) -> Section:
    plots = []
    for question in result["slice_questions"]:
        rows = [(_slice_label(row), row) for row in result["slices"] if row["question"] == question["name"]]
        caption = f"Gain of {question['subject']} in recall within each slice; blue where it is claimed"
        plots.append(Plot(f"slices-{question['name']}", _forest(rows), caption))
    names = {question["name"]: question["subject"] for question in result["slice_questions"]}
    claimed = [row for row in result["slices"] if row["verdict"] != "unclear"]
    table = [(f"{names[row['question']]}: {_slice_label(row)}", row) for row in claimed]
    text = f"Claimed after Holm's correction over all {len(result['slices'])} slices and questions: {len(claimed)}."
    return Section("Where media help", [text], plots=plots, tables=[_tested(table, "gain of")])


def _knocked_out(result: Mapping[str, Any], metric: str) -> Section:
    rows = [(f"{row['subject']} left out", row) for row in result["knocked_out"]]
    text = (
        "The trained joint network scored again with these nodes or links left out, without training it anew: how much "
        "it has come to rest on them, which is not the same as how much it would miss them had it been trained without."
    )
    plot = Plot("knocked-out", _forest(rows), f"What the network loses of {metric}; blue where it is claimed")
    return Section("Left out of the trained network", [text], plots=[plot], tables=[_tested(rows, "part")])


def _carried(result: Mapping[str, Any]) -> Section:
    text = (
        "The scores of what is recommended, shared out among the sources they come from (Aumann-Shapley values; they "
        "add up to 1). A share is not a gain: a source can carry much and still be replaceable."
    )
    shares: Mapping[str, float] = result["carried"]
    plot = Plot(
        "carried",
        share_plot({name: {"share": part} for name, part in shares.items()}, "share"),
        "Who carries the scores",
    )
    rows: list[list[Cell]] = [[name, f"{100 * share:.1f} %"] for name, share in shares.items()]
    return Section("What carries the scores", [text], plots=[plot], tables=[Table(["source", "share"], rows)])


def _agreement(agreement: Sequence[Mapping[str, Any]]) -> Section:
    rows: list[list[Cell]] = [
        [" and ".join(row["between"]), str(row["items"]), f"{row['jaccard']:.4f}", f"{row['chance']:.4f}"]
        for row in agreement
    ]
    text = (
        "How far two modalities name the same items as similar: the mean Jaccard index of an item's neighbours. "
        "Modalities that agree can replace each other; those that do not have more to add."
    )
    return Section(
        "Agreement between modalities", [text], tables=[Table(["between", "items", "Jaccard", "chance"], rows)]
    )


def _how(result: Mapping[str, Any]) -> Section:
    facts: list[list[Cell]] = [
        ["split", result["split"]],
        ["seeds", ", ".join(map(str, result["seeds"]))],
        ["device", result["device"]],
        ["graph", result["graph"]],
        ["command", result["command"]],
    ]
    return Section("How it was run", tables=[Table(["fact", "value"], facts, words=True)])


def _forest(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Figure:
    estimates = [
        Estimate(label, row["difference"], row["ci95"][0], row["ci95"][1], row["verdict"] != "unclear")
        for label, row in rows
    ]
    return interval_plot(estimates, "difference", zero=True)


def _tested(rows: Sequence[tuple[str, Mapping[str, Any]]], first: str) -> Table:
    body: list[list[Cell]] = []
    for label, row in rows:
        low, high = row["ci95"]
        relative = "–" if row["relative"] is None else f"{100 * row['relative']:+.1f} %"
        tests = [f"{row[test]:.2g}" for test in TESTS]
        claim = {"better": "gain", "worse": "loss", "unclear": "no claim"}[row["verdict"]]
        body.append([label, (f"{row['difference']:+.4f}", f"{low:+.4f} to {high:+.4f}"), relative, *tests, claim])
    headers = [first, "difference", "relative", "p (bootstrap)", "p (Wilcoxon)", "p (users and seeds)", "verdict"]
    return Table(headers, body, "Paired over users; p-values Holm-corrected")


def _slice_label(row: Mapping[str, Any]) -> str:
    label = _GROUPS.get(row["group"], f"{row['group']}: {{}}").format(row["slice"])
    return f"{label} ({row['users']} users)"


def _number(found: Mapping[str, Any]) -> Cell:
    low, high = found["ci95"]
    return f"{found['mean']:.4f}", f"{low:.4f}–{high:.4f}"

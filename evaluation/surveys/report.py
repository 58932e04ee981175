"""What a survey says, as a page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_text
from common.page import Cell, Table
from evaluation.document import Plot, Section, as_html
from evaluation.plots import Estimate, interval_plot, share_plot
from evaluation.verdict import ALPHA

_HELP = (
    "A difference counts where p stays below .05 after Holm's correction over all tests of the survey. Superiority is "
    "the chance that an answer on the variant is the higher one (.5: no difference). Intervals hold 95 %."
)

_LONGEST = 240
"""Characters shown of a free answer."""


def write_survey(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page; `result` is the JSON that `survey --json` prints."""
    write_text(path, as_html(result["title"], _sections(result)))


def findings(result: Mapping[str, Any]) -> list[str]:
    """What is sure, in sentences; what is not, too."""
    analysis = result["analysis"]
    out = []
    for name, part in _parts(analysis):
        for variant, test in part["tests"].items():
            if test["p"] is not None and test["p"] < ALPHA:
                higher = "higher" if test["difference"] > 0 else "lower"
                out.append(
                    f"{name}: answers on {variant} are {higher} than on {analysis['control']} by "
                    f"{abs(test['difference']):.2f} ({_range(test['ci95'])}, p = {test['p']:.2g})."
                )
    for name, part in analysis["preferences"].items():
        if part["p"] is not None and part["p"] < ALPHA:
            best = max(part["shares"], key=lambda option: part["shares"][option])
            share, interval = part["shares"][best], part["shares_ci95"][best]
            out.append(
                f"{name}: {share:.0%} [{interval[0]:.0%}, {interval[1]:.0%}] of those who prefer one take {best}."
            )
    tests = [test for _, part in _parts(analysis) for test in part["tests"].values()]
    if (tests or analysis["preferences"]) and not out:
        out.append("No difference between variants is more than chance would give.")
    return [*out, *_run_findings(result["runs"])]


def respondents(analysis: Mapping[str, Any]) -> str:
    """How many people, and on what."""
    rows = analysis["variants"]
    people = ", ".join(f"{n:,} on {name}" for name, n in rows.items())
    return f"{analysis['respondents']:,} respondents" + (f" ({people})" if len(rows) > 1 else "")


def shortened(text: str) -> str:
    """The beginning of a free answer; the whole stands in the JSON."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def shown(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """A number with its interval."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" + (f"  [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else "")


def _run_findings(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        sure = [link for link in run["links"] if link["p"] < ALPHA]
        for link in sure:
            more = "more" if link["rho"] > 0 else "less"
            yield (
                f"{run['run']}: among {link['group']} a higher {link['metric']} goes with {more} satisfaction "
                f"({run['outcome']}; rank correlation {link['rho']:.2f} {_range(link['ci95'])})."
            )
        if run["links"] and not sure:
            yield f"{run['run']}: neither recall nor NDCG tells who is satisfied ({run['outcome']}) in any group."
        bias = run["bias"]
        if bias["p"] is not None and bias["p"] < ALPHA:
            yield (
                f"{run['run']}: some groups answer more often than others (p = {bias['p']:.2g}); the mean of "
                f"{run['outcome']} is {shown(bias['mean'], None)}, weighted to the user base "
                f"{shown(bias['weighted_mean'], None)}."
            )


def _sections(result: Mapping[str, Any]) -> list[Section]:
    analysis = result["analysis"]
    sections = [Section("In short", [f"{respondents(analysis)}."], [*findings(result), *analysis["notes"]])]
    sections += [_asked(analysis), _tests(analysis), _reliability(analysis), _preferences(analysis["preferences"])]
    sections += [_texts(name, part) for name, part in result["texts"].items()]
    for run in result["runs"]:
        sections += [_bias(run), _links(run)]
    return [section for section in sections if section.paragraphs or section.tables or section.points]


def _asked(analysis: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    plots, estimates = [], []
    for name, part in _parts(analysis):
        for variant, found in part["variants"].items():
            label = name if len(part["variants"]) == 1 else f"{name}: {variant}"
            nps = _cell(found["nps"], found["nps_ci95"], 0)
            top = _cell(found["top2"], found["top2_ci95"])
            counts = " / ".join(map(str, found["counts"].values()))
            rows.append(
                [
                    (label, part["text"]),
                    str(found["n"]),
                    str(found["missing"]),
                    _cell(found["mean"], found["ci95"]),
                    top,
                    nps,
                    counts,
                ]
            )
            if found["ci95"] and part["kind"] != "nps":
                strong = variant != analysis["control"] or len(part["variants"]) == 1
                estimates.append(Estimate(label, found["mean"], found["ci95"][0], found["ci95"][1], strong))
    if estimates:
        plots.append(Plot("answers", interval_plot(estimates, "mean answer"), "Mean answers with 95 % interval"))
    headers = ["question", "answers", "none", "mean", "share of top two", "NPS", "answers, lowest to highest"]
    return Section("Answers", plots=plots, tables=[Table(headers, rows)] if rows else [])


def _tests(analysis: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    for name, part in _parts(analysis):
        for variant, test in part["tests"].items():
            seen = f"{test['layout']}: {test['both']} both, {test['only'][0]} + {test['only'][1]} one"
            p = test["reason"] if test["p"] is None else f"{test['p']:.2g}"
            difference = _cell(test["difference"], test["ci95"])
            rows.append([f"{name}: {variant}", difference, _cell(test["superiority"], None), p, seen])
    headers = ["question", f"difference from {analysis['control']}", "superiority", "p", "who saw what"]
    return Section("Variants", [_HELP] if rows else [], tables=[Table(headers, rows)] if rows else [])


def _reliability(analysis: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = [
        [
            name,
            f"{len(part['questions'])}",
            f"{part['rows']}",
            _cell(part["alpha"], part["alpha_ci95"]),
            _cell(part["omega"], None),
        ]
        for name, part in analysis["reliability"].items()
    ]
    points = [f"{name}: {note}" for name, part in analysis["reliability"].items() for note in part["notes"]]
    words = "How far the questions of a construct measure one thing: 1 is perfect, .7 usual for a short questionnaire."
    headers = ["construct", "questions", "complete rows", "Cronbach's alpha", "McDonald's omega"]
    return Section("Reliability", [words] if rows else [], points, tables=[Table(headers, rows)] if rows else [])


def _preferences(preferences: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    for name, part in preferences.items():
        for option, n in part["counts"].items():
            share = _cell(part["shares"].get(option), part["shares_ci95"].get(option))
            p = "–" if part["p"] is None else f"{part['p']:.2g}"
            rows.append([(f"{name}: {option}", part["text"]), str(n), share, p, str(part["undecided"])])
    headers = ["preferred", "people", "share of those who prefer one", "p (all alike)", "undecided"]
    plots = []
    if rows:
        bars = {name: part["shares"] for name, part in preferences.items() if part["shares"]}
        plots = [Plot("preferences", share_plot(bars, "share"), "Preferred, of those who prefer one")]
    return Section("Preferences", plots=plots, tables=[Table(headers, rows)] if rows else [])


def _texts(name: str, part: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = [
        [
            shortened(group["text"]),
            str(group["n"]),
            ", ".join(f"{variant} {n}" for variant, n in group["variants"].items()),
            "; ".join(map(shortened, group["others"])),
        ]
        for group in part["groups"]
    ]
    said = (
        f"{part['n']:,} answers, {part['distinct']:,} distinct, in {len(rows):,} groups; {part['missing']:,} gave none."
    )
    points = [part["note"]] if part.get("note") else []
    table = Table(["answer", "people", "by variant", "alike"], rows, words=True)
    return Section(f"{name}: {part['text']}" if part["text"] else name, [said], points, tables=[table])


def _bias(run: Mapping[str, Any]) -> Section:
    bias = run["bias"]
    rates: list[list[Cell]] = [
        [r["group"], f"{r['users']:,}", f"{r['answered']:,}", _cell(100 * r["rate"], [100 * e for e in r["ci95"]], 1)]
        for r in bias["rates"]
    ]
    contrasts: list[list[Cell]] = [
        [c["name"], f"{c['answered']:.3f}", f"{c['others']:.3f}", f"{c['standardised']:+.2f}", f"{c['p']:.2g}"]
        for c in bias["contrasts"]
    ]
    words = f"{bias['answered']:,} of {bias['users']:,} users of {run['run']} answered ({run['outcome']})"
    words += f"; {run['unknown']:,} respondents are no users of it." if run["unknown"] else "."
    if bias["weighted_mean"] is not None:
        words += f" Mean {bias['mean']:.2f}; weighted to the user base {bias['weighted_mean']:.2f}."
    tables = [
        Table(["users with", "users", "answered", "rate, %"], rates),
        Table(["mean of", "who answered", "all others", "in deviations", "p"], contrasts),
    ]
    return Section(f"Who answered, of {run['run']}", [words], tables=[table for table in tables if table.rows])


def _links(run: Mapping[str, Any]) -> Section:
    rows: list[list[Cell]] = [
        [
            f"{link['group']}: {link['metric']}",
            f"{link['people']:,}",
            _cell(link["rho"], link["ci95"]),
            f"{link['p']:.2g}",
        ]
        for link in run["links"]
    ]
    about = f" on {run['variant']}" if run["variant"] else ""
    words = f"Rank correlation of {run['outcome']}{about} with each person's metrics on {run['split']}, Holm-corrected."
    headers = ["who: metric", "people", "Spearman's rho", "p"]
    tables = [Table(headers, rows)] if rows else []
    return Section(f"Do metrics of {run['run']} tell who is satisfied?", [words], run["left_out"], tables=tables)


def _parts(analysis: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [*analysis["constructs"].items(), *analysis["questions"].items()]


def _cell(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> Cell:
    """As `shown`, the interval as a note."""
    if value is None or not interval:
        return shown(value, None, digits)
    return f"{value:.{digits}f}", f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def _range(interval: Sequence[float] | None) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "no interval"

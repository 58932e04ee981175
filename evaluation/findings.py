"""A study's effects in words: a gain is claimed only where the corrected tests say so, and nothing gained is said."""

from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATES: Mapping[str, tuple[str, str, str]] = {
    "alone": (
        "{Subject} on top of behaviour: {metric} rises by {size}.",
        "{Subject} on top of behaviour: {metric} falls by {size}.",
        "{Subject} on top of behaviour: no gain that the tests confirm: {size}.",
    ),
    "added": (
        "{Subject} beside the other modalities: {metric} rises by another {size}.",
        "{Subject} beside the other modalities: {metric} falls by {size}.",
        "{Subject} beside the other modalities: no gain that the tests confirm: {size}.",
    ),
    "media": (
        "{Subject}: {metric} rises over behaviour alone by {size}.",
        "{Subject} harm: {metric} falls against behaviour alone by {size}.",
        "{Subject}: no gain over behaviour alone that the tests confirm: {size}.",
    ),
    "relation": (
        "{Subject} help here: {metric} rises by {size}.",
        "{Subject} harm here: {metric} falls by {size}.",
        "{Subject} do not help here: the difference, {size}, may be chance.",
    ),
    "fusion": (
        "Joint fusion is ahead of {subject} by {size}.",
        "Joint fusion is behind {subject} by {size}.",
        "Joint fusion and {subject} are not told apart: {size}.",
    ),
    "augmentation": (
        "{subject} helps: {metric} rises by {size}.",
        "{subject} harms: {metric} falls by {size}.",
        "{subject} does not help here: the difference, {size}, may be chance.",
    ),
    "stage": (
        "{Subject} over the joint network: {metric} rises by {size}.",
        "{Subject} over the joint network: {metric} falls by {size}.",
        "{Subject} over the joint network: no gain that the tests confirm: {size}.",
    ),
    "evidence": (
        "{Subject}, as evidence of the second stage: {metric} rises by {size}.",
        "{Subject}, as evidence of the second stage: {metric} falls by {size}.",
        "{Subject}, as evidence of the second stage: no gain that the tests confirm: {size}.",
    ),
    "baseline": (
        "The joint network is ahead of {subject} by {size}.",
        "The joint network is behind {subject} by {size}.",
        "The joint network and {subject} are not told apart: {size}.",
    ),
}
"""Kind of question -> what is said where it is better, worse or unclear."""

LABELS: Mapping[str, str] = {
    "alone": "{}, on top of behaviour",
    "added": "{}, beside the other modalities",
    "media": "{}",
    "relation": "{}",
    "fusion": "joint over {}",
    "augmentation": "{}",
    "stage": "{} over joint",
    "evidence": "second stage: {}",
    "baseline": "joint over {}",
}
"""Kind of question -> its row in a table or plot."""

_ORDER = {"better": 0, "worse": 1, "unclear": 2}


def findings(effects: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    """One sentence an effect (rows of `effects` with `kind` and `subject`), in the order given."""
    found = [finding(row, metric) for row in effects]
    if effects and all(row["verdict"] == "unclear" for row in effects):
        found.insert(0, "Nothing in this study can be told apart from chance.")
    return found


def finding(row: Mapping[str, Any], metric: str) -> str:
    """What one effect says, with its interval."""
    subject = str(row["subject"])
    text = TEMPLATES[row["kind"]][_ORDER[row["verdict"]]]
    named = subject[:1].upper() + subject[1:]
    said = text.format(subject=subject, Subject=named, metric=metric, size=size(row))
    low, high = row["ci95"]
    if row["verdict"] == "unclear" and (low > 0 or high < 0):
        said += " Alone it would count, but not among as many comparisons as were made."
    return said


def size(row: Mapping[str, Any]) -> str:
    """`12.3 % [95 % interval 8.1 % to 16.4 %]`; of a fall the same without its sign; absolute over a baseline of 0."""
    flip = -1 if row["verdict"] == "worse" else 1
    sign = "+" if row["verdict"] == "unclear" else ""
    if row["relative"] is None:
        low, high = sorted(flip * edge for edge in row["ci95"])
        return f"{flip * row['difference']:{sign}.4f} [95 % interval {low:.4f} to {high:.4f}]"
    low, high = sorted(flip * 100 * edge for edge in row["relative_ci95"])
    return f"{flip * 100 * row['relative']:{sign}.1f} % [95 % interval {low:.1f} % to {high:.1f} %]"


def slice_findings(rows: Sequence[Mapping[str, Any]], subjects: Mapping[str, str]) -> list[str]:
    """One sentence a question: in which slices its gain is claimed, and in how many it is not."""
    found = []
    for question, subject in subjects.items():
        mine = [row for row in rows if row["question"] == question]
        if not mine:
            continue
        parts = []
        for verdict, word in (("better", "gain in"), ("worse", "lose in")):
            named = [f"{row['slice']} ({_short(row)})" for row in mine if row["verdict"] == verdict]
            if named:
                parts.append(f"{word} {'; '.join(named)}")
        silent = sum(row["verdict"] == "unclear" for row in mine)
        if silent:
            parts.append(f"nothing can be claimed in {silent} of {len(mine)} slices")
        found.append(f"{subject[:1].upper() + subject[1:]}: {', '.join(parts)}.")
    return found


def _short(row: Mapping[str, Any]) -> str:
    if row["relative"] is None:
        return f"{row['difference']:+.4f} [{row['ci95'][0]:+.4f}, {row['ci95'][1]:+.4f}]"
    low, high = row["relative_ci95"]
    return f"{100 * row['relative']:+.0f} % [{100 * low:+.0f}, {100 * high:+.0f}]"

"""The sentences a coverage report opens with: what in this catalogue will hurt, and what to do about it."""

from collections.abc import Iterator, Mapping
from typing import Any

MODEL = "enrich"
"""The `file` of what a language model was asked and did not answer as it should."""

_LITTLE = 0.5
_ONE_WAY = 0.9
_SAME_LISTS = 0.5
_MANY_ON_ONE = 10
_DRIFTED = 0.2
"""Less correlation than chance would leave, from which on it is told."""


def plain_warnings(report: Mapping[str, Any]) -> list[str]:
    """One line for each trait of `etl.coverage.coverage`'s dict that deserves attention, gravest first."""
    return [
        *_reach(report),
        *_modalities(report),
        *_agreement(report),
        *_skew(report),
        *_drift(report),
        *_left_out(report),
    ]


def told(entry: Mapping[str, Any]) -> str:
    """One entry of `refused` as a line: `media.csv: 1,953 rows (2, 3, 4, ...): both uri and content are set`."""
    first = entry["rows"] or entry["uris"]
    more = ", ..." if entry["count"] > len(first) else ""
    one, many = ("row", "rows") if entry["rows"] else ("file", "files")
    if entry["file"] == MODEL:
        one, many = "reply", "replies"
    noun = one if entry["count"] == 1 else many
    shown = f" ({', '.join(map(str, first))}{more})" if first else ""
    return f"{entry['file']}: {entry['count']:,} {noun}{shown}: {entry['reason']}"


def _reach(report: Mapping[str, Any]) -> Iterator[str]:
    if not report["train_interactions"]:
        yield "there is no interaction to learn from: nothing can be trained"
    unreachable = report["items_without_interactions_or_media"]
    content_only = report["items_without_interactions"] - unreachable
    strangers = report["users_without_interactions"]
    if content_only:
        yield f"{_many(content_only, 'item')} no interaction in train: only their media can reach them"
    if unreachable:
        yield f"{_many(unreachable, 'item')} neither an interaction in train nor media: nothing reaches them"
    if strangers:
        yield f"{_many(strangers, 'user')} no interaction in train: they get what is popular"


def _modalities(report: Mapping[str, Any]) -> Iterator[str]:
    for name, facts in report["modalities"].items():
        if report["train_interactions"] and facts["share_of_interactions"] < _LITTLE:
            yield f"{name} covers {_percent(facts['share_of_interactions'])} of interactions"
        if facts["most_items_on_one"] >= max(_MANY_ON_ONE, report["items"] // 100):
            yield f"one {name} stands for {facts['most_items_on_one']:,} items: is it a placeholder?"
        languages = facts.get("languages", {})
        if len(languages) > 1:
            listed = ", ".join(f"{lang} {n:,}" for lang, n in list(languages.items())[:4])
            yield f"{name} is in {len(languages)} languages ({listed}): use a multilingual encoder"
        vectors = facts.get("vectors")
        if vectors is None:
            continue
        cosine = vectors["mean_cosine"]
        if cosine is not None and cosine > _ONE_WAY:
            angle = f"mean cosine {cosine:.2f}".replace("0.", ".", 1)
            yield f"{name} vectors point almost the same way ({angle}): consider another encoder"
        if vectors["norm"]["min"] == 0:
            yield f"some {name} vectors are all zero: leave such items without the modality instead"


def _agreement(report: Mapping[str, Any]) -> Iterator[str]:
    for row in report["agreement"]:
        a, b = row["between"]
        numbers = f"Jaccard {row['jaccard']:.3f}, chance {row['chance']:.3f}"
        if row["jaccard"] < 1.5 * row["chance"]:
            yield f"{a} and {b} neighbours agree no more than chance ({numbers}): two views, or one is noise"
        elif row["jaccard"] > _SAME_LISTS:
            yield f"{a} and {b} neighbours are nearly the same ({numbers}): the second adds little"


def _skew(report: Mapping[str, Any]) -> Iterator[str]:
    for key, who in (("per_user", "users"), ("per_item", "items")):
        share = report[key]["busiest_percent_share"]
        if share > 0.25 and report[who] >= 100:
            yield f"the busiest 1 % of {who} hold {_percent(share)} of interactions"
    if report["time"] is None and report["interactions"]:
        yield "interactions have no timestamps: a split by time is not possible"
    elif report["without_time"]:
        yield (
            f"{report['without_time']:,} of {report['interactions']:,} interactions have no timestamp: a split by time "
            "is not possible, unless they get one or go"
        )


def _drift(report: Mapping[str, Any]) -> Iterator[str]:
    found = report["drift"]
    if found and found["newest"] < found["chance"] - _DRIFTED:
        newest, chance = (f"{found[name]:.2f}".replace("0.", ".", 1) for name in ("newest", "chance"))
        yield (
            f"what is popular has changed: item counts in the newest tenth of interactions correlate {newest} with the "
            f"rest, in a random tenth {chance}; split by time, fit anew often, leave gnn.recency on"
        )


def _left_out(report: Mapping[str, Any]) -> Iterator[str]:
    left = report["quarantined"]["total"]
    if left:
        were = "file or row was" if left == 1 else "files or rows were"
        yield f"{left:,} {were} left out, most often {told(report['refused'][0])}"


def _many(count: int, noun: str) -> str:
    return f"1 {noun} has" if count == 1 else f"{count:,} {noun}s have"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else "under 1 %"

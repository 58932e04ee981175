"""What is measured of lists beyond accuracy, as a reader calls it."""

from collections.abc import Iterable, Mapping

MEASURES: Mapping[str, tuple[str, str]] = {
    "coverage": ("coverage", "share of all items that are in anybody's list"),
    "gini": ("Gini", "how unevenly places are spread over items: 0 all listed alike often, 1 one item has all places"),
    "novelty": ("novelty (bits)", "-log2 of the share of users who have an item, averaged over a list"),
    "serendipity": ("serendipity", "share of a list: hits that a list of the most popular items would not have shown"),
    "new_items": ("new items", "share of a list that nobody has in train"),
    "diversity": (
        "diversity: {}",
        "how unlike the items of a list are: 1 - cosine, averaged over its pairs (where only nearest items are known, "
        "1 for all others)",
    ),
    "miscalibration": (
        "miscalibration: {}",
        "how far a list's mix of values is from that of the user's history, in nats: 0 the same, 4.6 nothing in common",
    ),
}
"""Name -> in words, and what the number means; of those with a `{}` there is one for each modality or attribute."""


def measure_label(name: str) -> str:
    """In words.

    >>> measure_label("diversity_text@20"), measure_label("new_items@20")
    ('diversity: text', 'new items')
    """
    kind, of = _parts(name)
    return MEASURES[kind][0].format(of) if kind else name


def meanings(names: Iterable[str]) -> dict[str, str]:
    """What is measured under these names, in words -> what the number means; once for all modalities or attributes."""
    kinds = dict.fromkeys(kind for kind, _ in map(_parts, names) if kind)
    return {MEASURES[kind][0].format("…"): MEASURES[kind][1] for kind in kinds}


def group_label(grouping: str, group: str) -> str:
    """A group of users: `6-10 interactions`, `country: no`, `all users`."""
    if grouping == "all":
        return "all users"
    return f"{group} interactions" if grouping == "activity" else f"{grouping}: {group}"


def _parts(name: str) -> tuple[str, str]:
    """Kind and what it is of; empty where it is no measure of these."""
    bare = name.rpartition("@")[0]
    kind = next((kind for kind in MEASURES if bare == kind or bare.startswith(f"{kind}_")), "")
    return kind, bare[len(kind) + 1 :]

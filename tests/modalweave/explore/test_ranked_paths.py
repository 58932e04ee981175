"""Which paths explain a recommendation first, the query that shows them, and parameters as they are typed."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.scorers.contributions import Contribution, Decomposition
from graph.schema import MEDIA_LABELS
from graph.views.paths import GraphPath, PathNode
from modalweave.explore.explanations import _explained, _ranked, _statements, _ways
from modalweave.explore.queries import parameter

MIDDLE = {"media": "Image", "similar": "Text", "entity": "Entity", "user": "User"}


def path(kind: Any, history: str, score: float, label: str | None = None) -> GraphPath:
    """From the user over an item of the history and what is shared to the item."""
    ids = [("User", "u"), ("Item", history), (label or MIDDLE[kind], f"of {history}"), ("Item", "wanted")]
    show: Any = f"MATCH {kind} {label or MIDDLE[kind]}"
    return GraphPath(kind, tuple(PathNode(n, i, i) for n, i in ids), score, "why", "MATCH", {}, show)


def order(paths: list[GraphPath], shares: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(found.kind, found.history) for found in _ranked(paths, shares)]


def test_the_best_of_every_kind_comes_before_the_second_of_any() -> None:
    paths = [path("entity", "a", 0.9), path("entity", "b", 0.8), path("user", "c", 0.1), path("media", "d", 0.5)]
    assert order(paths, {}) == [("entity", "a"), ("media", "d"), ("user", "c"), ("entity", "b")]


def test_what_gives_most_to_the_score_leads_its_kind_whatever_its_own_strength() -> None:
    paths = [path("entity", "a", 0.9), path("entity", "b", 0.2), path("user", "c", 1.0)]
    assert order(paths, {"b": 0.7, "c": 0.1}) == [("entity", "b"), ("user", "c"), ("entity", "a")]


def test_pictures_and_words_are_kinds_of_their_own() -> None:
    paths = [path("media", "a", 0.9, "Image"), path("media", "b", 0.8, "Image"), path("media", "c", 0.1, "Text")]
    assert order(paths, {}) == [("media", "a"), ("media", "c"), ("media", "b")]
    assert [_explained(found, {}).modality for found in paths] == ["image", "image", "text"]
    assert _explained(path("user", "a", 1.0), {"a": 0.25}).share == 0.25
    assert _explained(path("user", "a", 1.0), {}).share is None


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(6)), st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=6, max_size=6))
def test_the_order_in_which_paths_are_found_does_not_matter(places: list[int], scores: list[float]) -> None:
    kinds = ["entity", "user", "media"]
    paths = [path(kinds[n % 3], f"i{n}", scores[n]) for n in range(6)]
    found = order([paths[n] for n in places], {})
    assert found == order(paths, {})
    assert len(set(found)) == 6


def test_each_kind_has_one_query_with_all_its_histories_once() -> None:
    paths = [path("entity", "a", 1.0), path("user", "b", 1.0), path("entity", "c", 0.5), path("entity", "a", 0.1)]
    entity, user = _statements(paths, "u", "wanted")
    assert (entity.kind, entity.parameters["history"]) == ("entity", ["a", "c"])
    assert (user.kind, user.parameters) == ("user", {"user": "u", "item": "wanted", "history": ["b"]})
    assert entity.modality is None
    assert entity.browser == ':params {user: "u", item: "wanted", history: ["a", "c"]}\nMATCH entity Entity'


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_ids_of_any_script_stay_inside_their_quotes(user: str, item: str) -> None:
    (shown,) = _statements([path("entity", item, 1.0)], user, item)
    line = shown.browser.removesuffix("\nMATCH entity Entity")
    _, _, literal = line.partition("user: ")
    found, end = json.JSONDecoder().raw_decode(literal)
    assert found == user
    assert literal[end:].startswith(", item: ")
    assert json.JSONDecoder().raw_decode(literal[end + len(", item: ") :])[0] == item


def test_ways_of_one_item_are_added_by_their_name() -> None:
    parts = [(0, "interactions", 0.5), (1, "image", 0.25), (0, "image", 0.125), (0, "interactions", 0.5)]
    found = Decomposition(1.375, tuple(Contribution(i, by, value, True) for i, by, value in parts))
    assert _ways(found, ["a", "b"]) == {"a": {"interactions": 1.0, "image": 0.125}, "b": {"image": 0.25}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id=7", ("id", "7")),
        ("id:=7", ("id", 7)),
        ('ids:=["a", "b=c"]', ("ids", ["a", "b=c"])),
        ("title=a=b", ("title", "a=b")),
        ("title=", ("title", "")),
        ("flag:=true", ("flag", True)),
        ('title:="電影"', ("title", "電影")),
    ],
)
def test_a_parameter_is_text_unless_it_says_json(text: str, found: tuple[str, Any]) -> None:
    assert parameter(text) == found


@pytest.mark.parametrize("text", ["", "id", "=7", ":=7", "id:=", "id:=seven", "id:=[1"])
def test_one_that_is_none_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write key=value"):
        parameter(text)


def test_every_medium_has_words_for_its_paths() -> None:
    from modalweave.cli.explanation_tables import _KINDS

    for label in MEDIA_LABELS.values():
        for kind in ("media", "similar"):
            shown = _explained(path(kind, "a", 1.0, label), {})
            assert "{}" not in _KINDS[shown.kind].format(shown.modality)
            assert shown.modality in _KINDS[shown.kind].format(shown.modality)

"""Reasons in words: for every kind of path, in both languages, for customers and analysts."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from graph.views.paths import PathNode
from modalweave.results.words import paragraph, sentence


@dataclass(frozen=True)
class Path_:
    kind: str
    modality: str | None
    nodes: tuple[PathNode, ...]
    relations: tuple[str, str] | None = None


def path(kind: str, modality: str | None, relations: tuple[str, str] | None = None, title: str = "Red Lamp") -> Path_:
    between = {"user": PathNode("User", "u-secret-9", "u-secret-9"), "entity": PathNode("Entity", "e1", "Alder Works")}
    middle = [between.get(kind, PathNode("Image", "a" * 64, "lamp.png"))] * (2 if kind == "similar" else 1)
    user, item = PathNode("User", "u7", "u7"), PathNode("Item", "42", "Blue Lamp")
    return Path_(kind, modality, (user, PathNode("Item", "41", title), *middle, item), relations)


MEDIA = [path(kind, modality) for kind, modality in product(("media", "similar"), ("text", "image", "audio"))]
ENTITIES = [path("entity", None, pair) for pair in (("made_by",) * 2, ("has_genre",) * 2, ("made_by", "sold_by"))]
ALL = [*MEDIA, *ENTITIES, path("user", None)]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("reason", ALL, ids=lambda reason: f"{reason.kind}-{reason.modality}-{reason.relations}")
def test_every_kind_is_said(reason: Path_, language: Any) -> None:
    for audience in ("customer", "analyst"):
        said = sentence(reason, language, audience)
        assert "Red Lamp" in said and "{" not in said and said.endswith("。" if language == "zh" else ".")
        assert ("u-secret-9" in said) == (reason.kind == "user" and audience == "analyst")
        assert ("u7" in said) == (audience == "analyst")
        assert ("Alder Works" in said) == (reason.kind == "entity")
        assert "lamp.png" not in said and "a" * 64 not in said


def test_how_it_reads() -> None:
    en = [sentence(reason, "en", "customer") for reason in ALL]
    assert en[4] == "It looks much like Red Lamp, which you chose."
    assert en[6] == "Like Red Lamp, which you chose, it is made by Alder Works."
    assert en[7] == "It has the same genre as Red Lamp, which you chose: Alder Works."
    assert en[9] == "People who chose Red Lamp, as you did, also chose this."
    assert sentence(ALL[9], "en", "analyst") == "u-secret-9 chose Red Lamp, as u7 did, and also chose Blue Lamp."
    zh = [sentence(reason, "zh", "customer") for reason in ALL]
    assert zh[4] == "它看起来很像您选过的《Red Lamp》。"
    assert zh[6] == "它与您选过的《Red Lamp》有相同的出品方：Alder Works。"
    assert sentence(ALL[9], "zh", "analyst") == "u-secret-9 和 u7 都选了《Red Lamp》，u-secret-9 还选了《Blue Lamp》。"


def test_a_paragraph_says_each_kind_before_it_repeats_one() -> None:
    alike = [path("similar", "image", title=f"Lamp {n}") for n in range(3)]
    said = paragraph([*alike, path("user", None), path("user", None)], "en", "customer", 3)
    assert said == (
        "It looks much like Lamp 0, which you chose. People who chose Red Lamp, as you did, also chose this. "
        "It looks much like Lamp 1, which you chose."
    )
    assert paragraph([], "zh", "customer", 3) == ""


@pytest.mark.parametrize(
    "title", ["a\nb", "\x1b[31mred", "\u202egnp.exe", "灯》《<b>", "x" * 5000, "{item} {0}", "\u2028"]
)
def test_a_title_stays_a_title(title: str) -> None:
    for language in ("en", "zh"):
        said = sentence(path("similar", "image", title=title), language, "customer")
        assert said.splitlines() == [said] and "\x1b" not in said and "\u202e" not in said
        assert said.count("》") == (language == "zh")


def test_the_command_tells_a_customer_nothing_of_others(config: Path, modalweave: Any) -> None:
    assert modalweave("build", config).code == 0
    assert modalweave("train", config).code == 0
    asked = ("explain", config, "--user", "u01", "--item", "i05", "--in-words")
    said = modalweave(*asked).out
    assert said.count("\n") >= 1 and "u0" not in said
    assert "u0" in modalweave(*asked, "--audience", "analyst").out
    found = modalweave(*asked, "--language", "zh", "--json").json()
    assert found["in_words"].startswith("它") and found["paths"]

"""One entity for all spellings of a value, and the catalogue's own where it has one."""

import numpy as np
import pyarrow as pa
import pytest

from etl.enrichment.config import RelationConfig
from etl.enrichment.entities import entities_of, normal
from etl.tables import INTERACTIONS, TRIPLES, Tables

RELATIONS = {
    "shoe": RelationConfig(meaning="kind"),
    "worn with": RelationConfig(meaning="kind", type="shoe"),
    "maker": RelationConfig(meaning="who", type="Brand"),
}


def tables(*triples: tuple[str, str, str, str | None, str | None]) -> Tables:
    names = ("head_id", "relation", "tail_id", "tail_type", "tail_name")
    rows = [dict(zip(names, row, strict=True)) for row in triples]
    found = pa.Table.from_pylist(rows, TRIPLES) if rows else None
    return Tables(INTERACTIONS.empty_table(), triples=found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Boots", "boot"),
        ("ankle  boots", "Ankle Boot"),
        ("dresses", "dress"),
        ("berries", "berry"),
        ("ＪＡＺＺ", "jazz"),
        ("t-shirts", "T shirt"),
        ("boxes", "box"),
    ],
)
def test_spellings_that_are_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(("one", "other"), [("glass", "glas"), ("bus", "bu"), ("红茶", "绿茶"), ("gas", "ga")])
def test_spellings_that_are_not(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_the_most_frequent_spelling_names_it_in_any_order() -> None:
    values = [("shoe", "boots"), ("shoe", "Boot"), ("worn with", "Boot"), ("shoe", "clog")]
    found = entities_of(values, RELATIONS, tables())
    assert found == entities_of(values[::-1], RELATIONS, tables())
    assert found["shoe", "boots"] == found["worn with", "Boot"] == ("shoe:boot", "Boot", "shoe")
    assert found["shoe", "clog"].id == "shoe:clog"


def test_the_catalogues_own_entities_are_used() -> None:
    own = tables(
        ("a", "maker", "b7", "Brand", "Acme"), ("a", "shoe", "s1", None, "Clogs"), ("a", "x", "m", None, "Boot")
    )
    found = entities_of([("maker", "ACME"), ("shoe", "clog"), ("shoe", "boot")], RELATIONS, own)
    assert found["maker", "ACME"].id == "b7"
    assert found["shoe", "clog"].id == "s1"
    assert found["shoe", "boot"].id == "shoe:boot"  # another kind of thing with the same name


def test_entities_of_the_graph_are_used_and_never_an_items() -> None:
    known = pa.table(
        {"id": ["b9", "item:a", "shoe:boot"], "name": ["Acme", "clog", "Wellington"], "type": ["Brand", "Item", "shoe"]}
    )
    found = entities_of([("maker", "acme"), ("shoe", "clog"), ("shoe", "boot")], RELATIONS, tables(), known=known)
    assert found["maker", "acme"].id == "b9"
    assert found["shoe", "clog"].id == "shoe:clog"
    assert found["shoe", "boot"].id == "shoe:boot (generated)"  # that id is another's


class Encoder:
    """Words by their first letter."""

    def prepare(self, content: str, modality: str, limits: object) -> object:
        return type("Prepared", (), {"array": np.array(content)})()

    def encode(self, batch: list[np.ndarray], modality: str) -> np.ndarray:
        return np.eye(26, dtype=np.float32)[[ord(str(word)[0]) - ord("a") for word in batch]]


def test_alike_values_become_the_most_frequent_one() -> None:
    values = [("shoe", "sneaker"), ("shoe", "sneakers"), ("shoe", "sport shoe"), ("shoe", "boot")]
    found = entities_of(values, RELATIONS, tables(), encoder=Encoder(), same_over=0.9)  # type: ignore[arg-type]
    assert found["shoe", "sport shoe"].name == found["shoe", "sneakers"].name == "sneaker"
    assert found["shoe", "boot"].name == "boot"

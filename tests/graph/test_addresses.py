"""Addresses of stores: an unknown one is told, and no message repeats a password that stands in one."""

import pytest

from graph import StoreError, open_store
from graph.store import without_password


@pytest.mark.parametrize(
    "address",
    [
        "bolt://neo4j:hidden@host:7687",
        "neo4j:hidden@host",
        "postgres://me:hidden@host/db",
        "neo4j+s://a:hid@den@host#b",
        "me:hidden@host",
    ],
)
def test_a_password_is_in_no_message(address: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(address)
    assert "host" in str(caught.value)
    assert "hid" not in str(caught.value)
    assert "hid" not in without_password(address)


@pytest.mark.parametrize("address", ["ladybug:runs/a@b/graph", "bolt://localhost:7687#music", "nonsense"])
def test_an_address_without_one_is_shown_as_it_is(address: str) -> None:
    assert without_password(address) == address


def test_an_unknown_scheme_says_what_there_is() -> None:
    with pytest.raises(StoreError, match=r"store 'redis:x' is unknown; use ladybug:PATH, or bolt://"):
        open_store("redis:x")

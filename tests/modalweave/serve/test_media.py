"""Media by the hash of their content, from the catalogue alone."""

import hashlib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import modalweave as mw
from modalweave.serve.media import asked_range


@pytest.fixture(scope="module")
def picture(run: mw.Run) -> tuple[str, Path]:
    """A picture's hash and its file."""
    row = run.cypher("MATCH (m:Image) RETURN m.id AS id, m.uri AS uri ORDER BY id LIMIT 1").row(0)
    return row[0], Path(run.config.source.path) / row[1]


@pytest.fixture(scope="module")
def sound(run: mw.Run) -> tuple[str, Path]:
    row = run.cypher("MATCH (m:Audio) RETURN m.id AS id, m.uri AS uri ORDER BY id LIMIT 1").row(0)
    return row[0], Path(run.config.source.path) / row[1]


def test_the_file_comes_as_it_is(client: TestClient, picture: tuple[str, Path], sound: tuple[str, Path]) -> None:
    for (digest, path), kind in ((picture, "image/png"), (sound, "audio/wav")):
        answer = client.get(f"/media/{digest}")
        assert answer.content == path.read_bytes() and answer.headers["content-type"] == kind
        assert "immutable" in answer.headers["cache-control"]


def test_a_player_may_ask_for_a_part(client: TestClient, sound: tuple[str, Path]) -> None:
    digest, path = sound
    content = path.read_bytes()
    for asked, part in (("bytes=0-99", content[:100]), ("bytes=100-", content[100:]), ("bytes=-50", content[-50:])):
        answer = client.get(f"/media/{digest}", headers={"Range": asked})
        assert answer.status_code == 206 and answer.content == part
        assert answer.headers["content-range"].endswith(f"/{len(content)}")
    outside = client.get(f"/media/{digest}", headers={"Range": f"bytes={len(content)}-"})
    assert outside.status_code == 416 and outside.headers["content-range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=-", None),
        ("items=0-1", None),
        ("bytes=0-1,3-4", None),
        ("bytes=5-999", (5, 9)),
        ("bytes=-99", (0, 9)),
    ],
)
def test_ranges_as_the_standard_has_them(header: str | None, expected: tuple[int, int] | None) -> None:
    assert asked_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=7-3", "bytes=-0"])
def test_ranges_outside(header: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        asked_range(header, 10)


@pytest.mark.parametrize("digest", ["x", "0" * 64, "..%2f..%2fetc%2fpasswd", "A" * 64, "0" * 63])
def test_nothing_else_is_served(client: TestClient, digest: str) -> None:
    assert client.get(f"/media/{digest}").status_code == 404


def test_a_file_that_changed_or_shows_markup_is_not_sent(client: TestClient, picture: tuple[str, Path]) -> None:
    digest, path = picture
    before = path.read_bytes()
    try:
        path.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
        answer = client.get(f"/media/{digest}")
        assert answer.status_code == 404 and "has changed since the build" in answer.json()["error"]
        path.unlink()
        path.symlink_to("/etc/passwd")
        assert client.get(f"/media/{digest}").status_code == 404
    finally:
        path.unlink()
        path.write_bytes(before)
    assert hashlib.sha256(client.get(f"/media/{digest}").content).hexdigest() == digest

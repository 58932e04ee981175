"""Catalogues as people have them, through the command line: what is kept, what is refused, what the terminal says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.devserver import Server

Run = Callable[..., Any]
LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{u},{i},{1_700_000_000 + u * 10 + i}\n" for u in range(6) for i in range(4)
)


def _config(folder: Path, files: dict[str, str], more: str = "") -> Path:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name, text in files.items():
        (data / name).write_text(text, encoding="utf-8")
    path = folder / "run.yaml"
    path.write_text(f"name: 商店\nsource: {{path: {data}}}\nworkspace: {folder / 'run'}\n{more}", encoding="utf-8")
    return path


def _values(modalweave: Run, config: Path, returned: str) -> list[Any]:
    found = modalweave("cypher", f"MATCH (i:Item) RETURN {returned} AS v ORDER BY i.id", config, "--json").json()
    return [row["v"] for row in found["rows"]]


def test_a_quoted_export_keeps_its_media(tmp_path: Path, modalweave: Run) -> None:
    rows = [f'"{i}","audio","{i}.wav","",""' for i in range(4)]
    header = '"item_id","modality","uri","content","lang"'
    config = _config(tmp_path, {"interactions.csv": LOG, "media.csv": "\r\n".join([header, *rows, ""])})
    for item in range(4):
        soundfile.write(tmp_path / "data" / f"{item}.wav", np.random.default_rng(item).normal(0, 0.1, 800), 8000)
    built = modalweave("build", config, "--json").json()
    assert built["coverage"] == {"audio": 1.0} and built["refused"] == []


def test_milliseconds_are_read_and_said(tmp_path: Path, modalweave: Run) -> None:
    lines = LOG.splitlines()
    config = _config(tmp_path, {"interactions.csv": "\n".join([lines[0], *(line + "000" for line in lines[1:])])})
    done = modalweave("build", config)
    assert done.code == 0 and "timestamps are in milliseconds: read as such" in done.out
    cypher = "MATCH (:User)-[r:INTERACTED]->(:Item) RETURN max(r.timestamp) AS t, count(*) AS n"
    assert modalweave("cypher", cypher, config, "--json").json()["rows"] == [{"t": 1_700_000_053, "n": 24}]


def test_refused_rows_are_printed_with_reason_count_and_lines(tmp_path: Path, modalweave: Run) -> None:
    media = "item_id,modality,uri,content\n0,text,,x\n1,text,a.txt,y\n2,text,b.txt,z\n"
    config = _config(
        tmp_path, {"interactions.csv": LOG + ",9,1700000000\n", "media.csv": media}, "encoders: {text: null}\n"
    )
    done = modalweave("build", config)
    assert done.code == 0
    assert "left out media.csv: 2 rows (3, 4): both uri and content are set; keep one" in done.out
    assert "left out interactions.csv: 1 row (26): user_id is empty" in done.out
    assert "both uri and content are set" in (tmp_path / "run" / "coverage.html").read_text()
    assert modalweave("build", config, "--json").json()["refused"][0] == {
        "file": "media.csv",
        "reason": "both uri and content are set; keep one",
        "count": 2,
        "rows": [3, 4],
        "uris": [],
    }


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"interactions.csv": LOG, "media.csv": "item_id,modality,uri,content\n0,text,a,b\n"}, "media.csv: all 1 rows"),
        ({"interactions.csv": "user_id,item_id\n,1\n,2\n"}, "interactions.csv: all 2 rows are refused"),
        ({"interactions.csv": LOG, "media.csv": "item_id,modality,uri\n0,audio,no.wav\n"}, "media.csv: all 1 rows"),
    ],
)
def test_a_file_that_is_refused_whole_fails(tmp_path: Path, modalweave: Run, files: dict[str, str], said: str) -> None:
    done = modalweave("build", _config(tmp_path, files))
    assert done.code == 1 and said in done.err.splitlines()[-1]
    assert not (tmp_path / "run" / "graph").exists()


def test_a_catalogue_without_interactions_can_be_explored(tmp_path: Path, modalweave: Run) -> None:
    config = _config(tmp_path, {"interactions.csv": "user_id,item_id\n", "items.csv": "item_id,title\n1,A\n"})
    done = modalweave("build", config)
    assert done.code == 0 and "there is no interaction to learn from" in done.out
    assert _values(modalweave, config, "i.title") == ["A"]


def _deliveries(folder: Path, modalweave: Run, more: str) -> None:
    """Chinese headers, then a decimal price, then one that is no number."""
    items = "item_id,标题,价格,ID,Price,price,a `b`\n0,灯,3,x,1,2,q\n1,壶,4,y,1,2,q\n"
    config = _config(folder, {"interactions.csv": LOG, "items.csv": items}, more)
    done = modalweave("build", config)
    assert done.code == 0, done.err
    assert "items.csv: column 'ID' is called 'source_ID' in the graph" in done.out
    wanted = [["灯", 3, "x", 1, 2, "q"], ["壶", 4, "y", 1, 2, "q"]]
    names = "[i.`标题`, toString(i.`价格`), i.source_ID, toString(i.source_Price), toString(i.price), i.`a ``b```]"
    if "bolt" not in more:
        names = names.replace("toString", "string")
    found = [row for row in _values(modalweave, config, names) if row[0]]
    assert found == [[str(value) for value in row] for row in wanted]
    (folder / "data" / "items.csv").write_text(items.replace("灯,3", "灯,3.5"), encoding="utf-8")
    assert modalweave("build", config).code == 0
    assert _values(modalweave, config, "i.`价格`")[:2] == [3.5, 4.0]
    (folder / "data" / "items.csv").write_text(items.replace("灯,3", "灯,n/a"), encoding="utf-8")
    done = modalweave("build", config)
    assert done.code == 0
    assert "left out items.csv: 1 row (2): 价格 'n/a' is not a number as in the store; left empty" in done.out
    assert _values(modalweave, config, "i.`价格`")[:2] == [None, 4.0]
    assert modalweave("build", config, "--json").json()["written"] == 0


def test_headers_and_types_of_deliveries_embedded(tmp_path: Path, modalweave: Run) -> None:
    _deliveries(tmp_path, modalweave, "")


@pytest.mark.usefixtures("neo4j_clean")
def test_headers_and_types_of_deliveries_neo4j(
    tmp_path: Path, modalweave: Run, neo4j_clean: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = neo4j_clean.credentials or (None, None)
    if user is not None and password is not None:
        monkeypatch.setenv("NEO4J_USERNAME", user)
        monkeypatch.setenv("NEO4J_PASSWORD", password)
    _deliveries(tmp_path, modalweave, f"store: '{neo4j_clean.address}'\n")


def test_dislikes_are_kept_and_never_held_out(tmp_path: Path, modalweave: Run) -> None:
    rows = [line + (",-1" if n % 4 == 0 else ",2") for n, line in enumerate(LOG.splitlines()[1:])]
    config = _config(tmp_path, {"interactions.csv": "\n".join(["user_id,item_id,timestamp,weight", *rows])})
    done = modalweave("build", config)
    assert "6 of 24 pairs have a weight of 0 or less: seen, not liked" in done.out
    cypher = "MATCH (:User)-[r:INTERACTED]->(:Item) WHERE r.weight <= 0 RETURN r.split AS s, count(*) AS n"
    assert modalweave("cypher", cypher, config, "--json").json()["rows"] == [{"s": "seen", "n": 6}]

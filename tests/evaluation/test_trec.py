"""Files in TREC's format: fields stay fields whatever an id holds."""

from pathlib import Path

from evaluation.trec import write_qrels, write_run


def test_fields_and_places(tmp_path: Path) -> None:
    write_run(tmp_path / "a.run", [("u 1", ["x", "5%\t"]), ("用户", ["y"])], tag="my run")
    assert (tmp_path / "a.run").read_text(encoding="utf-8").splitlines() == [
        "u%201 Q0 x 1 2 my%20run",
        "u%201 Q0 5%25%09 2 1 my%20run",
        "用户 Q0 y 1 1 my%20run",
    ]
    write_qrels(tmp_path / "qrels.txt", [("u 1", "5%\t")])
    assert (tmp_path / "qrels.txt").read_text() == "u%201 0 5%25%09 1\n"

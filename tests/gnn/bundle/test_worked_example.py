"""The code in a bundle's README gives the lists that `score` gives, where neither torch nor Modalweave can be had."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle import quantised
from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.quantised import PRECISIONS
from gnn.bundle.tensors import scorer_to_tensors
from gnn.bundle.worked_example import SCORERS, numpy_example
from gnn.ranker.config import TreesConfig
from gnn.ranker.evidence import Evidence, Links, Shared
from gnn.ranker.growing import grow
from gnn.ranker.scorer import RankedScorer, Retrieval
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from scoring.config import ScoringConfig
from scoring.job import run_job

USERS, ITEMS, DEPTH = 24, 30, 12
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STRANGER = "nobody"


def _scorers() -> dict[str, Scorer]:
    rng = np.random.default_rng(4)
    history = sp.csr_matrix(np.where(rng.random((USERS, ITEMS)) < 0.2, rng.uniform(0.2, 2, (USERS, ITEMS)), 0))
    history = sp.csr_matrix(
        sp.diags((np.arange(USERS) % 7 > 0).astype(float)) @ history, dtype=np.float32
    )  # some have none
    history.eliminate_zeros()
    weights = rng.standard_normal((ITEMS, ITEMS)).astype(np.float32)
    dots = [
        DotScorer(*(torch.from_numpy(rng.standard_normal((n, dim)).astype(np.float32)) for n in (USERS, ITEMS)))
        for dim in (8, 3)
    ]
    dense = ItemItemScorer(history, torch.from_numpy(weights))
    sparse = ItemItemScorer(history.sqrt(), sp.csr_matrix(np.where(weights > 0.8, weights, 0)))
    inner = SumScorer([dots[1], sparse], [0.5, 2.0])
    deviations = SumScorer([dots[0], dense, sparse], [0.5, 0.3, 0.2])
    return {
        "ranked": _ranked(deviations, history, friends=True),
        "ranked alone": _ranked(dots[1], history, friends=False),
        "dot": dots[0],
        "dense": dense,
        "sparse": sparse,
        "deviations": deviations,
        # 61 m = 39 n has no solution among 30 places: no ties, which rounding would order
        "ranks": SumScorer([dots[0], dense], [0.61, 0.39], normalise="rank"),
        "plain": SumScorer([dense, sparse], [0.6, 0.4], normalise=False),
        "nested": SumScorer([inner, dense, dots[0]], [0.7, 0.3, 0.0]),
    }


def _ranked(retriever: Scorer, history: sp.csr_matrix, *, friends: bool) -> RankedScorer:
    """Trees that found something in rows drawn at random."""
    rng = np.random.default_rng(6)
    links = sp.random(ITEMS, ITEMS, 0.2, format="csr", dtype=np.float32, random_state=6)
    known = sp.random(USERS, USERS, 0.2, format="csr", dtype=np.float32, random_state=7).sign()
    facts = {"popular": np.log1p(rng.integers(0, 9, ITEMS)).astype(np.float32), "age": np.arange(ITEMS, dtype="f4")}
    owns = sp.random(ITEMS, 5, 0.4, format="csr", dtype=np.float32, random_state=8).sign()
    habits = {"age": rng.random(USERS).astype(np.float32)} if friends else {}
    kinds = (Links("together", links), Links("text", links.sqrt()), Links("image", sp.csr_matrix(links.T)))
    shared = (Shared("made_by", owns),) if friends else ()
    evidence = Evidence(history, kinds if friends else kinds[:2], facts, shared, habits, known if friends else None)
    retrieval = Retrieval(retriever, evidence, 8)
    rows = rng.normal(size=(600, len(retrieval.features.described))).astype(np.float32)
    labels = (rows.sum(axis=1) > 1).astype(np.int32)
    trees = grow(rows, labels, np.full(30, 20), [0] * rows.shape[1], TreesConfig(rounds=30), seed=0)
    return RankedScorer(retrieval, trees, 0.3)


ALL = _scorers()
HISTORY = ALL["dense"].history
SEEN = sp.csr_matrix(((HISTORY > 0) + sp.eye(USERS, ITEMS, k=3) > 0).astype(np.float32))
USER_IDS, ITEM_IDS = [f"用户 {n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)]
CASES = [f"{name}-{precision}" for name in ALL for precision in ("trained", *PRECISIONS)]

RUN = """
import json, os, sys
from importlib.abc import MetaPathFinder
blocked = set(sys.argv[1].split(","))
class Refused(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Refused())
found = {}
for case, folder, code in json.load(sys.stdin):
    os.chdir(folder)
    names = {"__name__": "example"}
    real, sys.stdout = sys.stdout, open(os.devnull, "w")
    exec(compile(code, case, "exec"), names)
    sys.stdout = real
    found[case] = eval(sys.argv[2], names)
json.dump(found, sys.stdout)
"""
OURS = "torch,scipy,lightgbm,onnx,gnn,scoring,modalweave,common,graph,encoders,etl,evaluation"


def _run(blocks: list[tuple[str, str, str]], blocked: str, wanted: str) -> dict[str, Any]:
    command = [sys.executable, "-c", RUN, blocked, wanted]
    done = subprocess.run(command, input=json.dumps(blocks), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "nothing is warned of"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each case's bundle: as `train` writes it, and as each precision is exported."""
    root, found = tmp_path_factory.mktemp("bundles"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantised, "_LEAST_ROWS", USERS)  # product codes of these few, too
        patch.setattr(quantised, "_BITS", 4)
        _export_all(root, found)
    return found


def _export_all(root: Path, found: dict[str, Path]) -> None:
    for name, scorer in ALL.items():
        found[f"{name}-trained"] = root / name
        facts = {"model": "test", "dataset": "shop"}
        ids = {"user_ids": USER_IDS, "item_ids": ITEM_IDS}
        save_bundle(root / name, scorer, **ids, seen=SEEN, history=HISTORY, manifest=facts)
        for precision in PRECISIONS:
            found[f"{name}-{precision}"] = root / f"{name}-{precision}"
            export_bundle(root / name, found[f"{name}-{precision}"], onnx=True, precision=precision)


@pytest.fixture(scope="module")
def by_numpy(folders: dict[str, Path]) -> dict[str, Any]:
    blocks = [(case, str(folder), _blocks(folder)[0]) for case, folder in folders.items()]
    alone = [block for block in blocks if not block[0].startswith("ranked")]
    run = f"[recommend(u, {DEPTH}) for u in [*user_ids, {STRANGER!r}]]"
    with_trees = [block for block in blocks if block not in alone]
    return _run(alone, OURS + ",onnxruntime", run) | _run(with_trees, OURS, run)


@pytest.fixture(scope="module")
def by_onnx(folders: dict[str, Path]) -> dict[str, Any]:
    blocks = [(case, str(f), _blocks(f)[1]) for case, f in folders.items() if not case.endswith("trained")]
    asked = f"{{'users': np.array([*range({USERS}), -1]), 'k': np.array([{DEPTH}])}}"
    empty = "{'history_items': np.zeros((1, 0), np.int64), 'history_weights': np.ones((1, 1), np.float32)}"
    feed = f"{asked} | ({empty} if 'history_items' in asked else {{}})"
    run = f"[a.tolist() for a in session.run(['items', 'scores'], {feed})]"
    return _run(blocks, OURS + ",safetensors,pyarrow,onnx", run)


def _blocks(folder: Path) -> list[str]:
    return BLOCK.findall((folder / "README.md").read_text(encoding="utf-8"))


def _scored(folder: Path, out: Path) -> list[pl.DataFrame]:
    """The list of each user and of someone unknown, as the batch job writes them."""
    users = [*USER_IDS, STRANGER]
    run_job(folder, out, ScoringConfig(top_k=DEPTH), users=users)
    table = pl.read_parquet(out / "part-*.parquet").sort("rank")
    return [table.filter(user_id=user) for user in users]


@pytest.mark.parametrize("case", CASES)
def test_numpy_alone_gives_the_lists_of_score(
    folders: dict[str, Path], by_numpy: dict[str, Any], case: str, tmp_path: Path
) -> None:
    for wanted, found in zip(_scored(folders[case], tmp_path / "scores"), by_numpy[case], strict=True):
        assert [item for item, _ in found] == wanted["item_id"].to_list()
        assert [score for _, score in found] == pytest.approx(wanted["score"].to_list(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("trained")])
def test_onnxruntime_alone_gives_the_lists_of_score_and_of_two_stages_those_of_the_first(
    folders: dict[str, Path], by_onnx: dict[str, Any], case: str, tmp_path: Path
) -> None:
    items, scores = by_onnx[case]
    folder, name = folders[case], case.rpartition("-")[0]
    if name in ("ranked", "ranked alone"):
        first = tmp_path / "first"
        ids = {"user_ids": USER_IDS, "item_ids": ITEM_IDS}
        save_bundle(first, load_bundle(folder).scorer.retrieval.scorer, **ids, seen=SEEN, history=HISTORY, manifest={})
        folder = first
    for place, wanted in enumerate(_scored(folder, tmp_path / "scores")):
        found = [(ITEM_IDS[i], s) for i, s in zip(items[place], scores[place], strict=True) if i >= 0]
        assert [item for item, _ in found] == wanted["item_id"].to_list()
        assert [score for _, score in found] == pytest.approx(wanted["score"].to_list(), rel=1e-4, abs=1e-5)


def test_every_kind_that_can_be_saved_has_its_code() -> None:
    kinds = {part.kind for scorer in ALL.values() for part in (scorer, *getattr(scorer, "parts", ()))}
    assert kinds == set(SCORERS)
    assert "def item_item" not in (numpy_example(scorer_to_tensors(ALL["dot"])[1]) or "")
    assert numpy_example({"kind": "sum", "parts": [{"kind": "another"}]}) is None


def test_a_document_may_be_edited_added_or_removed(folders: dict[str, Path], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    export_bundle(folders["dot-trained"], bundle)
    digest = load_bundle(bundle).hash
    readme = bundle / "README.md"
    readme.write_text("ours\n")
    (bundle / "NOTES.md").write_text("more\n")
    (bundle / ".gitattributes").write_text("what tools leave\n")
    (bundle / ".cache").mkdir()
    assert load_bundle(bundle).hash == digest
    readme.unlink()
    assert load_bundle(bundle).hash == digest
    older = json.loads((bundle / "manifest.json").read_text())
    older["files"]["README.md"] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(older))
    load_bundle(bundle)

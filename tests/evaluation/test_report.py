"""The HTML report: self-contained, escaped, complete."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from evaluation.bootstrap import summarise
from evaluation.errors import EvaluationError
from evaluation.metrics import user_metrics
from evaluation.report import write_report
from evaluation.significance import compare
from evaluation.slices import slice_metrics

VOID = {"meta", "br", "rect", "line", "img"}


class Checker(HTMLParser):
    """Collects text and attributes, and complains about tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result() -> dict:
    rng = np.random.default_rng(0)
    train, truth = (sp.csr_matrix(rng.random((120, 60)) < share) for share in (0.1, 0.05))
    train = train.tolil()
    train[:, 50:] = 0
    train = sp.csr_matrix(train)
    ranked = np.argsort(rng.random((120, 60)) - 0.3 * truth.toarray(), axis=1)[:, :20]
    values, popular = (user_metrics(r, truth, [10, 20]) for r in (ranked, np.argsort(rng.random((120, 60)))[:, :20]))
    image = rng.random(60) < 0.8
    return {
        "split": "test",
        "k": [10, 20],
        "metrics": summarise(values, seed=0),
        "baselines": {"popularity": summarise(popular, seed=0)},
        "comparisons": compare(values, {"popularity": popular}, ["recall@20", "ndcg@20"], seed=0),
        "slices": slice_metrics(ranked, truth, train, [10, 20], has_modality={"image": image}, seed=0),
        "seconds": {"evaluate": 1.234},
        "seed": 0,
    }


def parse(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    assert checker.open == []
    return checker


def test_everything_measured_is_in_it(result: dict, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, result, title="tiktok", notes=["Synthetic data."])
    got = parse(path)
    for name, value in result["metrics"].items():
        assert name in got.text and f"{value['mean']:.4f}" in got.text and f"{value['ci95'][1]:.4f}" in got.text
    assert f"{result['baselines']['popularity']['recall@20']['mean']:.4f}" in got.text
    for words in ("no image", "no training interaction", "1-5 interactions", "head third", "Synthetic data.", "Holm"):
        assert words in got.text, words
    recall = result["metrics"]["recall@20"]["mean"]
    assert f"on average {recall:.1%} are among the first 20" in got.text
    assert got.text.count("lines are 95 % intervals") == 2 and got.text.count("within each group") == 4
    assert list(tmp_path.iterdir()) == [path]


def beyond(name: str = "kind") -> dict:
    value, few = {"mean": 0.25, "ci95": [0.2, 0.3]}, {"mean": 0.125}
    bias = {"users": 25, "history": 0.11, "lists": 0.33, "lift": {"mean": 2.0, "ci95": [1.5, 2.5]}}
    gap = {"best": name, "worst": "se", "difference": 0.07, "ci95": [0.01, 0.13], "p": 0.0004}
    groups = {name: {"users": 25, "metrics": {"recall@20": value}}, "fi": {"users": 3, "metrics": {"recall@20": few}}}
    return {
        "k": 20,
        "metrics": {"novelty@20": value, f"miscalibration_{name}@20": value},
        "baselines": {"popularity": {"novelty@20": few}},
        "popularity_bias": {"all": {"all": bias}, "country": {name: bias | {"lift": {"mean": -0.125}}}},
        "fairness": {"country": {"groups": groups, "gaps": {"recall@20": gap}}},
    }


CLASSIFIED = {
    **{"threshold": 2.5, "users": 30, "pairs": 3000, "links": 30, "never": 0.99},
    "metrics": {"auc": {"mean": 0.75, "ci95": [0.7, 0.8]}},
    "curve": [
        {"predicted": 0.01, "observed": {"mean": 0.0125, "ci95": [0.01, 0.02]}, "pairs": 2500},
        {"predicted": 0.1, "observed": {"mean": 0.0}, "pairs": 500},
    ],
}


def test_what_lists_are_like_and_for_whom_is_in_it(result: dict, tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", result | {"beyond_accuracy": beyond(), "classification": CLASSIFIED}, title="x")
    text = parse(tmp_path / "r.html").text
    for words in (
        *(
            "novelty (bits)0.2500 0.2000–0.30000.1250",
            "miscalibration: kind0.2500 0.2000–0.3000–",
            "-log2 of the share",
        ),
        *("all users2511.0%33.0%+200.0% +150.0% to +250.0%", "country: kind2511.0%33.0%-12.5%"),
        *("country: fi (3 users)", "fewer than 20 users", "0.0700 0.0100 to 0.1300under .001differ"),
        *("3,000 test pairs of 30 users", "2.50 deviations above", "accuracy of 99.0%", "auc0.7500 0.7000–0.8000"),
        *("1.00%1.25% 1.00% to 2.00%2,500", "10.00%0.00%500", "predicted probability of a link"),
    ):
        assert words in text, words


def test_it_needs_no_network(result: dict, tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", result, title="x")
    got = parse(tmp_path / "r.html")
    assert not {"script", "link", "iframe", "object", "img"} & set(got.tags)
    assert not [value for name, value in got.attributes if name in ("src", "href", "action")]
    assert not re.search(r"https?:|url\(|@import", (tmp_path / "r.html").read_text())
    assert any("default-src 'none'" in (value or "") for _, value in got.attributes)


def test_text_is_escaped(result: dict, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    changed = {**result, "baselines": {evil: result["baselines"]["popularity"]}, "graph": evil, "comparisons": []}
    changed |= {"headline": evil, "beyond_accuracy": beyond(evil)}
    changed["slices"] = {evil: {evil: next(iter(result["slices"]["user_activity"].values()))}}
    write_report(tmp_path / "r.html", changed, title=evil, notes=[evil])
    got = parse(tmp_path / "r.html")
    assert "script" not in got.tags and got.text.count(evil) >= 10


def test_a_bare_result_is_enough(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", {"split": "valid", "k": [5], "metrics": {"mrr": {"mean": 0.5}}}, title="x")
    assert "0.5000" in parse(tmp_path / "r.html").text


def test_where_the_model_is_behind_is_said_beside_the_headline(tmp_path: Path) -> None:
    metrics = {"recall@20": {"mean": 0.3}, "mrr": {"mean": 0.2}}
    row = {"baseline": "popularity", "metric": "recall@20", "difference": 0.1, "ci95": [0.05, 0.15]}
    row |= {"relative": 0.5, "relative_ci95": [0.25, 0.75], "p_bootstrap": 0.01, "p_wilcoxon": 0.06}
    behind = {**row, "metric": "mrr", "relative": -0.1, "difference": -0.1, "relative_ci95": [-0.2, -0.05]}
    rows = [row, behind | {"p_wilcoxon": 0.04}]
    result = {"split": "test", "k": [20], "metrics": metrics, "comparisons": rows, "headline": "Behind <here>."}
    write_report(tmp_path / "r.html", result, title="x")
    text = parse(tmp_path / "r.html").text
    assert text.index("Behind <here>.") < text.index("Metrics")
    assert "50 %? [25, 75]" in text
    assert "-10 % [-20, -5]" in text


def test_few_users_are_said(result: dict, tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", result, title="x")
    assert "fewer than 20 users" in parse(tmp_path / "r.html").text
    few = {group: {n: s for n, s in part.items() if s["users"] >= 20} for group, part in result["slices"].items()}
    write_report(tmp_path / "r.html", result | {"slices": {g: part for g, part in few.items() if part}}, title="x")
    assert "fewer than 20 users" not in parse(tmp_path / "r.html").text


def test_errors_name_the_thing(tmp_path: Path, result: dict) -> None:
    with pytest.raises(EvaluationError, match="no 'metrics'"):
        write_report(tmp_path / "r.html", {"k": [5]}, title="x")
    with pytest.raises(EvaluationError, match=r"file/r\.html: cannot be written"):
        (tmp_path / "file").write_text("")
        write_report(tmp_path / "file" / "r.html", result, title="x")

"""Coverage numbers worked out by hand, its warnings, and the HTML page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.coverage import coverage
from etl.coverage_report import write_coverage


def interactions(rows: list[tuple]) -> pa.Table:
    users, items, times, splits = zip(*rows, strict=True)
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "timestamp": pa.array(times, pa.int64()),
            "split": pa.array(splits, pa.string()),
        }
    )


def links(*pairs: tuple[str, str]) -> pa.Table:
    return pa.table({"id": [p[0] for p in pairs], "item_id": [p[1] for p in pairs]})


def edges(*pairs: tuple[str, str]) -> pa.Table:
    return pa.table({"source": [p[0] for p in pairs], "target": [p[1] for p in pairs], "score": [0.5] * len(pairs)})


DAY = 86_400
TRAIN = [
    ("u1", "a", 0, "train"),
    ("u1", "b", DAY, "train"),
    ("u2", "a", 2 * DAY, "train"),
    ("u2", "c", 9 * DAY, "test"),
]


@pytest.fixture
def report() -> dict:
    return coverage(
        interactions(TRAIN),
        ["a", "b", "c", "d"],
        {"image": links(("x", "a"), ("x", "b"), ("y", "c")), "audio": links(("s", "b"))},
        {"image": pa.table({"id": ["x", "y"], "width": [100, 300], "height": [50, 50]})},
        {"image": (["x", "y"], np.array([[3, 0], [0, 4]], dtype=np.float32))},
        {},
        pa.table(
            {
                "item_id": ["c", "d", "d"],
                "modality": ["audio", "audio", None],
                "uri": ["c.wav", "d.wav", None],
                "reason": [
                    "truncated: 12 of 90 bytes",
                    "truncated: 3 of 90 bytes",
                    "users.csv: row 7: unknown user 'zoe'",
                ],
            }
        ),
        users=["u1", "u2", "u3"],
    )


def test_shares_count_train_interactions_only(report: dict):
    image, audio = report["modalities"]["image"], report["modalities"]["audio"]
    assert (image["items"], image["share_of_items"], image["share_of_interactions"]) == (3, 0.75, 1.0)
    assert (audio["items"], audio["share_of_items"]) == (1, 0.25)
    assert audio["share_of_interactions"] == pytest.approx(1 / 3)
    assert (report["interactions"], report["train_interactions"]) == (4, 3)


def test_items_and_users_that_train_never_sees(report: dict):
    assert report["items_without_interactions"] == 2
    assert report["items_without_interactions_or_media"] == 1
    assert report["users_without_interactions"] == 1


def test_items_that_share_one_node(report: dict):
    image = report["modalities"]["image"]
    assert (image["media"], image["shared_media"], image["items_sharing"], image["most_items_on_one"]) == (
        2,
        1,
        2,
        2,
    )


def test_facts_norms_and_anisotropy(report: dict):
    image = report["modalities"]["image"]
    assert image["width"] == {"min": 100, "p5": 110, "median": 200, "p95": 290, "max": 300}
    assert image["vectors"]["norm"]["median"] == pytest.approx(3.5)
    assert image["vectors"]["mean_cosine"] == pytest.approx(0, abs=1e-9)
    assert "vectors" not in report["modalities"]["audio"]


def test_time_span_in_days_and_dates(report: dict):
    assert (report["time"]["first"], report["time"]["last"], report["time"]["days"]) == (
        "1970-01-01",
        "1970-01-10",
        9,
    )
    assert sum(report["time"]["histogram"]["counts"]) == 4


def test_quarantine_counts_by_kind_not_by_file(report: dict):
    assert report["quarantined"]["total"] == 3
    assert report["quarantined"]["by_modality"] == {"audio": 2, "rows": 1}
    assert report["quarantined"]["by_kind"] == {"truncated": 2, "unknown user …": 1}
    assert report["refused"] == [
        {"file": "media", "reason": "truncated: 12 of 90 bytes", "count": 2, "rows": [], "uris": ["c.wav", "d.wav"]},
        {"file": "users.csv", "reason": "unknown user 'zoe'", "count": 1, "rows": [7], "uris": []},
    ]


def test_warnings_are_plain_sentences(report: dict):
    warnings = report["warnings"]
    assert "audio covers 33 % of interactions" in warnings
    assert "1 item has no interaction in train: only their media can reach them" in warnings
    assert "1 item has neither an interaction in train nor media: nothing reaches them" in warnings
    assert (
        "3 files or rows were left out, most often media: 2 files (c.wav, d.wav): truncated: 12 of 90 bytes" in warnings
    )
    assert not any(w.startswith("image") for w in warnings)


def test_it_is_plain_json(report: dict):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_agreement_beside_chance_by_hand():
    items = [f"i{n}" for n in range(5)]
    media = {m: links(*((f"{m}{n}", f"i{n}") for n in range(5))) for m in ("image", "text")}
    similar = {
        "image": edges(("image0", "image1"), ("image0", "image2"), ("image1", "image0")),
        "text": edges(("text0", "text1"), ("text0", "text3"), ("text1", "text2"), ("text4", "text0")),
    }
    (row,) = coverage(interactions(TRAIN), items, media, similar=similar)["agreement"]
    assert row["between"] == ["image", "text"] and row["items"] == 2
    assert row["jaccard"] == pytest.approx((1 / 3 + 0) / 2)
    assert row["chance"] == pytest.approx((1 / 3 + 0.25 / 1.75) / 2)


def test_items_on_one_media_node_are_each_others_neighbours_only_through_links():
    media = {
        "image": links(("x", "a"), ("x", "b"), ("y", "c")),
        "text": links(("p", "a"), ("q", "b"), ("r", "c")),
    }
    similar = {"image": edges(("x", "y")), "text": edges(("p", "r"), ("q", "r"))}
    (row,) = coverage(interactions(TRAIN), ["a", "b", "c"], media, similar=similar)["agreement"]
    assert row["jaccard"] == 1.0
    report = coverage(interactions(TRAIN), ["a", "b", "c"], media, similar=similar)
    assert any("nearly the same" in w for w in report["warnings"])


def test_collinear_vectors_and_zero_vectors_are_warned_about():
    rng = np.random.default_rng(0)
    near = np.ones((50, 8)) + 0.05 * rng.standard_normal((50, 8))
    near[3] = 0
    ids = [f"t{n}" for n in range(50)]
    media = {"text": links(*((i, "a") for i in ids))}
    report = coverage(interactions(TRAIN), ["a"], media, vectors={"text": (ids, near.astype(np.float32))})
    assert report["modalities"]["text"]["vectors"]["mean_cosine"] > 0.99
    assert any(w.startswith("text vectors point almost the same way (mean cosine ") for w in report["warnings"])
    assert any("all zero" in w for w in report["warnings"])


def test_languages_and_placeholders_are_warned_about():
    items = [f"i{n}" for n in range(20)]
    media = {
        "image": links(*(("one", i) for i in items)),
        "text": links(("p", "i0"), ("q", "i1"), ("r", "i2")),
    }
    facts = {"text": pa.table({"id": ["p", "q", "r"], "lang": ["en", "zh", "en"]})}
    report = coverage(interactions(TRAIN), items, media, facts)
    assert report["modalities"]["text"]["languages"] == {"en": 2, "zh": 1}
    assert "text is in 2 languages (en 2, zh 1): use a multilingual encoder" in report["warnings"]
    assert "one image stands for 20 items: is it a placeholder?" in report["warnings"]


def test_without_a_split_every_interaction_counts_and_without_times_none_is_claimed():
    table = pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"]})
    report = coverage(table, ["a", "b"], {})
    assert report["train_interactions"] == 2 and report["time"] is None
    assert any("no timestamps" in w for w in report["warnings"])


def test_nothing_at_all_is_a_warning_not_an_error(tmp_path: Path):
    empty = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    report = coverage(empty, [], {"audio": links()})
    assert report["warnings"][0].startswith("there is no interaction")
    write_coverage(tmp_path / "c.html", report)


def test_a_few_busy_users_are_named():
    rows = [("busy", f"i{n}", None, None) for n in range(400)] + [(f"u{n}", "i0", None, None) for n in range(120)]
    warnings = coverage(interactions(rows), [f"i{n}" for n in range(400)], {})["warnings"]
    assert "the busiest 1 % of users hold 77 % of interactions" in warnings


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 10_000))
def test_mean_cosine_equals_the_mean_over_all_pairs(count: int, dim: int, seed: int):
    matrix = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    ids = [str(n) for n in range(count)]
    report = coverage(interactions(TRAIN), ["a"], {"image": links(("0", "a"))}, vectors={"image": (ids, matrix)})
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    expected = (unit @ unit.T)[~np.eye(count, dtype=bool)].mean()
    assert report["modalities"]["image"]["vectors"]["mean_cosine"] == pytest.approx(expected, abs=1e-4)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")]


def test_the_page_is_self_contained_escaped_and_repeatable(tmp_path: Path, report: dict):
    report["warnings"].append("<script>alert(1)</script>")
    report["refused"][0]["reason"] = "<b>&"
    write_coverage(tmp_path / "a.html", report, title="A & <B>")
    write_coverage(tmp_path / "b.html", report, title="A & <B>")
    text = (tmp_path / "a.html").read_text()
    page = Page()
    page.feed(text)
    assert text == (tmp_path / "b.html").read_text()
    assert page.tags.count("svg") == 4 and "script" not in page.tags and "b" not in page.tags
    assert [s for s in page.sources if not s.startswith("data:")] == []
    assert "A &amp; &lt;B&gt;" in text and "fill: var(--ink)" in text and "default-src 'none'" in text
    assert "color-scheme:light dark" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_agreement_gets_its_own_plot_and_table(tmp_path: Path):
    media = {"image": links(("x", "a"), ("y", "b")), "text": links(("p", "a"), ("q", "b"))}
    similar = {"image": edges(("x", "y")), "text": edges(("p", "q"))}
    write_coverage(tmp_path / "c.html", coverage(interactions(TRAIN), ["a", "b"], media, similar=similar))
    text = (tmp_path / "c.html").read_text()
    assert "image and text" in text and "by chance" in text


def test_neighbours_that_agree_no_more_than_chance_are_warned_about():
    items = [f"i{n}" for n in range(6)]
    media = {m: links(*((f"{m}{n}", f"i{n}") for n in range(6))) for m in ("image", "audio")}
    similar = {
        "image": edges(*((f"image{n}", f"image{(n + 1) % 6}") for n in range(6))),
        "audio": edges(*((f"audio{n}", f"audio{(n + 3) % 6}") for n in range(6))),
    }
    warnings = coverage(interactions(TRAIN), items, media, similar=similar)["warnings"]
    assert any(w.startswith("image and audio neighbours agree no more than chance (Jaccard 0.000") for w in warnings)

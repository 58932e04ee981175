"""Reasons in another tone: what is sent, what is taken, and what stays as it was."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from modalweave.results.words import Language, customer_sentences
from modalweave.sample.catalogue import write_catalogue
from modalweave.stages.wording import problem_of
from tests.chat_server import Asked, ChatServer
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]


def warmly(asked: Asked) -> object:
    """A model that does as it is told."""
    said = asked.text
    if "您" in said:
        return {"sentence": "亲爱的朋友，" + said}
    return {"sentence": "Dear reader, " + said[0].lower() + said[1:]}


@pytest.fixture
def server() -> ChatServer:
    return ChatServer(warmly)


@pytest.fixture
def shop(tmp_path: Path, server: ChatServer, modalweave: Run) -> Path:
    write_catalogue(tmp_path / "data", items=60, users=60, modalities=("text", "image"))
    settings = {
        "source": {"path": str(tmp_path / "data")},
        "workspace": str(tmp_path / "run"),
        "gnn": {"model": "graph_filter"},
        "encoders": {"text": "lexical"},
        "language_model": server.config,
    }
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(settings))
    for command in ("build", "train"):
        done = modalweave(command, path)
        assert done.code == 0, done.err
    return path


def reasons(modalweave: Run, shop: Path, out: Path, language: str) -> pl.DataFrame:
    done = modalweave("score", shop, "--out", out, "--top-k", 3, "--reasons", language, "--tone", "like a bookseller")
    assert done.code == 0, done.err
    return pl.read_parquet(out / "part-*.parquet")


def test_a_job_speaks_in_another_tone(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    english = reasons(modalweave, shop, tmp_path / "en", "en")["reason"].drop_nulls()
    assert all(("Dear reader" in reason and "you chose" in reason) or "as you did" in reason for reason in english)
    chinese = reasons(modalweave, shop, tmp_path / "zh", "zh")["reason"].drop_nulls()
    assert all(reason.startswith("亲爱的朋友，") for reason in chinese)
    number = len(server.asked)
    assert number == len(customer_sentences("en")) + len(customer_sentences("zh"))
    reasons(modalweave, shop, tmp_path / "again", "en")
    assert len(server.asked) == number  # kept
    pair = pl.read_parquet(tmp_path / "en" / "part-*.parquet").row(0, named=True)
    words = modalweave(
        "explain",
        "--user",
        pair["user_id"],
        "--item",
        pair["item_id"],
        shop,
        "--in-words",
        "--tone",
        "like a bookseller",
    )
    assert words.code == 0 and "Dear reader" in words.out and len(server.asked) == number


def test_no_name_is_sent(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    reasons(modalweave, shop, tmp_path / "en", "en")
    sent = " ".join(str(body["messages"]) for _, _, body in server.asked)
    titles = pl.read_parquet(tmp_path / "data" / "items.parquet")["title"].to_list()
    assert not [title for title in titles if title in sent]
    assert "{history}" in sent and "like a bookseller" in sent


def test_what_does_not_fit_stays_and_is_told(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    server.model = lambda asked: {"sentence": "Buy it at https://example.org, {history}!"}
    done = modalweave("score", shop, "--out", tmp_path / "x", "--reasons", "en", "--tone", "pushy", "--top-k", 3)
    assert done.code == 0 and "sentences did not fit and stay as they are" in done.err
    plain = modalweave("score", shop, "--out", tmp_path / "y", "--reasons", "en", "--top-k", 3)
    assert plain.code == 0
    one, two = (pl.read_parquet(tmp_path / name / "part-*.parquet") for name in ("x", "y"))
    assert one.equals(two)


EN = "It looks much like {history}, which you chose."
ZH = "它看起来很像您选过的《{history}》。"


@pytest.mark.parametrize(
    ("language", "reply"),
    [
        ("en", "As you chose {history}, this one may catch your eye!"),
        ("en", "{history} was your choice, and it looks much like that."),
        ("zh", "您选过《{history}》，这一件看起来和它很像。"),
        ("zh", "它和您选过的{history}看起来很像！"),
    ],
)
def test_other_words_for_the_same(language: Language, reply: str) -> None:
    assert problem_of(EN if language == "en" else ZH, reply, language) is None


@pytest.mark.parametrize(
    ("language", "reply", "problem"),
    [
        ("en", "It looks much like something you chose.", "gaps"),
        ("en", "{history}, {history}: you chose it.", "gaps"),
        ("en", "It looks like {history} by {between}, which you chose.", "gaps"),
        ("en", "It looks like {history.__class__}, which you chose.", "gaps"),
        ("en", "It looks like {history!r}.", "gaps"),
        ("en", "It looks much like {history}, which Anna chose.", "names 'Anna'"),
        ("en", "It looks much like {history}, like 9 of 10 customers said.", "number"),
        ("en", "It looks much like {history}, which you chose", "end"),
        ("en", "它很像您选过的{history}.", "language"),
        ("en", "It looks like {history} <b>now</b>.", "holds <"),
        ("en", "It looks like {history}. " + "really " * 60 + ".", "short"),
        ("en", "It looks like {history}.\nBuy.", "short"),
        ("en", "", "gaps"),
        ("zh", "It looks much like {history}。", "language"),
        ("zh", "它很像《{history}》和《红楼梦》。", "holds"),
        ("zh", "它很像您选过的Apple{history}。", "language"),
    ],
)
def test_what_is_refused(language: Language, reply: str, problem: str) -> None:
    found = problem_of(EN if language == "en" else ZH, reply, language)
    assert found is not None and problem in found


def test_every_sentence_fits_itself() -> None:
    for language in ("en", "zh"):
        for text in customer_sentences(language).values():
            assert problem_of(text, text, language) is None, text


def test_what_a_tone_needs(shop: Path, modalweave: Run, tmp_path: Path) -> None:
    assert modalweave("score", shop, "--out", tmp_path / "a", "--tone", "dry").code != 0
    bare = tmp_path / "bare.yaml"
    bare.write_text(yaml.safe_dump({**yaml.safe_load(shop.read_text()), "language_model": None}))
    done = modalweave("score", bare, "--out", tmp_path / "a", "--tone", "dry", "--reasons", "en")
    assert done.code == 1 and "a tone needs a model" in done.err
    long = modalweave("score", shop, "--out", tmp_path / "a", "--tone", "x" * 201, "--reasons", "en")
    assert long.code == 1 and "a tone is a few words" in long.err

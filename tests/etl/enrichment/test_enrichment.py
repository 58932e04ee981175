"""A catalogue's tables with what a model wrote: once asked, kept, in the same order, whatever happens between."""

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from PIL import Image

from encoders.chat import Chat, LanguageModelConfig
from encoders.errors import EncoderError
from encoders.limits import DecodeLimits
from encoders.reading import MediaReader
from etl.enrichment.config import EnrichmentConfig
from etl.enrichment.enrichment import Enriched, enrich, estimates
from etl.enrichment.replies import ReplyCache
from etl.errors import SourceError
from etl.tables import INTERACTIONS, MEDIA, PROVENANCE, Tables
from tests.chat_server import Asked, ChatServer

CONFIG = {
    "captions": {"show": ["image", "audio"]},
    "triples": {"relations": {"material": {"meaning": "made of", "values": ["wood", "brass"]}}},
}


def model(asked: Asked) -> object:
    if asked.task == "captions":
        return {"caption": f"{asked.record['title']} as seen"}
    text = " ".join(asked.record.get("texts", []))
    return {"material": [{"value": m, "evidence": m} for m in ("wood", "brass") if m in text]}


def catalogue(folder: Path, items: int = 12) -> Tables:
    """Every third item has no text but a picture, the others a text."""
    media = []
    for number in range(items):
        if number % 3 == 0:
            pixels = np.full((30, 20, 3), number, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
            media.append({"item_id": f"i{number}", "modality": "image", "uri": f"{number}.png"})
        else:
            content = f"Item {number}, made of {'wood' if number % 2 else 'brass'}, is good for many a quiet evening."
            media.append({"item_id": f"i{number}", "modality": "text", "content": content})
    return Tables(
        INTERACTIONS.empty_table(),
        items=pa.table({"item_id": [f"i{n}" for n in range(items)], "title": [f"Title {n}" for n in range(items)]}),
        media=pa.Table.from_pylist(media, MEDIA),
        root=folder,
    )


class Setting:
    """A catalogue, a scripted server and a cache."""

    def __init__(self, folder: Path, *faults: object, config: object = CONFIG, **settings: object) -> None:
        self.folder = folder
        self.server = ChatServer(model, *faults)
        self.config = EnrichmentConfig.model_validate(config)
        self.chat = Chat(LanguageModelConfig.model_validate({**self.server.config, **settings}))
        self.reader = MediaReader(folder, DecodeLimits(), None)
        self.tables = catalogue(folder)

    def go(self, **how: object) -> Enriched:
        with ReplyCache(self.folder / "cache") as cache:
            return enrich(self.tables, self.config, self.chat, cache, self.reader, **how)  # type: ignore[arg-type]


@pytest.fixture
def setting(tmp_path: Path) -> Callable[..., Setting]:
    return lambda *faults, **how: Setting(tmp_path, *faults, **how)


def generated(table: pa.Table | None) -> list[dict[str, str]]:
    assert table is not None
    return [row for row in table.to_pylist() if row["source"] == "generated"]


def test_texts_and_facts_with_where_they_come_from(setting: Callable[..., Setting]) -> None:
    case = setting()
    tables, report = case.go()
    captions, facts = generated(tables.media), generated(tables.triples)
    assert [row["item_id"] for row in captions] == ["i0", "i3", "i6", "i9"]
    assert captions[0] | {"created": ""} == {
        "item_id": "i0",
        "modality": "text",
        "uri": None,
        "content": "Title 0 as seen",
        "role": "caption",
        "lang": "en",
        "source": "generated",
        "model": "scripted-1",
        "prompt": captions[0]["prompt"],
        "created": "",
        "evidence": captions[0]["evidence"],
    }
    assert len(captions[0]["evidence"]) == 64 and len(captions[0]["prompt"]) == 16
    assert [(row["head_id"], row["tail_id"], row["evidence"]) for row in facts[:2]] == [
        ("i1", "material:wood", "wood"),
        ("i2", "material:brass", "brass"),
    ]
    assert report.written == {"caption": 4, "material": 8} and (report.texts, report.facts) == (4, 8)
    assert tables.media is not None and case.tables.media is not None
    own = tables.media.slice(0, len(case.tables.media))
    assert own.select(MEDIA.names).equals(case.tables.media)
    assert all(own[name].null_count == len(own) for name in PROVENANCE.names)


def test_the_second_time_nothing_is_asked(setting: Callable[..., Setting]) -> None:
    case = setting()
    first, second = case.go(), case.go()
    assert len(case.server.asked) == 16 == first.report.asked
    assert second.report.kept == 16 and second.report.tokens_in == 0
    assert first.tables.media.equals(second.tables.media) and first.tables.triples.equals(second.tables.triples)


def test_equal_items_are_asked_about_once(setting: Callable[..., Setting]) -> None:
    case = setting()
    case.server.pause = 0.05
    same = pa.table({"item_id": [f"s{n}" for n in range(20)], "title": ["Same"] * 20})
    media = [{"item_id": f"s{n}", "modality": "text", "content": "made of wood " * 5} for n in range(20)]
    case.tables = replace(case.tables, items=same, media=pa.Table.from_pylist(media, MEDIA))
    tables, report = case.go()
    assert len(case.server.asked) == 1 and report.kept == 19 and len(generated(tables.triples)) == 20


def test_another_model_is_asked_anew(setting: Callable[..., Setting]) -> None:
    case = setting()
    case.go()
    case.chat = Chat(LanguageModelConfig.model_validate({**case.server.config, "model": "scripted-2"}))
    tables, report = case.go()
    assert report.kept == 0 and {row["model"] for row in generated(tables.triples)} == {"scripted-2"}


def test_what_does_not_fit_is_asked_once_more_then_left_out(setting: Callable[..., Setting]) -> None:
    wrong = {"material": [{"value": "gold", "evidence": "wood"}]}
    case = setting(config={"triples": CONFIG["triples"]}, concurrency=1)
    case.server.model = lambda asked: wrong if "Title 1" in asked.text and not asked.again else model(asked)
    tables, report = case.go()
    assert report.left_out == 0 and len(generated(tables.triples)) == 8
    (again,) = [body for _, _, body in case.server.asked if len(body["messages"]) > 2 and 'Title 1"' in str(body)]
    assert json.loads(again["messages"][2]["content"]) == wrong
    assert "'gold' is none of its values" in again["messages"][3]["content"]

    case.chat = Chat(LanguageModelConfig.model_validate({**case.server.config, "revision": "b"}))
    case.server.model = lambda asked: wrong if '"Title 1"' in asked.text else model(asked)
    tables, report = case.go()
    assert report.left_out == 1 and len(generated(tables.triples)) == 7
    assert tables.rejected.to_pylist() == [
        {
            "item_id": "i1",
            "modality": None,
            "uri": None,
            "reason": "enrich.triples: material: 'gold' is none of its values",
        }
    ]
    number = len(case.server.asked)
    assert case.go().tables.rejected.equals(tables.rejected) and len(case.server.asked) == number


def test_what_fits_stays_where_the_second_request_is_refused(setting: Callable[..., Setting]) -> None:
    half = [{"value": "wood", "evidence": "wood"}, {"value": "gold", "evidence": "wood"}]
    case = setting(None, {"say": json.dumps({"material": half})}, (413, {}, "too long"), concurrency=1)
    case.config = EnrichmentConfig.model_validate({"triples": CONFIG["triples"]})
    tables, report = case.go()
    assert report.left_out == 1 and ("i1", "material:wood") in [
        (row["head_id"], row["tail_id"]) for row in generated(tables.triples)
    ]
    assert case.go().report.kept == report.asked


def test_a_reply_that_is_cut_is_none(setting: Callable[..., Setting]) -> None:
    cut = {"say": '{"material": [', "finish": "length"}
    case = setting(cut, cut, config={"triples": CONFIG["triples"]}, concurrency=1)
    tables, report = case.go()
    reason = "enrich.triples: no whole reply came within language_model.max_tokens"
    assert report.left_out == 1 and tables.rejected["reason"].to_pylist() == [reason]
    assert case.go().tables.rejected.equals(tables.rejected)


def test_pictures_and_sounds_go_as_data_without_their_names(setting: Callable[..., Setting]) -> None:
    case = setting()
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros((8000, 2)), 8000, format="WAV")
    (case.folder / "secret-name.wav").write_bytes(sound.getvalue())
    added = [{"item_id": "i0", "modality": "audio", "uri": "secret-name.wav"}]
    case.tables = replace(case.tables, media=pa.concat_tables([case.tables.media, pa.Table.from_pylist(added, MEDIA)]))
    case.go()
    (body,) = [b for _, _, b in case.server.asked if '"Title 0"' in str(b) and "caption" in str(b)]
    record, picture, audio = body["messages"][1]["content"]
    assert json.loads(record["text"]) == {"title": "Title 0", "pictures": 1, "sounds": 1}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert audio["input_audio"]["format"] == "wav" and 40_000 < len(audio["input_audio"]["data"]) < 44_000  # one second
    assert "secret-name" not in json.dumps(body)


def test_media_that_cannot_be_sent_cost_their_item_alone(setting: Callable[..., Setting]) -> None:
    case = setting()
    (case.folder / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (case.folder / "6.png").unlink()
    tables, report = case.go()
    assert [row["item_id"] for row in generated(tables.media)] == ["i0", "i9"]
    assert report.left_out == 1 and "its media cannot be sent" in tables.rejected["reason"][0].as_py()


def test_a_failing_server_ends_it_and_what_came_is_kept(setting: Callable[..., Setting]) -> None:
    case = setting(concurrency=1, retries=0)
    case.server.faults = [*[None] * 5, (500, {}, "out of memory")]
    with pytest.raises(EncoderError, match="gave no answer in one try: HTTP 500 out of memory"):
        case.go()
    with ReplyCache(case.folder / "cache") as cache:
        assert cache.usage("triples").replies + cache.usage("captions").replies >= 5
    before = len(case.server.asked)
    tables, report = case.go()
    assert len(case.server.asked) - before == report.asked - report.kept <= 11
    assert len(generated(tables.media)) == 4


def test_a_budget_ends_it_and_the_next_run_goes_on(setting: Callable[..., Setting]) -> None:
    case = setting(max_requests=5)
    with pytest.raises(EncoderError, match="max_requests 5"):
        case.go()
    assert len(case.server.asked) == 5
    case.chat = Chat(LanguageModelConfig.model_validate(case.server.config))
    assert case.go().report.kept == 5 and len(case.server.asked) == 16


def test_a_server_that_takes_no_request_is_told_at_once(setting: Callable[..., Setting]) -> None:
    case = setting(*[(400, {}, "response_format is not supported")] * 16)
    with pytest.raises(EncoderError, match="response_format is not supported"):
        case.go()
    assert len(case.server.asked) <= 8


def test_a_request_that_is_refused_costs_its_item_alone(setting: Callable[..., Setting]) -> None:
    case = setting(None, None, None, (400, {}, "too long"), concurrency=1)
    tables, report = case.go()
    assert report.left_out == 1 and "HTTP 400 too long" in tables.rejected["reason"][0].as_py()
    assert case.go().report.left_out == 0  # asked again: nothing came that could be kept


def test_requests_run_at_once(setting: Callable[..., Setting]) -> None:
    case = setting(concurrency=6)
    case.server.pause = 0.05
    case.go()
    assert 3 <= case.server.most_at_once <= 6


def test_a_slow_reply_holds_up_no_other(setting: Callable[..., Setting]) -> None:
    case, gate = setting(concurrency=2, config={"triples": CONFIG["triples"]}), threading.Event()

    def slow(asked: Asked) -> object:
        if '"Title 0"' in asked.text:
            gate.wait(10)
        elif '"Title 11"' in asked.text:
            gate.set()  # only reached while the first one still runs
        return model(asked)

    case.server.model = slow
    tables, _ = case.go()
    assert gate.is_set() and [row["head_id"] for row in generated(tables.triples)][:2] == ["i1", "i2"]


def test_what_it_would_take(setting: Callable[..., Setting]) -> None:
    case = setting(price={"input": 10.0, "output": 100.0})
    with ReplyCache(case.folder / "cache") as cache:
        before = {e.task: e for e in estimates(case.tables, case.config, case.chat, cache, case.reader)}
        assert not case.server.asked
        assert (before["captions"].calls, before["triples"].calls) == (4, 12)
        assert before["captions"].seconds is None and before["triples"].cost is not None
    case.go()
    with ReplyCache(case.folder / "cache") as cache:
        after = {e.task: e for e in estimates(case.tables, case.config, case.chat, cache, case.reader)}
    assert (after["captions"].items, after["captions"].calls, after["captions"].cost) == (4, 0, 0.0)


def test_texts_that_come_as_vectors_take_no_captions(setting: Callable[..., Setting]) -> None:
    case = setting()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0], pa.float32()), 2)
    given = {"text": pa.table({"item_id": ["i1"], "vector": vectors})}
    case.tables = replace(case.tables, embeddings=given)
    with pytest.raises(SourceError, match="leave captions and summary out"):
        case.go()
    assert not case.server.asked


def test_an_attribute_that_items_do_not_have(setting: Callable[..., Setting]) -> None:
    with pytest.raises(SourceError, match=r"enrich\.attributes: items have no 'titel'; did you mean 'title'\?"):
        setting(config={**CONFIG, "attributes": ["titel"]}).go()


def test_a_damaged_cache_is_one_line(setting: Callable[..., Setting]) -> None:
    case = setting()
    case.go()
    (case.folder / "cache" / "replies.sqlite").write_bytes(b"no database" * 1000)
    for beside in case.folder.joinpath("cache").glob("*-wal"):
        beside.unlink()
    with pytest.raises(EncoderError, match="cannot be used"):
        case.go()

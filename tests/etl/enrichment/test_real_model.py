"""A real language model behind a real server, where one is named: what it replies is taken or left out, and counted.

MODALWEAVE_LANGUAGE_MODEL=http://127.0.0.1:8090/v1 MODALWEAVE_REPLIES=object \\
    pytest -s tests/etl/enrichment/test_real_model.py
"""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from encoders.chat import Chat, LanguageModelConfig
from encoders.limits import DecodeLimits
from encoders.reading import MediaReader
from etl.enrichment.config import EnrichmentConfig
from etl.enrichment.enrichment import enrich
from etl.enrichment.replies import ReplyCache
from etl.tables import INTERACTIONS, MEDIA, Tables

ADDRESS = os.environ.get("MODALWEAVE_LANGUAGE_MODEL")
TEXTS = [
    "A war drama about two brothers who meet again in Berlin in 1945, each on the other side of the front.",
    "Two strangers fall in love on a night train to Vienna and part in the morning without a name.",
    "A detective with a cold hunts a jewel thief through the fog of San Francisco.",
    "The crew of a small freighter finds that something came aboard with the last cargo, and it is hungry.",
    "A stand-up comedian inherits a farm and every animal on it has an opinion.",
]


@pytest.mark.skipif(ADDRESS is None, reason="MODALWEAVE_LANGUAGE_MODEL names no server")
def test_what_fits_is_taken_and_the_rest_left_out(tmp_path: Path) -> None:
    items = [f"i{number}" for number in range(len(TEXTS))]
    media = [{"item_id": i, "modality": "text", "content": text} for i, text in zip(items, TEXTS, strict=True)]
    tables = Tables(
        INTERACTIONS.empty_table(),
        items=pa.table({"item_id": items, "title": [f"Film {item}" for item in items]}),
        media=pa.Table.from_pylist(media, MEDIA),
    )
    genres = ["action", "comedy", "crime", "drama", "horror", "romance", "war"]
    config = EnrichmentConfig.model_validate(
        {
            "summary": {"longer_than": 20},
            "triples": {"relations": {"genre": {"meaning": "The kind of film.", "values": genres}}},
        }
    )
    settings = {
        "address": ADDRESS,
        "model": os.environ.get("MODALWEAVE_LANGUAGE_MODEL_NAME", "default"),
        "replies": os.environ.get("MODALWEAVE_REPLIES", "schema"),
        "max_tokens": 300,
        "timeout": 300,
        "concurrency": 1,
    }
    chat, reader = Chat(LanguageModelConfig.model_validate(settings)), MediaReader(None, DecodeLimits(), None)
    with ReplyCache(tmp_path) as cache:
        first = enrich(tables, config, chat, cache, reader)
        again = enrich(tables, config, chat, cache, reader)
    assert first.report.asked == 10 and again.report.kept == 10
    assert again.tables.media.equals(first.tables.media)
    left_out = len(set(first.tables.rejected["reason"].to_pylist()))
    print(f"\n{first.report.written} of 10 replies, {first.report.left_out} did not fit in {left_out} ways")

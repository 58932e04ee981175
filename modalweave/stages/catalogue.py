"""What reading a catalogue needs beside its files: the types a store holds, and the encoders of its media."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from encoders import AUTO, DEFAULTS, make_encoder
from encoders.base import Encoder
from encoders.cache import EmbeddingCache
from encoders.downloads import Downloads
from encoders.registry import automatic, renamed
from etl.media import MediaGraph, build_media, refuse_nothing_left
from etl.tables import MEDIA, Tables
from graph.errors import StoreMissing
from graph.schema import MODALITIES
from modalweave.config import RunConfig
from modalweave.progress import Stages
from modalweave.stages.vector_lookup import keep_given
from modalweave.stores import connect
from modalweave.workspace import Workspace


def held_attributes(config: RunConfig) -> dict[str, dict[str, pa.DataType]]:
    """The attributes that the run's store has already: a delivery is read in their types."""
    try:
        with connect(config.store_address, config, read_only=True) as store:
            return {label: {f.name: f.type for f in store.attributes(label)} for label in ("User", "Item")}
    except StoreMissing:
        return {}  # nothing is built yet


def encoders_of(config: RunConfig, tables: Tables, stages: Stages) -> dict[str, Encoder | None]:
    """Encoders of the modalities that have raw media and no vectors; one object where two modalities share it."""
    raw = Counter(tables.media["modality"].to_pylist() if tables.media is not None else ())
    made: dict[str, Encoder] = {}
    found: dict[str, Encoder | None] = dict.fromkeys(MODALITIES)
    for modality in MODALITIES:
        spec = config.encoders[modality]
        if spec is None or modality not in raw or modality in tables.embeddings:
            continue
        if spec == AUTO:
            spec = _automatic(tables, stages)
        if str(spec) not in made:
            made[str(spec)] = make_encoder(spec)
            if note := renamed(spec):
                stages.note(f"  {note}")
        if where := getattr(made[str(spec)], "sends_to", None):
            stages.note(f"  {modality}: up to {raw[modality]:,} pieces, those not yet in the cache, go to {where}")
        found[modality] = made[str(spec)]
    return found


def text_encoder(config: RunConfig, tables: Tables, stages: Stages) -> Encoder | None:
    """The encoder of the run's texts, whether or not it has any; None where texts are left out."""
    spec = config.encoders["text"]
    return None if spec is None else make_encoder(_automatic(tables, stages) if spec == AUTO else spec)


def _automatic(tables: Tables, stages: Stages) -> str:
    media = tables.media if tables.media is not None else MEDIA.empty_table()
    texts = media.filter(pc.equal(media["modality"], "text"))["content"].drop_null().to_pylist()
    chosen = automatic(texts)
    if chosen != DEFAULTS["text"]:
        stages.note(
            f"  text: {chosen}, which knows words and no meaning, since most of {len(texts):,} texts are in scripts "
            f"that {DEFAULTS['text']} cannot read; name a multilingual model in encoders.text where there is one"
        )
    return chosen


def embedded(config: RunConfig, tables: Tables, encoders: dict[str, Encoder | None], stages: Stages) -> MediaGraph:
    """Media nodes and their vectors, kept in the run's cache; raises `SourceError` where no media is left."""
    workspace = Workspace(config.workspace)
    with stages.stage("encode", "Media to embeddings") as report:
        cache, hosts = EmbeddingCache(workspace.embeddings), config.source.media_hosts
        downloads = Downloads(workspace.downloads, hosts) if hosts else None
        media = build_media(tables, encoders, cache=cache, limits=config.limits, downloads=downloads, progress=report)
        keep_given(cache, media)
    refuse_nothing_left(tables, media)
    return media

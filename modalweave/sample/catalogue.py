"""The synthetic sample catalogue: a dataset folder with pictures, sounds, words, makers, users and tastes.

Everything in it is made by this program; no real product, person or recording is in it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from common.files import write_bytes, write_text
from common.progress import Progress
from modalweave.errors import RunError
from modalweave.sample.media import draw_picture, draw_sound, name_item
from modalweave.sample.world import TOPICS, World, draw_friends, draw_interactions, draw_world

MARKER = "README.txt"
"""The file that says the folder is synthetic, and that this program may write in it again."""

_START = 1_704_067_200
_SPAN = 2 * 365 * 86_400
_MISSING = {"image": 0.04, "audio": 0.10}
_SAME_PICTURE = 0.02
_BROKEN = {"image": 2, "audio": 1}
_MAKERS = (
    "Alder",
    "Birch",
    "Cobalt",
    "Dune",
    "Ember",
    "Fjord",
    "Grove",
    "Harbour",
    "Iris",
    "Juniper",
    "Kelp",
    "Larch",
)
_CRAFTS = ("Works", "Studio", "Workshop", "House", "Makers")
_README = """SYNTHETIC SAMPLE CATALOGUE - written by `modalweave demo`.

Every item, picture, sound, sentence, maker, user and interaction in this folder was drawn by a program from
hidden tastes (seed {seed}). Nothing describes a real product or person. {items} items, {users} users.

Some items miss a picture or a sound, a few share one picture, {broken} files are broken on purpose, and the
newest items are used by hardly anyone yet: that is what real catalogues look like.
"""


class CatalogueError(RunError):
    """The sample catalogue cannot be written there."""


def write_catalogue(
    out: Path,
    *,
    items: int = 300,
    users: int = 500,
    seed: int = 0,
    picture_size: int = 128,
    modalities: Sequence[str] = ("text", "image", "audio"),
    progress: Progress | None = None,
) -> None:
    """Write the sample catalogue to `out` as a dataset folder; the same arguments give the same bytes.

    Media are written one item at a time, so memory does not grow with them; `interactions.parquet`, the file
    that makes a folder a dataset, comes last. `picture_size` is in pixels;
    `modalities` leaves kinds of media out.

    Raises `CatalogueError` where `out` holds files that this function did not write, or for too few items.
    """
    if items < 20 or users < 10:
        raise CatalogueError(f"items={items}, users={users}: a sample catalogue needs at least 20 items and 10 users")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise CatalogueError(f"{out}: is not empty and holds no sample catalogue; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / "interactions.parquet").unlink(missing_ok=True)
    broken = sum(n for m, n in _BROKEN.items() if m in modalities)
    write_text(out / MARKER, _README.format(seed=seed, items=items, users=users, broken=broken))
    world = draw_world(items=items, users=users, seed=seed)
    titles, media = _write_media(out, world, seed, picture_size, modalities, progress)
    _save(out / "items.parquet", _items(world, titles, seed))
    _save(out / "users.parquet", pa.table({"user_id": _ids("u", users), "name": _people(users)}))
    _save(out / "media.parquet", media)
    _save(out / "triples.parquet", _triples(world, seed))
    user, friend = draw_friends(world, per_user=3, seed=seed)
    names = np.array(_ids("u", users))
    _save(out / "social.parquet", pa.table({"user_id": names[user], "friend_id": names[friend]}))
    _save(out / "interactions.parquet", _interactions(world, seed))


def _write_media(
    out: Path, world: World, seed: int, size: int, modalities: Sequence[str], progress: Progress | None
) -> tuple[list[str], pa.Table]:
    """Render every item's media; returns titles and the media table."""
    items = len(world.style)
    titles: list[str] = []
    rows: list[dict[str, str]] = []
    used: Counter[str] = Counter()
    plan = _plan(world, seed)
    for index, item_id in enumerate(_ids("i", items)):
        rng = np.random.default_rng([seed, 7, index])
        like = plan.picture_of[index]
        style, colour = int(world.style[like]), int(world.colour[like])
        title, text = name_item(style, colour, int(world.topic[index]), rng)
        used[title] += 1
        titles.append(title if used[title] == 1 else f"{title} No. {used[title]}")
        if "text" in modalities:
            rows.append({"item_id": item_id, "modality": "text", "content": text, "lang": "en"})
        if "image" in modalities and plan.has_image[index]:
            data = draw_picture(style, colour, size, np.random.default_rng([seed, 8, like]))
            uri = _put(out, f"images/{item_id}.png", _spoil(data, plan.broken_images, index))
            rows.append({"item_id": item_id, "modality": "image", "uri": uri})
        if "audio" in modalities and plan.has_audio[index]:
            sound, extension = draw_sound(int(world.sound[index]), rng)
            uri = _put(out, f"sounds/{item_id}.{extension}", _spoil(sound, plan.broken_sounds, index))
            rows.append({"item_id": item_id, "modality": "audio", "uri": uri})
        if progress is not None:
            progress(index + 1, items)
    schema = pa.schema([(n, pa.string()) for n in ("item_id", "modality", "uri", "content", "lang")])
    return titles, pa.Table.from_pylist(rows, schema=schema)


@dataclass(frozen=True)
class _Plan:
    """What is missing, shared or broken, by item index. Cold items are whole: only content reaches them."""

    has_image: NDArray[np.bool_]
    has_audio: NDArray[np.bool_]
    picture_of: NDArray[np.int64]
    broken_images: list[int]
    broken_sounds: list[int]


def _plan(world: World, seed: int) -> _Plan:
    rng = np.random.default_rng([seed, 4])
    items = len(world.style)
    has_image = (rng.random(items) >= _MISSING["image"]) | world.cold
    has_audio = (rng.random(items) >= _MISSING["audio"]) | world.cold
    picture_of = np.arange(items)
    warm = rng.permutation(np.flatnonzero(~world.cold & has_image & has_audio))
    for index in warm[: max(1, round(_SAME_PICTURE * items))]:
        alike = np.flatnonzero((world.style == world.style[index]) & has_image & (picture_of == np.arange(items)))
        picture_of[index] = alike[alike != index][0] if len(alike) > 1 else index
    whole = np.setdiff1d(warm[::-1], picture_of[picture_of != np.arange(items)], assume_unique=True)
    images, sounds = _BROKEN["image"], _BROKEN["audio"]
    return _Plan(
        has_image,
        has_audio,
        picture_of,
        broken_images=[int(i) for i in whole[:images]],
        broken_sounds=[int(i) for i in whole[images : images + sounds]],
    )


def _spoil(data: bytes, broken: list[int], index: int) -> bytes:
    """The bytes as they are, or for a broken file: cut in half (the first picture) or no media at all."""
    if index not in broken:
        return data
    return data[: len(data) // 2] if len(broken) > 1 and broken[0] == index else b"No media in here, on purpose.\n"


def _items(world: World, titles: list[str], seed: int) -> pa.Table:
    rng = np.random.default_rng([seed, 5])
    items = len(titles)
    days = np.where(world.cold, 0.94, 0.0) * _SPAN / 86_400
    first = date(2024, 1, 1)
    return pa.table(
        {
            "item_id": _ids("i", items),
            "title": titles,
            "category": [TOPICS[t] for t in world.topic],
            "price": np.round(np.exp(rng.normal(3.2, 0.5, size=items)), 2),
            "released": [(first + timedelta(days=int(d))).isoformat() for d in days],
        }
    )


def _people(users: int) -> list[str]:
    return [f"Sample User {n + 1}" for n in range(users)]


def _triples(world: World, seed: int) -> pa.Table:
    """Item made_by maker, item in_series series (half the items), series made_by maker."""
    rng = np.random.default_rng([seed, 6])
    names = [_maker_name(m) for m in range(int(world.maker.max()) + 1)]
    rows = []
    for item_id, maker, topic, serial in zip(
        _ids("i", len(world.maker)), world.maker, world.topic, rng.random(len(world.maker)) < 0.5, strict=True
    ):
        rows.append((item_id, "made_by", f"maker:{maker}", "Item", "Maker", names[maker]))
        if serial:
            series = f"{names[maker]} {TOPICS[topic].title()} Series"
            rows.append((item_id, "in_series", f"series:{maker}-{topic}", "Item", "Series", series))
    owners = sorted({(r[2], r[5]) for r in rows if r[1] == "in_series"})
    for series_id, _ in owners:
        maker = int(series_id.removeprefix("series:").split("-")[0])
        rows.append((series_id, "made_by", f"maker:{maker}", "Series", "Maker", names[maker]))
    columns = ("head_id", "relation", "tail_id", "head_type", "tail_type", "tail_name")
    return pa.table({c: pa.array([r[i] for r in rows], pa.string()) for i, c in enumerate(columns)})


def _maker_name(maker: int) -> str:
    tree, craft = _MAKERS[maker % len(_MAKERS)], _CRAFTS[maker // len(_MAKERS) % len(_CRAFTS)]
    again = maker // (len(_MAKERS) * len(_CRAFTS))
    return f"{tree} {craft}" if again == 0 else f"{tree} {craft} {again + 1}"


def _interactions(world: World, seed: int) -> pa.Table:
    user, item, moment = draw_interactions(world, seed=seed)
    user_ids = np.array(_ids("u", len(world.tastes["style"])))
    item_ids = np.array(_ids("i", len(world.style)))
    when = (_START + moment * _SPAN).astype(np.int64)
    return pa.table({"user_id": user_ids[user], "item_id": item_ids[item], "timestamp": when})


def _ids(letter: str, count: int) -> list[str]:
    width = max(3, len(str(count)))
    return [f"{letter}{n + 1:0{width}d}" for n in range(count)]


def _put(out: Path, uri: str, data: bytes) -> str:
    # no draft: without interactions.parquet, which comes last, a folder with half a file is no dataset yet
    (out / uri).parent.mkdir(exist_ok=True)
    (out / uri).write_bytes(data)
    return uri


def _save(path: Path, table: pa.Table) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue().to_pybytes())

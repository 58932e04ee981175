"""The sample catalogue: repeatable, a valid dataset folder, and with tastes that content can recover."""

import hashlib
import io
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image, UnidentifiedImageError

from modalweave.sample.catalogue import MARKER, CatalogueError, write_catalogue
from modalweave.sample.media import draw_picture, draw_sound, name_item
from modalweave.sample.world import SOUNDS, STYLES, TOPICS, draw_friends, draw_interactions, draw_world


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("catalogue") / "sample"
    write_catalogue(out, items=120, users=80, seed=3, picture_size=48)
    return out


def table(folder: Path, name: str) -> dict[str, list]:
    return pq.read_table(folder / f"{name}.parquet").to_pydict()


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_catalogue(tmp_path / name, items=30, users=20, seed=seed, picture_size=32)
    a, b, c = (digest(tmp_path / n) for n in "abc")
    assert a == b
    assert a["interactions.parquet"] != c["interactions.parquet"]
    assert any(name.endswith(".ogg") for name in a)


def test_writing_again_into_the_same_folder_is_allowed(catalogue: Path):
    before = digest(catalogue)
    write_catalogue(catalogue, items=120, users=80, seed=3, picture_size=48)
    assert digest(catalogue) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "items.parquet").write_text("mine")
    with pytest.raises(CatalogueError, match="holds no sample catalogue"):
        write_catalogue(tmp_path)
    assert (tmp_path / "items.parquet").read_text() == "mine"


def test_too_small_is_refused_with_the_numbers(tmp_path: Path):
    with pytest.raises(CatalogueError, match="items=5"):
        write_catalogue(tmp_path / "x", items=5)


def test_it_says_that_it_is_synthetic(catalogue: Path):
    text = (catalogue / MARKER).read_text()
    assert "SYNTHETIC" in text and "120 items, 80 users" in text


def test_every_reference_resolves(catalogue: Path):
    items = set(table(catalogue, "items")["item_id"])
    users = set(table(catalogue, "users")["user_id"])
    interactions = table(catalogue, "interactions")
    assert set(interactions["item_id"]) <= items and set(interactions["user_id"]) == users
    pairs = list(zip(interactions["user_id"], interactions["item_id"], strict=True))
    assert len(pairs) == len(set(pairs))
    social = table(catalogue, "social")
    assert set(social["user_id"]) | set(social["friend_id"]) <= users
    assert all(u != f for u, f in zip(social["user_id"], social["friend_id"], strict=True))
    triples = table(catalogue, "triples")
    assert set(triples["relation"]) == {"made_by", "in_series"}
    tails = set(triples["tail_id"])
    assert all(head in items or head in tails for head in triples["head_id"])
    media = table(catalogue, "media")
    assert set(media["item_id"]) <= items
    for uri, content in zip(media["uri"], media["content"], strict=True):
        assert (uri is None) != (content is None)
        assert uri is None or (catalogue / uri).is_file()


def test_titles_are_unique_and_readable(catalogue: Path):
    titles = table(catalogue, "items")["title"]
    assert len(set(titles)) == len(titles)
    assert all(title.split()[1] in STYLES for title in titles)


def test_media_decode_but_for_three_broken_files(catalogue: Path):
    media, broken = table(catalogue, "media"), []
    kinds, rates = set(), set()
    for uri in filter(None, media["uri"]):
        try:
            if uri.endswith(".png"):
                with Image.open(catalogue / uri) as picture:
                    picture.load()
                    assert picture.size == (48, 48)
            else:
                wave, rate = soundfile.read(catalogue / uri)
                kinds.add(uri.rsplit(".")[-1])
                rates.add(rate)
                assert 0.9 < len(wave) / rate < 1.9 and 0.05 < np.abs(wave).max() <= 1
        except (UnidentifiedImageError, OSError, soundfile.LibsndfileError):
            broken.append(uri)
    assert len(broken) == 3
    assert kinds == {"wav", "flac", "ogg"} and rates == {16_000, 22_050}


def test_some_media_are_missing_and_some_pictures_shared(catalogue: Path):
    media = pl.read_parquet(catalogue / "media.parquet")
    counts = dict(media.group_by("modality").agg(pl.col("item_id").n_unique()).iter_rows())
    assert counts["text"] == 120
    assert 95 <= counts["audio"] < 120
    assert 105 <= counts["image"] < 120
    of = digest(catalogue)
    hashes = [of[uri] for uri in media.filter(pl.col("modality") == "image")["uri"]]
    assert len(set(hashes)) < len(hashes)


def test_cold_items_come_only_at_the_end_and_are_whole(catalogue: Path):
    world = draw_world(items=120, users=80, seed=3)
    cold = {f"i{i + 1:03d}" for i in np.flatnonzero(world.cold)}
    assert len(cold) == 6
    frame = pl.read_parquet(catalogue / "interactions.parquet")
    late = frame.filter(pl.col("item_id").is_in(cold))["timestamp"].min()
    assert (frame["timestamp"] < late).mean() > 0.85
    media = pl.read_parquet(catalogue / "media.parquet").filter(pl.col("item_id").is_in(cold))
    assert set(media.group_by("item_id").len()["len"]) == {3}


def test_a_picture_shows_its_style_and_the_words_never_tell_it():
    rng = np.random.default_rng(0)
    for style, look in enumerate(STYLES):
        title, text = name_item(style, 0, 2, rng)
        assert look in title and look.lower() not in text.lower()
        assert draw_picture(style, 0, 24, rng)[:8] == b"\x89PNG\r\n\x1a\n"


def test_texts_differ_by_topic():
    rng = np.random.default_rng(0)
    assert len({name_item(0, 0, topic, rng)[1] for topic in range(len(TOPICS))}) == len(TOPICS)


def test_sound_families_differ_in_their_spectrum():
    rng = np.random.default_rng(0)
    centroids = []
    for family in range(len(SOUNDS)):
        with_family = []
        for _ in range(4):
            data, _ = draw_sound(family, rng)
            wave, rate = soundfile.read(io.BytesIO(data), always_2d=True)
            power = np.abs(np.fft.rfft(wave[:, 0])) ** 2
            with_family.append(float((power * np.fft.rfftfreq(len(wave), 1 / rate)).sum() / power.sum()))
        centroids.append(np.mean(with_family))
    assert max(centroids) > 8 * min(centroids)


def recall_at_20(scores: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    scores = np.where(train, -np.inf, scores)
    top = np.argsort(-scores, axis=1)[:, :20]
    users = test.any(axis=1)
    hits = np.take_along_axis(test, top, axis=1).sum(axis=1)
    return float((hits[users] / test[users].sum(axis=1)).mean())


def test_hidden_tastes_beat_popularity_by_far():
    world = draw_world(items=300, users=500, seed=0)
    user, item, moment = draw_interactions(world, seed=0)
    early = moment < 0.9
    train = np.zeros((500, 300), dtype=bool)
    test = np.zeros((500, 300), dtype=bool)
    train[user[early], item[early]] = True
    test[user[~early], item[~early]] = True
    oracle = recall_at_20(world.utility(slice(0, 500)), train, test)
    popular = recall_at_20(np.tile(train.sum(axis=0), (500, 1)).astype(float), train, test)
    assert oracle > 3 * popular
    assert oracle > 0.3
    assert not train[:, world.cold].any() and test[:, world.cold].any()


def test_friends_share_tastes_more_than_strangers():
    world = draw_world(items=50, users=300, seed=1)
    user, friend = draw_friends(world, per_user=3, seed=1)
    tastes = np.concatenate([world.tastes[t] for t in ("style", "topic", "sound")], axis=1)
    among_friends = (tastes[user] * tastes[friend]).sum(axis=1).mean()
    among_all = (tastes @ tastes.T)[~np.eye(300, dtype=bool)].mean()
    assert len(user) == 900 and among_friends > 1.3 * among_all


def test_a_large_catalogue_of_pictures_only_reports_its_progress(tmp_path: Path):
    seen = []
    write_catalogue(
        tmp_path / "big",
        items=200,
        users=20,
        picture_size=16,
        modalities=("image",),
        progress=lambda d, t: seen.append((d, t)),
    )
    assert seen[-1] == (200, 200) and len(seen) == 200
    assert not (tmp_path / "big" / "sounds").exists()
    assert set(table(tmp_path / "big", "media")["modality"]) == {"image"}

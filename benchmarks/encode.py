"""What the encoders that need no hub are worth, and how fast the pipeline is: one JSON object on stdout.

    python -m benchmarks.encode [--data DIR] [--images 753] [--memory-files 50000] [--cache DIR] [--only PART]

Accuracy: 1-nearest-neighbour category accuracy, leave one out, by cosine. Tux Paint stamps: the category is the
first two folders of a stamp (`category`), all of them (`folder`) or the first (`top`). ESC-10: the class; `across`
takes neighbours from other recordings' folds only. Beside them raw pixels, raw waveforms and chance (the chance
that two random items agree).
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from common.vectors import unit_rows
from encoders import DecodeLimits, make_encoder
from encoders.audio import decode_audio
from encoders.base import Encoder, EncoderBase
from encoders.cache import EmbeddingCache
from encoders.contents import MediaRef
from encoders.embedding import embed_media
from encoders.image import ImagePreparer
from etl.config import NeighbourConfig, SourceConfig
from etl.load import load_graph
from etl.media import build_media
from etl.media_links import link_media
from etl.sources import read_source
from etl.validate import validate
from graph import open_store
from modalweave.sample.catalogue import write_catalogue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=753, help="pictures in the throughput run")
    parser.add_argument("--memory-files", type=int, default=50_000, help="files in the larger memory run; 0: none")
    parser.add_argument("--cache", type=Path, help="embedding cache to use for the accuracy part")
    parts = ("stamps", "esc10", "throughput", "memory")
    parser.add_argument("--only", choices=parts, help="one part of the report instead of all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cache = EmbeddingCache(options.cache or root / "cache")
        for name in ("tuxpaint_tri.tar", "esc10_ogg.tar"):
            with tarfile.open(options.data / name) as archive:
                archive.extractall(root / name.split("_")[0], filter="data")
        measures: dict[str, Callable[[], object]] = {
            "stamps": lambda: stamps(root / "tuxpaint", options.data / "tuxpaint_index.csv", cache),
            "esc10": lambda: esc10(root / "esc10", cache),
            "throughput": lambda: throughput(root / "tuxpaint", root / "speed", options.images),
            "memory": lambda: memory(root, options.memory_files) if options.memory_files else None,
        }
        chosen = [options.only] if options.only else parts
        report = {"threads": os.environ.get("OMP_NUM_THREADS"), **{part: measures[part]() for part in chosen}}
    print(json.dumps(report, indent=1))


def stamps(root: Path, index: Path, cache: EmbeddingCache) -> dict[str, object]:
    with index.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    image = embed([MediaRef("image", uri=r["image"]) for r in rows], root, "efficientnet_lite0", cache)
    text = embed([MediaRef("text", content=r["text_en"]) for r in rows], root, "minilm", cache)
    pixels = unit(np.stack([raw_pixels(root / r["image"]) for r in rows]))
    with_sound = [r for r in rows if r["sound_effect"]]
    audio = embed([MediaRef("audio", uri=r["sound_effect"]) for r in with_sound], root, "logmel", cache)
    paths = [r["category_path"].split("/") for r in rows]
    sound_paths = [r["category_path"].split("/") for r in with_sound]
    depths = {"category": 2, "folder": 9, "top": 1}
    return {
        "items": len(rows),
        "with_sound": len(with_sound),
        **{
            kind: {
                "image": nearest(image, labels(paths, depth)),
                "raw_pixels": nearest(pixels, labels(paths, depth)),
                "text": nearest(text, labels(paths, depth)),
                "chance": chance(labels(paths, depth)),
                "audio": nearest(audio, labels(sound_paths, depth)),
                "audio_chance": chance(labels(sound_paths, depth)),
            }
            for kind, depth in depths.items()
        },
        "text_to_image_recall@10": retrieval(text, image),
        "text_to_image_chance": round(10 / len(rows), 4),
    }


def esc10(root: Path, cache: EmbeddingCache) -> dict[str, object]:
    files = sorted(root.glob("*/*.ogg"))
    vectors = embed([MediaRef("audio", uri=str(f.relative_to(root))) for f in files], root, "logmel", cache)
    raw = np.zeros((len(files), 4000 * 5), dtype=np.float32)
    for row, file in enumerate(files):
        samples = decode_audio(file.read_bytes(), 4000)[: raw.shape[1]]
        raw[row, : samples.size] = samples
    classes = np.array([f.parent.name for f in files])
    folds = np.array([f.name[0] for f in files])
    return {
        "clips": len(files),
        "audio": nearest(vectors, classes),
        "audio_across": nearest(vectors, classes, apart=folds),
        "raw_waveform": nearest(unit(raw), classes),
        "chance": chance(classes),
    }


def throughput(root: Path, folder: Path, count: int) -> dict[str, object]:
    """The whole pipeline against the bare forward pass on the same pictures, then the whole pipeline again."""
    refs = [MediaRef("image", uri=str(f.relative_to(root))) for f in sorted(root.rglob("*.png"))[:count]]
    encoder = make_encoder("efficientnet_lite0", device="cpu")
    prepare = encoder.preparer("image")
    arrays = [prepare((root / str(r.uri)).read_bytes(), DecodeLimits()).array for r in refs]
    encoder.encode(arrays[:8], "image")  # loads the model, warms up
    bare = []
    for _ in range(2):  # before and after, since other work on the machine comes and goes
        began = time.perf_counter()
        for start in range(0, len(arrays), encoder.batch):
            encoder.encode(arrays[start : start + encoder.batch], "image")
        bare.append(time.perf_counter() - began)
        if len(bare) == 1:
            first, vectors = timed(refs, root, encoder, EmbeddingCache(folder))
            second, again = timed(refs, root, encoder, EmbeddingCache(folder))
    if not np.array_equal(vectors, again):
        raise SystemExit("the second run gave other vectors")
    forward = sum(bare) / 2
    return {
        "pictures": len(refs),
        "forward_s": round(forward, 3),
        "pipeline_s": round(first, 3),
        "pipeline_share_of_forward": round(forward / first, 3),
        "second_run_s": round(second, 4),
        "second_run_speedup": round(first / second, 1),
    }


def timed(refs: list[MediaRef], root: Path, encoder: Encoder, cache: EmbeddingCache) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    result = embed_media(refs, root=root, encoder=encoder, cache=cache)
    return time.perf_counter() - began, result.vectors


def memory(root: Path, most: int) -> list[dict[str, float]]:
    """Peak resident MB over a thousand and over many generated pictures, each measure in its own process.

    `pipeline_mb`: read, decode, encode, cache. `build_mb`: the tables before it, the links and the embedded store
    after it, which hold the whole graph; the peak up to the end of each stage stands before it. `vectors_mb` is the
    size of the result.
    """
    rows = []
    for count in sorted({1000, 10_000, most}):
        folder = root / f"catalogue-{count}"
        write_catalogue(folder, items=count, users=200, picture_size=16, modalities=("image",))
        row: dict[str, float] = {}
        for measure in ("measure_pipeline", "measure_build"):
            code = f"from benchmarks import encode; encode.{measure}({str(folder)!r})"
            out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            row |= json.loads(out)
        rows.append(row)
        shutil.rmtree(folder)
    return rows


def measure_pipeline(folder: str) -> None:
    refs = [MediaRef("image", uri=f"images/{entry.name}") for entry in sorted(Path(folder, "images").iterdir())]
    with tempfile.TemporaryDirectory() as cache:
        before = peak_mb()
        result = embed_media(refs, root=Path(folder), encoder=Thumbnail(), cache=EmbeddingCache(Path(cache)), workers=1)
    size = round(result.vectors.nbytes / 2**20, 1)
    print(json.dumps({"files": len(refs), "before_mb": before, "pipeline_mb": peak_mb(), "vectors_mb": size}))


def measure_build(folder: str) -> None:
    peaks = {"imports_mb": peak_mb()}
    tables = validate(read_source(SourceConfig(path=Path(folder))), strict=False)
    peaks["tables_mb"] = peak_mb()
    media = build_media(tables, {"image": Thumbnail()}, workers=1)
    peaks["media_mb"] = peak_mb()
    media = link_media(media, tables, NeighbourConfig())
    peaks["links_mb"] = peak_mb()
    with open_store(f"ladybug:{folder}/graph") as store:
        load_graph(store, tables, media)
    print(json.dumps({**peaks, "build_mb": peak_mb()}))


def peak_mb() -> float:
    """Not `ru_maxrss`, which a process inherits from the larger one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024, 1)


class Thumbnail(EncoderBase):
    """The cheapest encoder of pictures, so that what is measured is the pipeline: 4 x 4 mean colours."""

    name, dim, batch, fingerprint = "thumbnail", 48, 64, "thumbnail-1"
    modalities: tuple[str, ...] = ("image",)

    def preparer(self, modality: str) -> ImagePreparer:
        return ImagePreparer(4)

    def encode(self, batch: Sequence[np.ndarray], modality: str) -> np.ndarray:
        return unit_rows(np.stack([a.reshape(-1) for a in batch]).astype(np.float32) - 127.3)


def embed(refs: list[MediaRef], root: Path, name: str, cache: EmbeddingCache) -> np.ndarray:
    result = embed_media(refs, root=root, encoder=make_encoder(name, device="cpu"), cache=cache)
    bad = [reason for reason in result.reasons if reason]
    if bad:
        raise SystemExit(f"{name}: {len(bad)} refused, first: {bad[0]}")
    row = {key: n for n, key in enumerate(result.unique_ids)}
    return np.asarray(result.vectors[[row[str(key)] for key in result.ids]])


def raw_pixels(path: Path) -> np.ndarray:
    array = ImagePreparer(32, "pad")(path.read_bytes(), DecodeLimits()).array
    return array.reshape(-1).astype(np.float32) / 255


def unit(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))


def labels(paths: list[list[str]], depth: int) -> np.ndarray:
    return np.array(["/".join(path[:depth]) for path in paths])


def nearest(vectors: np.ndarray, classes: np.ndarray, apart: np.ndarray | None = None) -> float:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    if apart is not None:
        alike[apart[:, None] == apart[None]] = -np.inf
    return round(float((classes[alike.argmax(axis=1)] == classes).mean()), 4)


def chance(classes: np.ndarray) -> float:
    counts = np.unique(classes, return_counts=True)[1]
    return round(float((counts * (counts - 1)).sum() / (len(classes) * (len(classes) - 1))), 4)


def retrieval(text: np.ndarray, image: np.ndarray, k: int = 10) -> float:
    """Is an item's picture among ten that its text leads to, over the graph without the item's own link?

    Text - SIMILAR - text - item - picture - SIMILAR - picture, scores multiplied along a path and summed.
    """
    texts, images = neighbours(text, k), neighbours(image, k)
    scores = np.asarray((texts @ (images + images.T + sp.identity(len(text)))).todense())
    own = np.diag(scores)
    better = (scores > own[:, None]).sum(axis=1)
    return round(float(((own > 0) & (better < 10)).mean()), 4)


def neighbours(vectors: np.ndarray, k: int) -> sp.csr_matrix:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    columns = np.argpartition(-alike, k, axis=1)[:, :k]
    rows = np.repeat(np.arange(len(vectors)), k)
    values = np.maximum(np.take_along_axis(alike, columns, axis=1).ravel(), 0)
    return sp.csr_matrix((values, (rows, columns.ravel())), shape=(len(vectors), len(vectors)))


if __name__ == "__main__":
    main()

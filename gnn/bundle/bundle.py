"""The trained model on disk: safetensors, parquet and JSON, each file vouched for by its SHA-256; no pickle.

Documents (`*.md`) and hidden files are the reader's own to edit or to remove, and vouched for by nobody.

A bundle is `manifest.json`, `model.safetensors`, `seen.safetensors`, `users.parquet`, `items.parquet`, `README.md`
and, where scores can be explained by it, `terms.safetensors`; of a second stage also `ranker.onnx`; of items that have
attributes `attributes.parquet`; of a network `encoder.safetensors`, which gives new items vectors.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.numpy import save_file

from common.files import sync
from common.text import one_line
from gnn.bundle.attributes import ATTRIBUTES, write_attributes
from gnn.bundle.ids import read_ids, write_ids
from gnn.bundle.manifest import MANIFEST, read_manifest, write_manifest
from gnn.bundle.model_card import front_matter, model_card
from gnn.bundle.tensors import (
    Tensors,
    csr_from_tensors,
    csr_to_tensors,
    finite,
    scorer_from_tensors,
    scorer_to_tensors,
    terms_to_tensors,
    with_terms,
)
from gnn.bundle.verified import REQUIRED, arrays, is_document, verified_files
from gnn.content import Arrivals, NewItems
from gnn.errors import BundleError
from gnn.fold_in import fold_in, grown
from gnn.ranker.scorer import RankedScorer
from gnn.scorers.base import Scorer
from gnn.scorers.extended import ExtendedScorer
from gnn.scorers.served import CONTENT, ServedScorer

TERMS, RANKER_ONNX, ENCODER = "terms.safetensors", "ranker.onnx", "encoder.safetensors"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory."""

    scorer: Scorer
    user_ids: list[str]
    item_ids: list[str]
    seen: sp.csr_matrix
    """Users x items, 1 where the pair was known when the model was fitted, whatever its split: never recommended."""
    history: sp.csr_matrix
    """Users x items, an entry where the pair was in train: how much it counts in what is popular, 1 on average."""
    new_items: NewItems
    """Items with media and without a training interaction: what `scoring.new_items` places."""
    manifest: dict[str, Any]
    hash: str
    """SHA-256 of `manifest.json`, and through it of every file but the documents."""
    titles: list[str | None] | None = None
    """Of each item, where the bundle holds any."""
    everyone: sp.csr_matrix | None = None
    """Whose histories say what is popular, where the users are others than those of the fit."""
    arrivals: Arrivals | None = None
    """The last items, where they came after the fit."""

    @cached_property
    def served(self) -> ServedScorer:
        """The scorer with what is popular for the users without a history."""
        return ServedScorer(self.scorer, self.history, everyone=self.everyone)

    def sources(self, users: Int[np.ndarray, "block"], items: Int[np.ndarray, "block k"]) -> np.ndarray:
        """What ranked each item of a block of lists, an object array `[block, k]`."""
        found = np.repeat(np.array(self.served.sources(users), dtype=object)[:, None], items.shape[1], axis=1)
        if self.arrivals is not None:
            found[items >= len(self.item_ids) - len(self.arrivals.items)] = CONTENT
        return found

    def with_people(self, ids: Sequence[str], histories: sp.csr_matrix, seen: sp.csr_matrix) -> "Bundle":
        """The bundle with these people in place of its users, by what they have chosen, and seen (people x items, 1
        where).

        Of a person it knows what it knows stays: a history only grows, and nothing seen is listed. `fold_in` says how
        the scorer takes them; load the bundle with its terms for that.
        """
        places = {name: place for place, name in enumerate(self.user_ids)}
        known = np.array([places.get(name, -1) for name in ids], dtype=np.int64)
        seen, history = grown(self.seen, seen, known), grown(self.history, histories, known)
        scorer = fold_in(self.scorer, history.sign(), known, self.history)
        return replace(self, scorer=scorer, user_ids=list(ids), seen=seen, history=history, everyone=self.history)

    def with_arrivals(self, arrivals: Arrivals) -> "Bundle":
        """The bundle with more items at the end, which nobody has: `ExtendedScorer` says how they are scored."""
        known, count = len(self.item_ids), len(arrivals.items)

        def wider(pairs: sp.csr_matrix) -> sp.csr_matrix:
            return sp.csr_matrix((pairs.data, pairs.indices, pairs.indptr), (pairs.shape[0], known + count))

        titles = [*(self.titles or [None] * known), *arrivals.items["title"]]
        return replace(
            self,
            scorer=ExtendedScorer(self.scorer, arrivals.likeness),
            item_ids=[*self.item_ids, *arrivals.items["item_id"]],
            seen=wider(self.seen),
            history=wider(self.history),
            new_items=self.new_items.joined(arrivals),
            titles=titles if any(title is not None for title in titles) else None,
            arrivals=arrivals,
        )

    def with_strangers(self, ids: Sequence[str]) -> "Bundle":
        """The bundle with more users at the end, of whom nothing is known; they are served what is popular."""
        empty = sp.csr_matrix((len(ids), len(self.item_ids)), dtype=np.float32)
        seen, history = (sp.vstack([pairs, empty], format="csr") for pairs in (self.seen, self.history))
        return replace(self, user_ids=[*self.user_ids, *ids], seen=seen, history=history)


def save_bundle(
    path: Path,
    scorer: Scorer,
    *,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    seen: sp.csr_matrix,
    manifest: Mapping[str, Any],
    history: sp.csr_matrix | None = None,
    new_items: NewItems | None = None,
    titles: Sequence[str | None] | None = None,
    attributes: pa.Table | None = None,
    encoder: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Write a bundle and return its hash; `manifest` adds model, config, metrics, graph hash and the like.

    `seen` are the pairs never to recommend, `history` those that the scorer was fitted on where they are fewer,
    `new_items` those that content alone reaches. `titles` are kept where an item has one, `attributes`, a row for each
    item, where there are any; `encoder` is that of `gnn.network.item_encoder`.

    Everything is written to a temporary folder beside `path` and renamed, so a kill leaves the old bundle or the
    new one. An existing folder is replaced only if it is a bundle (or empty). Equal input gives equal bytes.
    """
    path = Path(path)
    pairs = [seen] if history is None else [seen, history]
    _check_sizes(scorer, *pairs, expected=(len(user_ids), len(item_ids)))
    _check_ids(user_ids, item_ids)
    check_replaceable(path)
    tensors, structure = scorer_to_tensors(scorer)
    wrong = next((name for name, array in tensors.items() if not finite(array)), None)
    if wrong is not None:
        raise BundleError(f"the model's {wrong} hold NaN or infinite numbers; lower gnn.learning_rate and train again")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        write_tensors(folder / "model.safetensors", tensors)
        if terms := terms_to_tensors(scorer):
            write_tensors(folder / TERMS, terms)
        write_ranker(folder, scorer)
        if encoder:
            write_tensors(folder / ENCODER, encoder)
        write_tensors(folder / "seen.safetensors", _pairs_to_tensors(seen, history, new_items))
        write_ids(folder / "users.parquet", "user_id", user_ids)
        write_ids(folder / "items.parquet", "item_id", item_ids, titles)
        if attributes is not None and attributes.num_columns:
            write_attributes(folder / ATTRIBUTES, attributes)
        digest = seal(folder, {**manifest, "scorer": structure, "users": len(user_ids), "items": len(item_ids)})
        put_in_place(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return digest


def seal(folder: Path, manifest: Mapping[str, Any], *, hub: bool = False) -> str:
    """Write README.md and manifest.json (with the SHA-256 of the others) into a folder; the bundle's hash.

    `hub`: the card starts with what Hugging Face's hub reads.
    """
    (folder / "README.md").write_bytes((front_matter(manifest) * hub + model_card(manifest)).encode())
    names = sorted(p.name for p in folder.iterdir() if p.name != MANIFEST and not is_document(p.name))
    digest = write_manifest(folder, manifest, names)
    # on disk before the rename that follows publishes them
    for path in (*folder.iterdir(), folder):
        sync(path)
    return digest


def load_bundle(path: Path, *, terms: bool = False) -> Bundle:
    """Read a bundle after checking every file against its hash; `terms` adds what explains the scores, if it is there.

    Raises `BundleError` in one line where the folder is no bundle, a file is missing, extra or altered, a name would
    leave the folder, or a part does not fit the others.
    """
    path = Path(path)
    manifest, digest = read_manifest(path)
    files = verified_files(path, manifest["files"], (*REQUIRED, TERMS) if terms else REQUIRED)
    try:
        scorer = scorer_from_tensors(arrays(files["model.safetensors"]), manifest.get("scorer"))
        if TERMS in files:
            scorer = with_terms(scorer, arrays(files[TERMS]))
        pairs = arrays(files["seen.safetensors"])
        seen = csr_from_tensors(pairs, "seen")
        history = csr_from_tensors(pairs, "history") if "history.shape" in pairs else seen
        _check_sizes(scorer, seen, history)
        users, _ = read_ids(files["users.parquet"], "users.parquet", "user_id", scorer.num_users)
        items, titles = read_ids(files["items.parquet"], "items.parquet", "item_id", scorer.num_items)
        _check_ids(users, items)
        new = NewItems(np.zeros(0, dtype=np.int64), sp.csr_matrix((len(items), 0), dtype=np.float32))
        if "new_items" in pairs:
            new = NewItems(pairs["new_items"], csr_from_tensors(pairs, "likeness"))
        _check_items(new, len(items))
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise BundleError(f"{path}: a safetensors file cannot be read ({one_line(error)}); train again") from error
    return Bundle(scorer, users, items, seen, history, new, manifest, digest, titles)


def _pairs_to_tensors(seen: sp.csr_matrix, history: sp.csr_matrix | None, new_items: NewItems | None) -> Tensors:
    """`seen.*`, `history.*` where that is not the same, and `new_items` where there are any."""
    tensors = csr_to_tensors(seen, "seen")
    own = {} if history is None else csr_to_tensors(history, "history")
    same = all(np.array_equal(array, tensors[name.replace("history", "seen")]) for name, array in own.items())
    new: Tensors = {}
    if new_items is not None and len(new_items.items):
        new = {"new_items": new_items.items.astype(np.int64), **csr_to_tensors(new_items.likeness, "likeness")}
    return tensors | new if same else tensors | own | new


def _check_sizes(scorer: Scorer, *pairs: sp.csr_matrix, expected: tuple[int, int] | None = None) -> None:
    """Scorer, ids and pairs must speak of as many users and items."""
    size = (scorer.num_users, scorer.num_items)
    for matrix in pairs:
        if matrix.shape != size or (expected or size) != size:
            ids = "" if expected is None else f", ids {expected[0]} x {expected[1]}"
            raise BundleError(
                f"the scorer is {size[0]} x {size[1]}, seen items {matrix.shape[0]} x {matrix.shape[1]}{ids}; "
                "they must be equal"
            )


def _check_ids(users: Sequence[str], items: Sequence[str]) -> None:
    for kind, ids in (("user", users), ("item", items)):
        if len(set(ids)) != len(ids):
            raise BundleError(f"{kind} ids repeat ({len(ids)} ids, {len(set(ids))} distinct); each index needs its own")


def _check_items(new: NewItems, items: int) -> None:
    """Indices of items must ascend and stay inside the catalogue; likeness has a column for each."""
    indices = new.items
    if new.likeness.shape != (items, len(indices)):
        raise BundleError(f"new_items are {len(indices)}, their likeness is {new.likeness.shape}; train again")
    ascending = indices.ndim == 1 and indices.dtype == np.int64 and bool((np.diff(indices) > 0).all())
    if not ascending or (len(indices) and not 0 <= indices[0] <= indices[-1] < items):
        raise BundleError(f"new_items are no ascending indices under {items}; train again")


def check_replaceable(path: Path) -> None:
    """Raise `BundleError` where a bundle may not be written: over a file, a link or a folder of other things."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise BundleError(f"{path} is a file or a link; give a folder for the bundle")
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise BundleError(f"{path} holds other files and is no bundle; give an empty or new folder")


def put_in_place(folder: Path, path: Path) -> None:
    """Put the finished folder in place; the old bundle is moved aside first and removed last."""
    if not path.exists():
        os.replace(folder, path)
        sync(path.parent)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    os.replace(path, aside / "bundle")
    try:
        os.replace(folder, path)
        sync(path.parent)  # before the old one goes
    except OSError:
        os.replace(aside / "bundle", path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_ranker(folder: Path, scorer: Scorer) -> None:
    """`ranker.onnx`, the trees of a second stage for whoever has its features; nothing for another scorer."""
    if isinstance(scorer, RankedScorer):
        (folder / RANKER_ONNX).write_bytes(scorer.trees.to_onnx().SerializeToString())


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a safetensors file, without a copy of them in memory."""
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        raise BundleError(f"{path}: cannot be written ({one_line(error)}); make room and train again") from error

"""Scorers to flat named arrays and back: the part of the bundle that knows what a scorer is made of."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from gnn.bundle.quantised import CODEBOOKS, CODES, decoded
from gnn.errors import BundleError
from gnn.ranker.evidence import Evidence, Links, Shared
from gnn.ranker.scorer import MOST_CANDIDATES, RankedScorer, Retrieval
from gnn.ranker.trees import Trees
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, UserTerms

Tensors = dict[str, np.ndarray]

RETRIEVER, RANKER, TREES = "retriever.", "ranker.", "ranker.trees."
"""How the names of a ranked scorer's arrays start."""

_MAX_DEPTH = 4
_MAX_PARTS = 64
_MAX_WEIGHT = 1e30


def scorer_to_tensors(scorer: Scorer, prefix: str = "") -> tuple[Tensors, dict[str, Any]]:
    """Arrays by name, and the JSON structure that says how they make up the scorer."""
    if isinstance(scorer, DotScorer):
        vectors = {"user_vectors": scorer.user_vectors, "item_vectors": scorer.item_vectors}
        return {prefix + k: np.ascontiguousarray(v.numpy()) for k, v in vectors.items()}, {"kind": "dot"}
    if isinstance(scorer, ItemItemScorer):
        tensors = csr_to_tensors(scorer.history, prefix + "history")
        if isinstance(scorer.weights, torch.Tensor):
            tensors[prefix + "weights"] = np.ascontiguousarray(scorer.weights.numpy())
            return tensors, {"kind": "item_item", "weights": "dense"}
        return tensors | csr_to_tensors(scorer.weights, prefix + "weights"), {
            "kind": "item_item",
            "weights": "sparse",
        }
    if isinstance(scorer, SumScorer):
        arrays: Tensors = {}
        parts = []
        for number, part in enumerate(scorer.parts):
            found, structure = scorer_to_tensors(part, f"{prefix}{number}.")
            arrays |= found
            parts.append(structure)
        weights = [float(w) for w in scorer.weights]
        return arrays, {"kind": "sum", "weights": weights, "normalise": scorer.normalise, "parts": parts}
    if isinstance(scorer, RankedScorer):
        arrays, retriever = scorer_to_tensors(scorer.retrieval.scorer, prefix + RETRIEVER)
        arrays |= evidence_to_tensors(scorer.retrieval.evidence, prefix + RANKER)
        arrays |= scorer.trees.to_tensors(prefix + TREES)
        evidence, described = scorer.retrieval.evidence, scorer.retrieval.features.described
        return arrays, {
            "kind": "ranked",
            "candidates": scorer.retrieval.depth,
            "blend": float(scorer.blend),
            "features": [feature.name for feature in described],
            "links": [links.group for links in evidence.links],
            "shared": [shared.group for shared in evidence.shared],
            "facts": list(evidence.facts),
            "habits": list(evidence.habits),
            "retriever": retriever,
        }
    raise BundleError(f"a scorer of kind {scorer.kind!r} cannot be saved; use dot, item_item, sum or ranked")


def scorer_from_tensors(tensors: Mapping[str, np.ndarray], structure: Any, prefix: str = "", depth: int = 0) -> Scorer:
    """The inverse of `scorer_to_tensors`; a structure or array that does not fit raises `BundleError`."""
    if not isinstance(structure, dict) or depth > _MAX_DEPTH:
        raise BundleError("the manifest's 'scorer' is malformed; train again")
    kind = structure.get("kind")
    if kind == "dot":
        users, items = _matrix(tensors, prefix + "user_vectors"), _matrix(tensors, prefix + "item_vectors")
        if users.shape[1] != items.shape[1]:
            raise BundleError(f"user vectors have {users.shape[1]} dimensions, item vectors {items.shape[1]}")
        return DotScorer(users, items)
    if kind == "item_item":
        history = csr_from_tensors(tensors, prefix + "history")
        dense = structure.get("weights") == "dense"
        weights = _matrix(tensors, prefix + "weights") if dense else csr_from_tensors(tensors, prefix + "weights")
        if tuple(weights.shape) != (history.shape[1], history.shape[1]):
            raise BundleError(f"item weights are {tuple(weights.shape)}, the catalogue has {history.shape[1]} items")
        return ItemItemScorer(history, weights)
    if kind == "sum":
        return _sum_from_tensors(tensors, structure, prefix, depth)
    if kind == "ranked" and depth == 0:
        return _ranked_from_tensors(tensors, structure, prefix, depth)
    raise BundleError(f"scorer kind {kind!r} is unknown here; use dot, item_item, sum or, outermost, ranked")


def retrieval_tensors(tensors: Tensors, structure: dict[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Arrays and structure of what finds the candidates; of a scorer without a second stage all there is."""
    if structure["kind"] != "ranked":
        return tensors, structure
    own = {name.removeprefix(RETRIEVER): array for name, array in tensors.items() if name.startswith(RETRIEVER)}
    return own, structure["retriever"]


def terms_to_tensors(scorer: Scorer, prefix: str = "") -> Tensors:
    """The terms of the scorer's dot products as arrays; empty where it has none."""
    if isinstance(scorer, SumScorer):
        parts = [terms_to_tensors(part, f"{prefix}{number}.") for number, part in enumerate(scorer.parts)]
        return {name: array for part in parts for name, array in part.items()}
    if isinstance(scorer, RankedScorer):
        return terms_to_tensors(scorer.retrieval.scorer, prefix + RETRIEVER)
    terms = scorer.terms if isinstance(scorer, DotScorer) else None
    if terms is None:
        return {}
    found = {"messages": terms.messages, **{f"channel.{name}": c for name, c in terms.channels.items()}}
    found |= {name: t for name, t in (("gates", terms.gates), ("scale", terms.scale)) if t is not None}
    arrays = {prefix + name: np.ascontiguousarray(tensor.numpy()) for name, tensor in found.items()}
    return {**arrays, f"{prefix}exponent": np.array([terms.exponent])}


def with_terms(scorer: Scorer, tensors: Mapping[str, np.ndarray], prefix: str = "") -> Scorer:
    """The scorer with the terms that `terms_to_tensors` gave; arrays that do not fit raise `BundleError`."""
    if isinstance(scorer, SumScorer):
        parts = [with_terms(part, tensors, f"{prefix}{number}.") for number, part in enumerate(scorer.parts)]
        return replace(scorer, parts=parts)
    if isinstance(scorer, RankedScorer):
        retriever = with_terms(scorer.retrieval.scorer, tensors, prefix + RETRIEVER)
        return replace(scorer, retrieval=replace(scorer.retrieval, scorer=retriever))
    if not isinstance(scorer, DotScorer) or f"{prefix}messages" not in tensors:
        return scorer
    start = f"{prefix}channel."
    # the gates' columns follow the channels in the order of their names
    channels = {n.removeprefix(start): _matrix(tensors, n) for n in sorted(tensors) if n.startswith(start)}
    gates = _matrix(tensors, f"{prefix}gates") if channels else None
    scale = torch.from_numpy(_finite(tensors[f"{prefix}scale"], "scale")) if f"{prefix}scale" in tensors else None
    exponent = _finite(_array(tensors, f"{prefix}exponent"), "exponent")
    if exponent.shape != (1,):
        raise BundleError(f"{prefix}exponent is {exponent.shape}; one number is needed")
    terms = UserTerms(_matrix(tensors, f"{prefix}messages"), channels, gates, scale, float(exponent[0]))
    fits = all(t.shape == scorer.item_vectors.shape for t in (terms.messages, *channels.values()))
    fits = fits and (gates is None or gates.shape == (scorer.num_users, len(channels)))
    if not fits or (scale is not None and scale.shape != (scorer.num_users,)):
        raise BundleError("the terms of a dot product do not fit its vectors; train again")
    return replace(scorer, terms=terms)


def evidence_to_tensors(evidence: Evidence, prefix: str) -> Tensors:
    """The arrays of what a ranker looks at; its groups and facts go by number."""
    arrays = csr_to_tensors(evidence.history, f"{prefix}history")
    for number, links in enumerate(evidence.links):
        arrays |= csr_to_tensors(links.weights, f"{prefix}links.{number}")
    for number, shared in enumerate(evidence.shared):
        arrays |= csr_to_tensors(shared.owns, f"{prefix}shared.{number}")
    arrays |= {f"{prefix}fact.{number}": values for number, values in enumerate(evidence.facts.values())}
    arrays |= {f"{prefix}habit.{number}": values for number, values in enumerate(evidence.habits.values())}
    return arrays if evidence.friends is None else arrays | csr_to_tensors(evidence.friends, f"{prefix}friends")


def csr_to_tensors(matrix: sp.csr_matrix, name: str) -> Tensors:
    """A csr matrix as four arrays; indices sorted, so equal matrices give equal bytes."""
    matrix = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def csr_from_tensors(tensors: Mapping[str, np.ndarray], name: str) -> sp.csr_matrix:
    """The inverse of `csr_to_tensors`, checked so that no index leaves the matrix."""
    data, indices, indptr, shape = (
        _array(tensors, f"{name}.{part}") for part in ("data", "indices", "indptr", "shape")
    )
    whole = all(a.ndim == 1 and a.dtype.kind in "iu" for a in (indices, indptr, shape))
    if not whole or data.ndim != 1 or data.dtype.kind != "f":
        raise BundleError(f"{name} needs a list of numbers and three of whole numbers; train again")
    if shape.shape != (2,) or (shape < 0).any():
        raise BundleError(f"{name}.shape has {len(shape)} numbers, some below 0 or not two; two sizes are needed")
    rows, columns = (int(n) for n in shape)
    indptr = indptr.astype(np.int64, copy=False)  # differences of unsigned numbers are never below 0
    sound = len(indptr) == rows + 1 and indptr[0] == 0 and indptr[-1] == len(data) == len(indices)
    sound = sound and bool((np.diff(indptr) >= 0).all())
    if not sound or (len(indices) and (indices.min() < 0 or indices.max() >= columns)):
        raise BundleError(f"{name} is no valid sparse matrix of {rows} x {columns}; train again")
    data, wide = _finite(data, name), np.int32 if columns <= 2**31 else np.int64
    return sp.csr_matrix((data, indices.astype(wide, copy=False), indptr), shape=(rows, columns))


def _ranked_from_tensors(
    tensors: Mapping[str, np.ndarray], structure: dict[str, Any], prefix: str, depth: int
) -> RankedScorer:
    retriever = scorer_from_tensors(tensors, structure.get("retriever"), prefix + RETRIEVER, depth + 1)
    candidates, blend = structure.get("candidates"), structure.get("blend")
    listed = [structure.get(name) for name in ("features", "links", "shared", "facts", "habits")]
    if not all(isinstance(names, list) and all(isinstance(n, str) for n in names) for names in listed):
        raise BundleError(
            "the manifest's ranked scorer needs features, links, shared, facts and habits, each a list; train again"
        )
    if type(candidates) is not int or not 0 < candidates <= MOST_CANDIDATES:
        raise BundleError(f"the manifest's ranked scorer has candidates {candidates!r}; train again")
    if not isinstance(blend, int | float) or isinstance(blend, bool) or not math.isfinite(blend):
        raise BundleError(f"the manifest's ranked scorer has blend {blend!r}; train again")
    features, links, shared, facts, habits = (names or [] for names in listed)
    users, items, start = retriever.num_users, retriever.num_items, prefix + RANKER
    evidence = Evidence(
        _sized(tensors, f"{start}history", (users, items)),
        tuple(Links(n, _sized(tensors, f"{start}links.{k}", (items, items))) for k, n in enumerate(links)),
        {name: _numbers(tensors, f"{start}fact.{k}", items) for k, name in enumerate(facts)},
        tuple(Shared(n, _sized(tensors, f"{start}shared.{k}", (items, None))) for k, n in enumerate(shared)),
        {name: _numbers(tensors, f"{start}habit.{k}", users) for k, name in enumerate(habits)},
        _sized(tensors, f"{start}friends", (users, users)) if f"{start}friends.shape" in tensors else None,
    )
    retrieval = Retrieval(retriever, evidence, candidates)
    if "popular" not in facts or [f.name for f in retrieval.features.described] != features:
        raise BundleError("the features of the manifest's ranked scorer are not those of its arrays; train again")
    return RankedScorer(retrieval, Trees.from_tensors(tensors, prefix + TREES, len(features)), float(blend))


def _sized(tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, int | None]) -> sp.csr_matrix:
    """A sparse matrix of this shape (None: as many columns as have entries) with finite numbers."""
    matrix = csr_from_tensors(tensors, name)
    columns = matrix.shape[1]
    fits = matrix.shape[0] == shape[0] and (columns <= matrix.nnz if shape[1] is None else columns == shape[1])
    if not fits or not np.isfinite(matrix.data).all():
        raise BundleError(f"{name} is {matrix.shape}, or holds what is no number; {shape} is needed: train again")
    return matrix


def _numbers(tensors: Mapping[str, np.ndarray], name: str, count: int) -> np.ndarray:
    """A finite number for each item or user."""
    array = _array(tensors, name)
    if array.shape != (count,) or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise BundleError(f"{name} is {array.dtype} {array.shape}; {count} finite numbers are needed: train again")
    return array.astype(np.float32)


def _sum_from_tensors(
    tensors: Mapping[str, np.ndarray], structure: dict[str, Any], prefix: str, depth: int
) -> SumScorer:
    kinds, weights, normalise = structure.get("parts"), structure.get("weights"), structure.get("normalise")
    listed = isinstance(kinds, list) and isinstance(weights, list) and 0 < len(kinds) == len(weights) <= _MAX_PARTS
    numbers = all(isinstance(w, int | float) and abs(w) < _MAX_WEIGHT for w in weights or ())
    if not listed or not numbers or not (isinstance(normalise, bool) or normalise == "rank"):
        raise BundleError(
            "the manifest's sum scorer needs equally many parts and weights, and 'normalise'; train again"
        )
    parts = [
        scorer_from_tensors(tensors, part, f"{prefix}{number}.", depth + 1) for number, part in enumerate(kinds or ())
    ]
    if len({(part.num_users, part.num_items) for part in parts}) != 1:
        raise BundleError("the parts of the sum scorer speak of different users or items; train again")
    return SumScorer(parts, [float(w) for w in weights or ()], normalise)


def _matrix(tensors: Mapping[str, np.ndarray], name: str) -> torch.Tensor:
    """A float matrix, an int8 one with a scale for each row, or one of codes."""
    if name + CODES in tensors:
        codes, books = tensors[name + CODES], _array(tensors, name + CODEBOOKS)
        return torch.from_numpy(_finite(decoded(name, codes, books), name))
    array = _array(tensors, name)
    if array.ndim == 2 and array.dtype == np.int8:
        scale = _array(tensors, f"{name}.scale")
        if scale.shape != (len(array),) or scale.dtype.kind != "f":
            raise BundleError(f"{name}.scale has shape {scale.shape}; {len(array)} numbers are needed")
        with np.errstate(over="ignore", invalid="ignore"):
            wide = array.astype(np.float32) * scale.astype(np.float32)[:, None]
        return torch.from_numpy(_finite(wide, name))
    if array.ndim != 2 or array.dtype.kind != "f":
        raise BundleError(f"{name} is {array.dtype} with shape {array.shape}; a float matrix is needed")
    return torch.from_numpy(_finite(array, name))


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    """The numbers as float32, none of them NaN or infinite."""
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32, copy=False)
    if not finite(numbers):
        raise BundleError(f"{name} holds NaN or infinite numbers; train again")
    return numbers


def finite(array: np.ndarray) -> bool:
    """Whether no number is NaN or infinite; by the least and the largest, which takes no memory."""
    return not array.size or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _array(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise BundleError(f"tensor {name!r} is missing from the bundle; train again")
    return tensors[name]

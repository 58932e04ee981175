"""The code that a bundle's card shows: lists from the files alone, with NumPy or with onnxruntime.

Each kind of scorer has its own function, and a card shows those of the kinds that its bundle is made of: a new kind is
one entry of `SCORERS`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SCORERS: Mapping[str, str] = {
    "dot": '''
def dot(user, part, prefix):
    """The user's vector times every item's."""
    return rows(prefix + "item_vectors") @ rows(prefix + "user_vectors", user)
''',
    "item_item": '''
def item_item(user, part, prefix):
    """Weights between items, summed over the user's history."""
    history, counts = sparse_row(model, prefix + "history", user)
    if len(history) == 0:
        return popularity(model, prefix + "history")
    if part["weights"] == "dense":
        return counts @ rows(prefix + "weights", history)
    scores = np.zeros(len(item_ids), np.float32)
    for item, count in zip(history, counts):
        columns, weights = sparse_row(model, prefix + "weights", item)
        scores[columns] += count * weights
    return scores
''',
    "sum": '''
def weighted_sum(user, part, prefix):
    """The parts' scores, made comparable as `normalise` says."""
    total = np.zeros(len(item_ids), np.float32)
    for number, (inner, weight) in enumerate(zip(part["parts"], part["weights"])):
        scores = SCORERS[inner["kind"]](user, inner, f"{prefix}{number}.")
        if part["normalise"] == "rank":  # places, from 1 (best) down to 0
            places = np.empty_like(scores)
            places[np.argsort(-scores, kind="stable")] = np.linspace(1, 0, len(scores))
            scores = places
        elif part["normalise"]:  # over the standard deviation of the user's scores
            scores = scores / max(scores.std(ddof=min(1, len(scores) - 1)), 1e-12)
        total += weight * scores
    return total
''',
}
"""Kind -> a function of a user's index, the part's entry in the manifest and what its arrays' names start with."""

_FUNCTIONS = {"sum": "weighted_sum"}
"""Kind -> the function's name where it is not the kind's own."""

_START = '''
import json

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

scorer = json.load(open("manifest.json", encoding="utf-8"))["scorer"]
model, pairs = load_file("model.safetensors"), load_file("seen.safetensors")
user_ids = pq.read_table("users.parquet")["user_id"].to_pylist()
item_ids = pq.read_table("items.parquet")["item_id"].to_pylist()


def rows(name, which=slice(None)):
    """Rows of a matrix of the model; int8 comes with a scale for each."""
    values = model[name][which].astype(np.float32)
    return values * model[f"{name}.scale"][which][..., None] if f"{name}.scale" in model else values


def sparse_row(file, name, row):
    """Columns and values of a row of a sparse matrix."""
    part = slice(*file[f"{name}.indptr"][row : row + 2])
    return file[f"{name}.indices"][part], file[f"{name}.data"][part].astype(np.float32)


def popularity(file, history):
    """How much every item counts in all histories, as a share of the most popular one's."""
    counts = np.bincount(file[f"{history}.indices"], file[f"{history}.data"], len(item_ids))
    return (counts / max(counts.max(), 1)).astype(np.float32)
'''

_END = '''
history = "history" if "history.indptr" in pairs else "seen"
index = {user_id: number for number, user_id in enumerate(user_ids)}


def recommend(user_id, count=20):
    """Item ids and scores, best first. Someone without a history, or unknown, gets what is popular."""
    user = index.get(user_id)
    scores = popularity(pairs, history)
    if user is not None:
        if len(sparse_row(pairs, history, user)[0]):
            scores = SCORERS[scorer["kind"]](user, scorer, "")
        scores[sparse_row(pairs, "seen", user)[0]] = -np.inf
    best = np.argsort(-scores, kind="stable")[:count]
    return [(item_ids[item], float(scores[item])) for item in best if scores[item] > -np.inf]


for item_id, score in recommend(user_ids[0]):
    print(item_id, score)
'''

_ONNX = """
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("scorer.onnx")
asked = {"users": np.array([0, -1]), "k": np.array([20])}  # the first of users.parquet, and someone unknown
"""

_GIVEN = """
asked["history_items"] = np.array([[-1, -1], [0, 1]])  # what is added to each one's history; -1 fills up
asked["history_weights"] = np.ones((2, 2), np.float32)
"""

_RUN = """
items, scores = session.run(["items", "scores"], asked)
print(items[0], scores[0])
"""


def numpy_example(scorer: Mapping[str, Any]) -> str | None:
    """Python that ranks for a user with numpy, safetensors and pyarrow; None where a kind is none of ours."""
    kinds = sorted(set(_kinds(scorer)))
    if not set(kinds) <= set(SCORERS):
        return None
    table = ", ".join(f'"{kind}": {_FUNCTIONS.get(kind, kind)}' for kind in kinds)
    parts = [_START, *(SCORERS[kind] for kind in kinds), f"SCORERS = {{{table}}}" + _END]
    return "\n\n\n".join(part.strip("\n") for part in parts)


def onnx_example(inputs: Iterable[str]) -> str:
    """Python that ranks with onnxruntime alone, by a graph of these inputs."""
    given = _GIVEN if "history_items" in inputs else ""
    return (_ONNX.strip("\n") + given.rstrip("\n") + _RUN.rstrip("\n")).strip("\n")


def _kinds(scorer: Mapping[str, Any]) -> Iterator[str]:
    yield str(scorer.get("kind"))
    for part in scorer.get("parts", ()):
        yield from _kinds(part)

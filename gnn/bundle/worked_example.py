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
    "ranked": '''
def ranked(user, part, prefix):
    """The retriever's first items, ordered anew by trees over what the graph knows of them."""
    inner, start, own = part["retriever"], prefix + "retriever.", prefix + "ranker."
    kinds = {start: inner}
    if inner["kind"] == "sum" and len(inner["parts"]) > 1:
        kinds |= {f"{start}{number}.": inner["parts"][number] for number in range(len(inner["parts"]))}
    scores = []
    for name, kind in kinds.items():
        found = SCORERS[kind["kind"]](user, kind, name)
        scores.append((found - found.mean()) / max(found.std(ddof=min(1, len(found) - 1)), 1e-12))
    first, (history, counts) = scores[0], sparse_row(model, own + "history", user)
    unseen = first.copy()
    unseen[history] = -np.inf
    candidates = np.argsort(-unseen, kind="stable")[: part["candidates"]]
    candidates = candidates[unseen[candidates] > -np.inf] if len(history) else candidates[:0]
    if len(candidates) == 0:
        return first
    columns = []
    for found in scores:  # each score, and the place that it gives among the candidates
        places = np.empty(len(candidates))
        places[np.argsort(-found[candidates], kind="stable")] = np.arange(len(candidates))
        columns += [found[candidates], places]
    agree = []
    for number, group in enumerate(part["links"]):  # the sum and the strongest of the links from the history
        total, most = np.zeros(len(item_ids)), np.zeros(len(item_ids))
        for item, count in zip(history, counts):
            linked, strengths = sparse_row(model, f"{own}links.{number}", item)
            total[linked] += count * strengths
            most[linked] = np.maximum(most[linked], count * strengths)
        columns += [total[candidates], most[candidates]]
        agree += [most[candidates] > 0] if group in ("text", "image", "audio") else []
    columns += [np.sum(agree, axis=0)] if len(agree) > 1 else []
    for number in range(len(part["shared"])):  # what a candidate and the history have in common
        indptr, indices = (model[f"{own}shared.{number}.{name}"] for name in ("indptr", "indices"))
        sizes, said = np.bincount(indices), np.zeros(model[f"{own}shared.{number}.shape"][1])
        for item, count in zip(history, counts):
            owned = indices[slice(*indptr[item : item + 2])]
            said[owned] += count / sizes[owned]
        each = [said[indices[slice(*indptr[item : item + 2])]] for item in candidates]
        columns += [np.array([values.sum() for values in each]), np.array([values.max(initial=0) for values in each])]
    if own + "friends.indptr" in model:
        friends = np.zeros(len(item_ids))
        for friend in sparse_row(model, own + "friends", user)[0]:
            friends[sparse_row(model, own + "history", friend)[0]] += 1
        columns.append(friends[candidates])
    facts = {name: model[f"{own}fact.{number}"].astype(np.float32) for number, name in enumerate(part["facts"])}
    columns += [values[candidates] for values in facts.values()]
    habits = [model[f"{own}habit.{number}"][user] for number in range(len(part["habits"]))]
    columns += [np.full(len(candidates), value) for value in habits]
    columns += [np.full(len(candidates), value) for value in (np.log1p(len(history)), facts["popular"][history].mean())]
    trees = onnxruntime.InferenceSession("ranker.onnx")
    given = {"features": np.stack(columns, axis=1).astype(np.float32)}
    values = trees.run(["scores"], given)[0][:, 0] + part["blend"] * first[candidates]
    result = first + values.min() - first[candidates].min()  # the others follow, in their order
    result[history] = first[history] + values.max() - first[candidates[0]]
    result[candidates] = values
    return result
''',
}
"""Kind -> a function of a user's index, the part's entry in the manifest and what its arrays' names start with."""

_IMPORTS = {"ranked": "import onnxruntime\n"}
"""Kind -> what it needs beside NumPy."""

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
    """Rows of a matrix of the model; int8 comes with a scale for each, codes with what they stand for."""
    if f"{name}.codes" in model:
        codes, books = model[f"{name}.codes"][which], model[f"{name}.codebooks"].astype(np.float32)
        return books[np.arange(len(books)), codes].reshape(*codes.shape[:-1], -1)
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

_ENCODER = """
import numpy as np
import onnxruntime

encoder = onnxruntime.InferenceSession("item_encoder.onnx")
asked = {"known": np.array([-1])}  # no row of items.parquet: an item that came later
for entry in encoder.get_inputs():
    if entry.name.endswith("_mask"):
        asked[entry.name] = np.array([True])  # False where it has no such medium
    elif entry.name != "known":
        asked[entry.name] = np.ones((1, entry.shape[1]), np.float32)  # the vector of its text, picture or sound
asked = {entry.name: asked[entry.name] for entry in encoder.get_inputs()}
vector = encoder.run(["item_vectors"], asked)[0]
print(vector.shape)
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
    start = _START.replace("import pyarrow", "".join(_IMPORTS.get(kind, "") for kind in kinds) + "import pyarrow")
    parts = [start, *(SCORERS[kind] for kind in kinds), f"SCORERS = {{{table}}}" + _END]
    return "\n\n\n".join(part.strip("\n") for part in parts)


def onnx_example(inputs: Iterable[str]) -> str:
    """Python that ranks with onnxruntime alone, by a graph of these inputs."""
    given = _GIVEN if "history_items" in inputs else ""
    return (_ONNX.strip("\n") + given.rstrip("\n") + _RUN.rstrip("\n")).strip("\n")


def encoder_example() -> str:
    """Python that gives an item a vector with onnxruntime alone."""
    return _ENCODER.strip("\n")


def _kinds(scorer: Mapping[str, Any]) -> Iterator[str]:
    yield str(scorer.get("kind"))
    for part in (*scorer.get("parts", ()), *([scorer["retriever"]] if "retriever" in scorer else ())):
        yield from _kinds(part)

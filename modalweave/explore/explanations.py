"""Why an item was recommended: the graph's paths, weighed by what the model's score is made of."""

import json
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

from pydantic import JsonValue

from graph.schema import HAS, MEDIA_LABELS
from graph.store import GraphStore
from graph.views.paths import GraphPath, explain_paths
from modalweave.errors import RunError
from modalweave.results.explanation import ExplainedPath, Explanation, HistoryShare, ScoreParts, ShownQuery
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    import networkx as nx

    from gnn.bundle.bundle import Bundle
    from gnn.scorers.contributions import Decomposition

_PER_KIND = 200
_LAYERS = 4
"""Steps of the longest path."""

_TITLES: LiteralString = "MATCH (i:Item) WHERE i.id IN $items RETURN i.id AS id, i.title AS title"
_MODALITY = {label: modality for modality, label in MEDIA_LABELS.items()}


def find_bundle(given: Path | None, config: Path | None) -> Path | None:
    """The bundle that was named, else the model to serve of the config's run, if there is one."""
    if given is not None or config is None:
        return given
    from modalweave.config import load_config

    return served(Workspace(load_config(config).workspace))


def served(workspace: Workspace) -> Path | None:
    """The run's model to serve, if there is one."""
    if not workspace.bundle.exists() and not workspace.serving.exists():
        return None  # known without what reads a model
    from modalweave.stages.serving import serving_folder

    return serving_folder(workspace)


def explain_item(
    store: GraphStore, user: str, item: str, *, bundle: "Path | Bundle | None", limit: int, plot: Path | None = None
) -> Explanation:
    """The paths and the score's parts; `model` is None without a bundle, or where the `note` says why.

    A bundle that is loaded already has to be so with its terms.

    `paths` are at most `limit`, the best of every kind first; in a kind those from the items of the history that
    give most to the model's score. `share` is that item's part of the score by all ways together, not this path's
    alone. `model.history`, `model.others` and `model.rest` add up to `model.score`. `cypher` shows the
    paths whole, kind by kind.
    """
    started = time.perf_counter()
    paths = explain_paths(store, user, item, limit=max(_PER_KIND, limit))
    seconds = {"graph": round(time.perf_counter() - started, 4)}
    started = time.perf_counter()
    model: ScoreParts | None = None
    shares: dict[str, float] = {}
    note = "no trained model was named, so no share of a score is given" if bundle is None else None
    if bundle is not None:
        from gnn.bundle.bundle import load_bundle

        loaded = load_bundle(bundle, terms=True) if isinstance(bundle, Path) else bundle
        note = _unknown(loaded, user, item)
        if note is None:
            model, shares = _model(store, loaded, user, item, limit)
    seconds["model"] = round(time.perf_counter() - started, 4)
    chosen = _ranked(paths, shares)[:limit]
    shown = tuple(_explained(path, shares) for path in chosen)
    queries = _statements(chosen, user, item)
    drawing = None
    if plot is not None:
        from modalweave.explore.graph_drawing import draw

        if not shown:
            raise RunError(f"--plot {str(plot)!r}: no path leads from what {user!r} liked to {item!r}; nothing to draw")
        drawing = draw(paths_graph(shown), plot, title=f"Why {item} for {user}")
    return Explanation(user, item, shown, model, note, queries, seconds, drawing)


def paths_graph(paths: Sequence[ExplainedPath]) -> "nx.MultiDiGraph":
    """The paths that are shown and no others, as `graph.views.result_graph` gives graphs.

    `layer` of a node is how far it is from the user; the user and the recommended item are `marked`.
    """
    import networkx as nx

    graph = nx.MultiDiGraph()
    for path in paths:
        ends = (path.nodes[0], path.nodes[-1])
        for place, node in enumerate(path.nodes):
            layer = _LAYERS if node == ends[1] else place
            held = {"id": node.id} | ({} if node.title == node.id else {"title": node.title})
            graph.add_node(
                (node.label, node.id),
                label=node.label,
                caption=node.title,
                properties=held,
                layer=layer,
                marked=node in ends,
            )
        for (a, b), kind in zip(pairwise(path.nodes), _links(path.kind, path.modality), strict=True):
            graph.add_edge((a.label, a.id), (b.label, b.id), key=kind, type=kind, properties={})
    return graph


def _links(kind: str, modality: str | None) -> tuple[str, ...]:
    """The relationships along a path of a kind."""
    has = HAS[modality] if modality is not None else ""
    between = {"media": (has, has), "similar": (has, "SIMILAR", has), "entity": ("RELATED", "RELATED")}
    return ("INTERACTED", *between.get(kind, ("INTERACTED", "INTERACTED")))


def _unknown(bundle: "Bundle", user: str, item: str) -> str | None:
    """Why the model has no score for the pair, if it has none."""
    for identifier, known, what in ((user, bundle.user_ids, "user"), (item, bundle.item_ids, "item")):
        if identifier not in known:
            return f"the model was trained before {what} {identifier!r} was there; train again for shares of its score"
    return None


def _model(
    store: GraphStore, loaded: "Bundle", user: str, item: str, limit: int
) -> tuple[ScoreParts, dict[str, float]]:
    """What the score is made of, and the share of each item of the history."""
    from gnn.scorers.contributions import decompose

    found = decompose(loaded.served, loaded.user_ids.index(user), loaded.item_ids.index(item), loaded.history)
    totals = {loaded.item_ids[number]: value for number, value in found.by_item().items()}
    shares = {name: value / found.score for name, value in totals.items()} if found.score > 0 else {}
    listed = list(totals)[:limit]
    titles = {row["id"]: row["title"] for row in store.query(_TITLES, {"items": listed}).to_pylist()}
    ways = _ways(found, loaded.item_ids)
    history = [HistoryShare(n, titles.get(n) or n, totals[n], shares.get(n), ways[n]) for n in listed]
    others = sum(totals.values()) - sum(totals[name] for name in listed)
    name = loaded.manifest.get("model")
    rest, evidence = dict(found.rest), dict(found.evidence) or None
    return ScoreParts(loaded.hash, name, found.score, found.exact, tuple(history), others, rest, evidence), shares


def _explained(path: GraphPath, shares: Mapping[str, float]) -> ExplainedPath:
    return ExplainedPath(**vars(path), modality=_modality(path), share=shares.get(path.history))


def _ways(found: "Decomposition", item_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    ways: dict[str, dict[str, float]] = {}
    for c in found.contributions:
        mine = ways.setdefault(item_ids[c.item], {})
        mine[c.by] = mine.get(c.by, 0.0) + c.value
    return ways


def _ranked(paths: Sequence[GraphPath], shares: Mapping[str, float]) -> list[GraphPath]:
    """The best of every kind, then the second of every kind, and so on."""
    kinds: dict[tuple[str, str | None], list[GraphPath]] = {}
    for path in paths:
        kinds.setdefault((path.kind, _modality(path)), []).append(path)
    order: list[tuple[int, float, float, int, GraphPath]] = []
    for group in kinds.values():
        best = sorted(group, key=lambda path: (-shares.get(path.history, 0.0), -path.score, _ids(path)))
        order += [(rank, -shares.get(p.history, 0.0), -p.score, len(p.nodes), p) for rank, p in enumerate(best)]
    return [entry[-1] for entry in sorted(order, key=lambda entry: (*entry[:-1], _ids(entry[-1])))]


def _ids(path: GraphPath) -> list[str]:
    """What decides between paths that are as good: never the order in which a store gives them."""
    return [node.id for node in path.nodes]


def _modality(path: GraphPath) -> str | None:
    return _MODALITY.get(path.nodes[2].label)


def _statements(paths: Sequence[GraphPath], user: str, item: str) -> tuple[ShownQuery, ...]:
    """One query for each kind, with what Neo4j Browser wants pasted to run it."""
    histories: dict[LiteralString, list[str]] = {}
    kinds: dict[LiteralString, GraphPath] = {}
    for path in paths:
        kinds.setdefault(path.show, path)
        if path.history not in histories.setdefault(path.show, []):
            histories[path.show].append(path.history)
    found = []
    for query, path in kinds.items():
        parameters: dict[str, JsonValue] = {"user": user, "item": item, "history": [*histories[query]]}
        # a JSON text is a Cypher literal as well
        given = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in parameters.items())
        browser = f":params {{{given}}}\n{query}"
        found.append(ShownQuery(path.kind, _modality(path), query, parameters, browser))
    return tuple(found)

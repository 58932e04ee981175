"""Runs on one split side by side: paired differences, who gains and loses, whose lists changed, TREC files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from torch_geometric.data import HeteroData

from evaluation.bootstrap import summarise
from evaluation.comparison_report import write_comparison
from evaluation.config import EvaluationConfig
from evaluation.effects import corrected, raw_effects
from evaluation.metrics import evaluated_users
from evaluation.overlap import jaccard, rbo
from evaluation.trec import write_qrels, write_run
from gnn.matrices import Split, held_out, interactions
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.results.compare import ChangedUser, ComparedRun, CompareResult, Difference, ListChanges, ListedItem
from modalweave.results.metric import metrics_of
from modalweave.stages.evaluate import learned_on_validation, same_graph
from modalweave.stages.inputs import config_of, read_bundle, read_graph, read_titles
from modalweave.stages.measured import Measured, measure
from modalweave.study.slices import gains_by_slice
from modalweave.study.variants import Question
from modalweave.workspace import Workspace

_RESAMPLES_A_TEST = 40
"""The least corrected p-value of m comparisons is m / (resamples + 1): .025 at most."""
_NAMED = 20
"""Items named of what came into a list and what went."""


@dataclass(frozen=True)
class Compared:
    """One run, measured, in the ids of its own graph."""

    name: str
    config: RunConfig
    data: HeteroData
    bundle: str
    model: str
    note: str | None
    measured: Measured

    @property
    def users(self) -> list[str]:
        """Ids by row."""
        return list(self.data["User"].ids)

    @property
    def items(self) -> list[str]:
        """Ids by column."""
        return list(self.data["Item"].ids)


def compare(
    runs: Sequence[Path], *, split: Split, out: Path | None, trec: Path | None, changed: int, stages: Stages
) -> CompareResult:
    """Measure every run's bundle and hold each against the first; writes the page and, into `trec`, the run files.

    Depths, resamples and seed are the first run's.

    Args:
        runs: configs or workspaces, two or more.
        split: which held-out interactions.
        out: the page; `compare.html` in the first run's workspace unless given.
        trec: folder for `NAME.run` of each run and `qrels.txt`.
        changed: users named whose lists changed most.
        stages: progress.

    Raises:
        RunError: fewer than two runs, or one whose held-out interactions are not those of the first.
    """
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run is nothing to compare; name two or more, by config or workspace")
    configs = [config_of(path, "held-out interactions") for path in runs]
    settings = configs[0].evaluation
    found = [
        _measured(name, config, split, settings, seed=configs[0].seed, stages=stages)
        for name, config in zip(_names(configs), configs, strict=True)
    ]
    for other in found[1:]:
        _check_same_split(found[0], other, split)
    with stages.stage("compare", "Holding them against the first"):
        result = _result(found, split, settings, changed, out)
        if trec is not None:
            result = replace(result, trec=tuple(map(str, _write_trec(trec, found, split))))
        write_comparison(Path(result.page), result.to_json())
    return result


def _measured(
    name: str, config: RunConfig, split: Split, settings: EvaluationConfig, *, seed: int, stages: Stages
) -> Compared:
    bundle = read_bundle(config)
    data = read_graph(config, stages)
    same_graph(Workspace(config.workspace).bundle, bundle.manifest, data)
    with stages.stage("evaluate", f"Measuring {name} on {split}"):
        measured = measure(bundle.scorer, data, split, settings, seed=seed)
    note = learned_on_validation(bundle.manifest.get("settings", {}), split)
    return Compared(name, config, data, bundle.hash, str(bundle.manifest.get("model")), note, measured)


def _names(configs: Sequence[RunConfig]) -> list[str]:
    """The runs' names; where two share one, their workspaces' folders, then numbers."""
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        names = [Path(config.workspace).resolve().name for config in configs]
    return [name if names.count(name) == 1 else f"{name}-{at}" for at, name in enumerate(names, 1)]


def _check_same_split(first: Compared, other: Compared, split: Split) -> None:
    ours, theirs = set(_pairs(first, split)), set(_pairs(other, split))
    if ours == theirs:
        return
    user, item = min(ours ^ theirs)
    holder, lacks = (first, other) if (user, item) in ours else (other, first)
    raise RunError(
        f"{first.name} and {other.name} are of different {split} splits: of {len(ours):,} and {len(theirs):,} held-out "
        f"interactions {len(ours & theirs):,} are the same ({holder.name} holds out user {user!r}, item {item!r}, "
        f"{lacks.name} does not); build both from one source with the same `split` and `seed`"
    )


def _pairs(run: Compared, split: Split) -> Iterator[tuple[str, str]]:
    matrix = sp.coo_matrix(held_out(run.data, split))
    users, items = run.users, run.items
    return ((users[u], items[i]) for u, i in zip(matrix.row.tolist(), matrix.col.tolist(), strict=True))


def _result(
    found: Sequence[Compared], split: Split, settings: EvaluationConfig, changed: int, out: Path | None
) -> CompareResult:
    first, seed = found[0], found[0].config.seed
    aligned = _aligned(found, split)
    compared = [
        ComparedRun(
            run.name,
            str(run.config.workspace),
            run.model,
            run.bundle,
            metrics_of(summarise(aligned.values[run.name], seed=seed, resamples=settings.resamples)),
        )
        for run in found
    ]
    return CompareResult(
        split=split,
        k=tuple(settings.k),
        users=len(aligned.users),
        positives=int(held_out(first.data, split).nnz),
        runs=tuple(compared),
        differences=tuple(_differences(aligned.values, settings.resamples, seed)),
        slices=tuple(_slices(first, split, aligned.ranked, settings.resamples, seed)),
        lists=tuple(_changes(run, first, aligned, changed, seed) for run in found[1:]),
        notes=tuple(_notes(found)),
        seed=seed,
        page=str(out or Workspace(first.config.workspace).comparison),
    )


@dataclass(frozen=True)
class Aligned:
    """The evaluated users of all runs in one order, and every run in one numbering of items."""

    users: list[str]
    items: list[str]
    """The first run's, then what only others have."""
    values: dict[str, dict[str, Float[np.ndarray, "evaluated"]]]
    """Run -> metric -> a value for each user."""
    ranked: dict[str, Int[np.ndarray, "evaluated depth"]]
    """Run -> each user's best items; -1 pads."""


def _aligned(found: Sequence[Compared], split: Split) -> Aligned:
    items = list(dict.fromkeys(item for run in found for item in run.items))
    place = {item: at for at, item in enumerate(items)}
    users: list[str] = []
    values: dict[str, dict[str, np.ndarray]] = {}
    ranked: dict[str, Int[np.ndarray, "evaluated depth"]] = {}
    for run in found:
        rows = evaluated_users(held_out(run.data, split))
        names = run.users
        own = {names[row]: at for at, row in enumerate(rows)}
        users = users or list(own)
        order = np.array([own[name] for name in users])
        values[run.name] = {metric: array[order] for metric, array in run.measured.values.items()}
        index = np.array([place[item] for item in run.items])
        lists = run.measured.ranked[rows[order]]
        ranked[run.name] = np.where(lists < 0, -1, index[lists])
    return Aligned(users, items, values, ranked)


def _differences(values: Mapping[str, dict[str, np.ndarray]], resamples: int, seed: int) -> Iterator[Difference]:
    first, *others = values
    names = list(values[first])
    resamples = max(resamples, _RESAMPLES_A_TEST * len(names) * len(others))
    rows: dict[str, dict[str, Any]] = {}
    for metric in names:
        models = {run: measured[metric][None, :] for run, measured in values.items()}
        tested = raw_effects(models, {run: (run, first) for run in others}, seed=seed, resamples=resamples)
        rows |= {f"{metric} {run}": {**row, "metric": metric} for run, row in tested.items()}
    ordered = sorted(corrected(rows).values(), key=lambda row: others.index(row["with"]))
    return (Difference.of(row["with"], row["metric"], row) for row in ordered)


def _slices(
    first: Compared, split: Split, ranked: Mapping[str, Int[np.ndarray, "evaluated depth"]], resamples: int, seed: int
) -> Iterator[Difference]:
    metric = f"recall@{first.measured.ranked.shape[1]}"
    known = len(first.items)
    lists = {run: [np.where(rows < known, rows, -1)] for run, rows in ranked.items()}  # what it lacks is nobody's hit
    asked = [Question(run, "run", run, run, first.name) for run in ranked if run != first.name]
    slices = 20 * len(asked)  # about as many are tested
    rows = gains_by_slice(
        first.data,
        split,
        lists,
        asked,
        category=None,
        seed=seed,
        resamples=max(resamples, _RESAMPLES_A_TEST * slices),
    )
    return (Difference.of(row["with"], metric, row, group=row["group"], slice=row["slice"]) for row in rows)


def _changes(run: Compared, first: Compared, aligned: Aligned, changed: int, seed: int) -> ListChanges:
    before, after = aligned.ranked[first.name], aligned.ranked[run.name]
    metric = f"recall@{before.shape[1]}"
    recall = aligned.values[first.name][metric], aligned.values[run.name][metric]
    overlap = {"rbo": rbo(before, after), "jaccard": jaccard(before, after)}
    means = metrics_of(summarise(overlap, seed=seed))
    worst = np.argsort(overlap["rbo"], kind="stable")[:changed]
    worst = worst[overlap["rbo"][worst] < 1 - 1e-9]
    gone = [before[row][~np.isin(before[row], after[row])][:_NAMED].tolist() for row in worst]
    new = [after[row][~np.isin(after[row], before[row])][:_NAMED].tolist() for row in worst]
    listed = _listed([first, run], aligned.items, {item for items in (*gone, *new) for item in items if item >= 0})
    return ListChanges(
        run=run.name,
        rbo=means["rbo"],
        jaccard=means["jaccard"],
        gained=int((recall[1] > recall[0]).sum()),
        lost=int((recall[1] < recall[0]).sum()),
        same=int((recall[1] == recall[0]).sum()),
        users=tuple(
            ChangedUser(
                user=aligned.users[row],
                rbo=float(overlap["rbo"][row]),
                jaccard=float(overlap["jaccard"][row]),
                recall=(float(recall[0][row]), float(recall[1][row])),
                gone=tuple(listed[item] for item in gone[at] if item >= 0),
                new=tuple(listed[item] for item in new[at] if item >= 0),
            )
            for at, row in enumerate(worst)
        ),
    )


def _listed(runs: Sequence[Compared], items: Sequence[str], wanted: Collection[int]) -> dict[int, ListedItem]:
    """The items with the first title that a run's store has of each."""
    titles: dict[int, str | None] = dict.fromkeys(wanted)
    for run in runs:
        open_ones = [item for item, title in titles.items() if title is None]
        titles |= dict(zip(open_ones, read_titles(run.config, [items[item] for item in open_ones]), strict=True))
    return {item: ListedItem(items[item], title) for item, title in titles.items()}


def _notes(found: Sequence[Compared]) -> Iterator[str]:
    """What has to be said beside the numbers."""
    first = found[0]
    for run in found:
        if run.note:
            yield f"{run.name}: {run.note}"
    for run in found[1:]:
        if set(run.items) != set(first.items):
            yield (
                f"{run.name} ranks {len(run.items):,} items and {first.name} {len(first.items):,}, not all the same: "
                "part of the difference is the catalogue's"
            )
        if interactions(run.data).nnz != interactions(first.data).nnz:
            yield (
                f"{run.name} was trained on {interactions(run.data).nnz:,} interactions and {first.name} on "
                f"{interactions(first.data).nnz:,}: part of the difference is the data's"
            )


def _write_trec(folder: Path, found: Sequence[Compared], split: Split) -> Iterator[Path]:
    """Each run's lists and what was held out."""
    for run in found:
        rows, users, items = evaluated_users(held_out(run.data, split)), run.users, run.items
        path = folder / f"{run.name}.run"
        lists = ((users[row], [items[i] for i in run.measured.ranked[row] if i >= 0]) for row in rows)
        write_run(path, lists, tag=run.name)
        yield path
    path = folder / "qrels.txt"
    write_qrels(path, sorted(_pairs(found[0], split)))
    yield path

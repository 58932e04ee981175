"""The study: variants side by side over seeds, what each part is worth, and where it is not."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from torch_geometric.data import HeteroData

from common.files import write_json, write_text
from evaluation.document import as_html, write_markdown
from evaluation.effects import effects, seed_spread, seeded_mean
from evaluation.findings import findings
from evaluation.metrics import evaluated_users, user_metrics
from evaluation.study_report import study_sections
from gnn.matrices import Split, held_out
from graph.hetero import graph_hash
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.results.record import JsonObject
from modalweave.results.study import ListedVariant, SeededMetric, StudyResult, StudyVariant, VariantList
from modalweave.stages.evaluate import device_of
from modalweave.stages.inputs import read_graph
from modalweave.study.runs import Run, Task, kept_run, run_variant
from modalweave.study.slices import gains_by_slice
from modalweave.study.variants import (
    JOINT,
    RELATIONS,
    WORDS,
    Question,
    Variant,
    chosen,
    questions,
    reference,
    variants,
)
from modalweave.workspace import Workspace

_SLICED = ("media", "alone")
"""Kinds of question that are asked again within slices."""


def study(config: RunConfig, *, split: Split, markdown: Path | None, stages: Stages) -> StudyResult:
    """Run what is not there yet of `study.variants` x `study.seeds`; write `study.json` and `study.html`.

    Finished runs lie in `study/` of the workspace and are used again where settings and graph are the same.
    `markdown` is a folder for `NAME.md` and its PNG plots. Nothing is chosen by these numbers.
    """
    workspace, data = Workspace(config.workspace), read_graph(config, stages)
    result = compare_variants(config, data, split=split, stages=stages)
    sections = study_sections(result.to_json())
    title = f"Study of {config.name}"
    write_json(workspace.study_result, result.to_json())
    write_text(workspace.study_page, as_html(title, sections))
    written = str(write_markdown(markdown, config.name, title, sections)) if markdown is not None else None
    return replace(result, markdown=written, workspace=str(config.workspace))


def listed(config: RunConfig, stages: Stages) -> VariantList:
    """The variants this run's graph and settings allow."""
    found = variants(config.gnn, read_graph(config, stages), config.study.own)
    return VariantList(tuple(ListedVariant(v.name, v.label, v.gnn) for v in found))


def compare_variants(config: RunConfig, data: HeteroData, *, split: Split, stages: Stages) -> StudyResult:
    """The study's numbers and words for a graph in memory."""
    settings = config.study
    depth = max(config.evaluation.k)
    positives = held_out(data, split)
    if not positives.nnz:
        raise RunError(f"split {split!r} holds 0 interactions to measure on; set split.{split} above 0")
    mine = positives[evaluated_users(positives)]
    picked = chosen(variants(config.gnn, data, settings.own), settings.variants)
    task = Task(data, graph_hash(data), split, depth, Workspace(config.workspace).study)
    runs = _run_all(task, picked, settings.seeds, stages)
    ranked = {variant.name: [run.ranked[""] for run in runs[variant.name]] for variant in picked}
    metric = f"{settings.metric}@{depth}"
    measured = {name: [user_metrics(r, mine, config.evaluation.k) for r in found] for name, found in ranked.items()}

    def values(name: str) -> dict[str, np.ndarray]:
        return {variant: np.stack([m[name] for m in found]) for variant, found in measured.items()}

    joint = runs.get(JOINT, [])
    asked = questions(picked, [str(m) for m in reference(config.gnn, data).modalities], settings.own)
    sliced = [q for q in asked if q.kind in _SLICED]
    with stages.stage("tests", "Testing the differences"):
        rows = _asked(values(metric), asked, config)
        gains = gains_by_slice(
            data, split, ranked, sliced, category=settings.category, seed=config.seed, resamples=settings.resamples
        )
        knocked = _knocked_out(joint, mine, metric, config)
    return StudyResult(
        name=config.name,
        split=split,
        metric=metric,
        seeds=tuple(settings.seeds),
        users=mine.shape[0],
        device=device_of(config),
        graph=task.graph,
        command=f"modalweave study --split {split}",
        findings=tuple(findings(rows, metric)),
        variants=_rows(picked, runs, {m: values(m) for m in _shown(config, metric)}),
        effects=tuple(rows),
        slices=tuple(gains),
        slice_questions=tuple({"name": q.name, "subject": q.subject} for q in sliced) if gains else (),
        knocked_out=knocked,
        carried=_mean([run.facts["carried"] for run in joint if "carried" in run.facts]),
        gates=_mean_gates([run.facts["gates"] for run in joint if "gates" in run.facts]),
        agreement=_agreement(Workspace(config.workspace).coverage),
    )


def _run_all(task: Task, picked: Sequence[Variant], seeds: Sequence[int], stages: Stages) -> dict[str, list[Run]]:
    """Seed by seed, so that a study that is stopped early has whole seeds."""
    plan = [(v, seed) for n, seed in enumerate(seeds) for v in picked if v.seeded or n == 0]
    runs: dict[str, list[Run]] = {variant.name: [] for variant in picked}
    for number, (variant, seed) in enumerate(plan, start=1):
        run = kept_run(task, variant, seed)
        place = f"{number}/{len(plan)} {variant.name}" + (f", seed {seed}" if variant.seeded else "")
        if run is None:
            with stages.stage(f"{variant.name}-{seed}", place) as report:
                run = run_variant(task, variant, seed, report)
        else:
            stages.note(f"{place}: kept from an earlier study")
        runs[variant.name].append(run)
    shutil.rmtree(task.checkpoints, ignore_errors=True)
    return runs


def _shown(config: RunConfig, metric: str) -> list[str]:
    depth = max(config.evaluation.k)
    return list(dict.fromkeys([metric, f"recall@{depth}", f"ndcg@{depth}"]))


def _rows(
    picked: Sequence[Variant], runs: Mapping[str, Sequence[Run]], values: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[StudyVariant, ...]:
    spreads = {metric: seed_spread(models) for metric, models in values.items()}
    return tuple(
        StudyVariant(
            variant.name,
            variant.label,
            variant.gnn,
            {m: SeededMetric.of(seeded_mean(models[variant.name], spreads[m])) for m, models in values.items()},
            seconds=float(np.mean([run.facts["seconds"] for run in runs[variant.name]])),
            memory_mb=max(run.facts["memory_mb"] for run in runs[variant.name]),
            device_mb=max(run.facts["device_mb"] for run in runs[variant.name]),
        )
        for variant in picked
    )


def _asked(values: Mapping[str, np.ndarray], asked: Sequence[Question], config: RunConfig) -> list[JsonObject]:
    pairs = {q.name: (q.with_it, q.without) for q in asked}
    tested = effects(values, pairs, seed=config.seed, resamples=config.study.resamples)
    return [{"name": q.name, "kind": q.kind, "subject": q.subject, **tested[q.name]} for q in asked]


def _knocked_out(
    joint: Sequence[Run], positives: sp.csr_matrix, metric: str, config: RunConfig
) -> tuple[JsonObject, ...]:
    """The trained joint network against itself with one modality's nodes or one relation's links left out."""
    names = sorted(joint[0].ranked) if joint else []
    depth = int(metric.partition("@")[2])
    values = {
        name: np.stack([user_metrics(run.ranked[name], positives, [depth])[metric] for run in joint]) for name in names
    }
    tested = effects(values, {n: ("", n) for n in names if n}, seed=config.seed, resamples=config.study.resamples)
    subjects = WORDS | RELATIONS
    return tuple({**row, "name": n[1:], "subject": subjects[n[1:]]} for n, row in tested.items())


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([shares[name] for shares in found])) for name in (found[0] if found else ())}


def _mean_gates(found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {group: _mean([gates[group] for gates in found]) for group in (found[0] if found else ())}


def _agreement(coverage: Path) -> tuple[JsonObject, ...]:
    """As the build measured it; nothing where the graph was built elsewhere."""
    if not coverage.exists():
        return ()
    return tuple(json.loads(coverage.read_text(encoding="utf-8")).get("agreement", []))

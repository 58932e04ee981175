"""The study: variants side by side over seeds, what each part is worth, and where it is not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
from modalweave.stages.pipeline import read_graph
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

STUDY = "study"
_SLICED = ("media", "alone")
"""Kinds of question that are asked again within slices."""


def study(config: RunConfig, *, split: Split, markdown: Path | None, stages: Stages) -> dict[str, Any]:
    """Run what is not there yet of `study.variants` x `study.seeds`; write `study.json` and `study.html`.

    Finished runs lie in `study/` of the workspace and are used again where settings and graph are the same.
    `markdown` is a folder for `NAME.md` and its PNG plots. Nothing is chosen by these numbers.
    """
    data = read_graph(config, stages)
    result = compare_variants(config, data, split=split, stages=stages)
    sections = study_sections(result)
    title = f"Study of {config.name}"
    write_json(config.workspace / "study.json", result)
    write_text(config.workspace / "study.html", as_html(title, sections))
    if markdown is not None:
        result["markdown"] = str(write_markdown(markdown, config.name, title, sections))
    return result


def listed(config: RunConfig, stages: Stages) -> list[Variant]:
    """The variants this run's graph and settings allow."""
    return variants(config.gnn, read_graph(config, stages), config.study.own)


def compare_variants(config: RunConfig, data: HeteroData, *, split: Split, stages: Stages) -> dict[str, Any]:
    """The study's numbers and words for a graph in memory."""
    settings = config.study
    depth = max(config.evaluation.k)
    positives = held_out(data, split)
    if not positives.nnz:
        raise RunError(f"split {split!r} holds 0 interactions to measure on; set split.{split} above 0")
    mine = positives[evaluated_users(positives)]
    picked = chosen(variants(config.gnn, data, settings.own), settings.variants)
    task = Task(data, graph_hash(data), split, depth, config.workspace / STUDY)
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
    return {
        "name": config.name,
        "split": split,
        "metric": metric,
        "seeds": list(settings.seeds),
        "users": mine.shape[0],
        "device": "cuda" if torch.cuda.is_available() and config.gnn.device != "cpu" else "cpu",
        "graph": task.graph,
        "command": f"modalweave study --split {split}",
        "findings": findings(rows, metric),
        "variants": _rows(picked, runs, {m: values(m) for m in _shown(config, metric)}),
        "effects": rows,
        "slices": gains,
        "slice_questions": [{"name": q.name, "subject": q.subject} for q in sliced] if gains else [],
        "knocked_out": knocked,
        "carried": _mean([run.facts["carried"] for run in joint if "carried" in run.facts]),
        "gates": _mean_gates([run.facts["gates"] for run in joint if "gates" in run.facts]),
        "agreement": _agreement(config.workspace / "coverage.json"),
    }


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
    return runs


def _shown(config: RunConfig, metric: str) -> list[str]:
    depth = max(config.evaluation.k)
    return list(dict.fromkeys([metric, f"recall@{depth}", f"ndcg@{depth}"]))


def _rows(
    picked: Sequence[Variant], runs: Mapping[str, Sequence[Run]], values: Mapping[str, Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    spreads = {metric: seed_spread(models) for metric, models in values.items()}
    return [
        {
            "name": variant.name,
            "label": variant.label,
            "gnn": variant.gnn,
            "metrics": {m: seeded_mean(models[variant.name], spreads[m]) for m, models in values.items()},
            "seconds": float(np.mean([run.facts["seconds"] for run in runs[variant.name]])),
            "memory_mb": max(run.facts["memory_mb"] for run in runs[variant.name]),
            "device_mb": max(run.facts["device_mb"] for run in runs[variant.name]),
        }
        for variant in picked
    ]


def _asked(values: Mapping[str, np.ndarray], asked: Sequence[Question], config: RunConfig) -> list[dict[str, Any]]:
    pairs = {q.name: (q.with_it, q.without) for q in asked}
    tested = effects(values, pairs, seed=config.seed, resamples=config.study.resamples)
    return [{"name": q.name, "kind": q.kind, "subject": q.subject, **tested[q.name]} for q in asked]


def _knocked_out(joint: Sequence[Run], positives: Any, metric: str, config: RunConfig) -> list[dict[str, Any]]:
    """The trained joint network against itself with one modality's nodes or one relation's links left out."""
    names = sorted(joint[0].ranked) if joint else []
    depth = int(metric.partition("@")[2])
    values = {
        name: np.stack([user_metrics(run.ranked[name], positives, [depth])[metric] for run in joint]) for name in names
    }
    tested = effects(values, {n: ("", n) for n in names if n}, seed=config.seed, resamples=config.study.resamples)
    subjects = WORDS | RELATIONS
    return [{**row, "name": n[1:], "subject": subjects[n[1:]]} for n, row in tested.items()]


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([shares[name] for shares in found])) for name in (found[0] if found else ())}


def _mean_gates(found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {group: _mean([gates[group] for gates in found]) for group in (found[0] if found else ())}


def _agreement(coverage: Path) -> list[dict[str, Any]]:
    """As the build measured it; nothing where the graph was built elsewhere."""
    if not coverage.exists():
        return []
    return list(json.loads(coverage.read_text(encoding="utf-8")).get("agreement", []))

"""The model card: a bundle's README.md, written from its manifest alone."""

from collections.abc import Mapping
from typing import Any

import yaml

from gnn.bundle.worked_example import encoder_example, numpy_example, onnx_example

_SHOWN = ("model", "dataset", "dataset_fingerprint", "graph_schema", "users", "items", "seed", "precision", "source")


def model_card(manifest: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it was trained on, how good it is, how to use it and its limits."""
    name = manifest.get("dataset") or manifest.get("model") or "recommender"
    lines = [f"# Recommender bundle: {_plain(name)}", ""]
    lines += ["Scores every item of a catalogue for every user it was trained on. Written by Modalweave.", ""]
    lines += ["| fact | value |", "|---|---|"]
    lines += [f"| {key} | {_plain(manifest[key])} |" for key in _SHOWN if manifest.get(key) is not None]
    if isinstance(fitted := manifest.get("fitted_on"), list):
        lines += [f"| fitted on | {_plain(', '.join(map(str, fitted)))} |"]
    lines += [f"| scorer | {_plain(_structure(manifest.get('scorer')))} |", ""]
    lines += _metric_lines(manifest.get("metrics"), manifest.get("split"))
    if _learned_on_validation(manifest.get("settings")):
        lines += [
            "The second stage learned from validation pairs: no fair comparison with models fitted on train alone."
        ]
        lines += [""]
    lines += _measured_lines(manifest.get("measured"))
    lines += _use_lines(manifest)
    lines += ["## Limits", "", "- Users and items that were not in the graph at training time have no score."]
    lines += ["- Scores compare items for one user; they are no probabilities and do not compare between users."]
    lines += ["- It repeats the tastes and gaps of the interactions it was trained on.", ""]
    return "\n".join(lines)


def front_matter(manifest: Mapping[str, Any]) -> str:
    """What Hugging Face's hub reads at the head of a card, as YAML: library, tags and the measured metrics."""
    name = str(manifest.get("dataset") or manifest.get("model") or "recommender")
    head: dict[str, Any] = {
        "library_name": "modalweave",
        "tags": ["recommender-system", "knowledge-graph", "multimodal"],
    }
    if metrics := _means(manifest.get("metrics")):
        measured = [{"type": key, "value": value} for key, value in sorted(metrics.items())]
        data = {"type": name, "name": name} | ({"split": str(manifest["split"])} if manifest.get("split") else {})
        task = {"type": "recommendation"}
        head["model-index"] = [{"name": name, "results": [{"task": task, "dataset": data, "metrics": measured}]}]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n"


def _means(metrics: Any) -> dict[str, float]:
    """Metric -> its mean, of whatever form the manifest has."""
    if isinstance(metrics, Mapping) and isinstance(metrics.get("metrics"), Mapping):
        metrics = metrics["metrics"]
    found = dict(metrics) if isinstance(metrics, Mapping) else {}
    means = {key: value.get("mean") if isinstance(value, Mapping) else value for key, value in found.items()}
    return {str(k): float(v) for k, v in means.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _learned_on_validation(settings: Any) -> bool:
    ranked = settings.get("ranked") if isinstance(settings, Mapping) and settings.get("model") == "ranked" else None
    return isinstance(ranked, Mapping) and ranked.get("learn_on") == "validation"


def _use_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Lists from the bundle: by Modalweave, by NumPy and, where there is a graph, by onnxruntime."""
    lines = ["## Use", "", "    modalweave score BUNDLE --out scores --top-k 20", ""]
    lines += [
        "Nothing else of Modalweave is needed to use the files. What follows runs in this folder and prints a list."
    ]
    lines += [
        "`users.parquet` and `items.parquet` give the id of each index, `seen.safetensors` what a list leaves out."
    ]
    lines += ["Who has no history gets what is popular.", ""]
    scorer = manifest.get("scorer")
    example = numpy_example(scorer) if isinstance(scorer, Mapping) else None
    if example is not None:
        needed = "numpy safetensors pyarrow" + " onnxruntime" * ("onnxruntime" in example)
        lines += ["### With NumPy", "", f"`pip install {needed}`", "", "```python", example, "```", ""]
    inputs = manifest.get("onnx")
    if isinstance(inputs, list):
        lines += ["### With onnxruntime", ""]
        if isinstance(scorer, Mapping) and scorer.get("kind") == "ranked":
            lines += ["`scorer.onnx` is the first stage, which finds the candidates; `ranker.onnx` orders them.", ""]
        lines += [
            "`pip install onnxruntime`",
            "",
            "```python",
            onnx_example(inputs),
            "```",
            "",
        ]
        lines += ["`items` are rows of `items.parquet`, best first; -1 where nothing is left. The output `all_scores`"]
        lines += ["holds every item's score, before anything is left out."]
        if "history_items" in inputs:
            lines += ["Without a history to add: `history_items` of shape (1, 0), `history_weights` of shape (1, 1)."]
        else:
            lines += ["Someone unknown (-1) gets what is popular: this model knows people by their vectors."]
        lines += [""]
    if isinstance(manifest.get("item_encoder"), list):
        lines += ["### An item that came later", "", "`pip install onnxruntime`", ""]
        lines += ["```python", encoder_example(), "```", ""]
        lines += ["The inner products of `vector` with the rows of `user_vectors` are the item's scores."]
        lines += ["Encode its media as those of the catalogue were; of several of one kind give the mean.", ""]
    return lines


def _measured_lines(measured: Any) -> list[str]:
    """The numbers of the model that this one was refitted from."""
    if not isinstance(measured, Mapping):
        return []
    lines = _metric_lines(measured.get("metrics"), measured.get("split"), "The model that was measured")
    told = (
        f"The settings of bundle {_plain(measured.get('bundle'))}, fitted anew on all interactions: nothing is left to"
    )
    return [*lines, f"{told} measure this model on, and the numbers, where there are any, are that bundle's.", ""]


def _structure(scorer: Any) -> str:
    if not isinstance(scorer, Mapping):
        return "-"
    if scorer.get("kind") == "ranked":
        return f"trees that order the first {scorer.get('candidates')} of {_structure(scorer.get('retriever'))}"
    if scorer.get("kind") == "sum":
        terms = zip(scorer.get("weights", ()), scorer.get("parts", ()), strict=False)
        return "sum of " + ", ".join(f"{weight:g} x {_structure(part)}" for weight, part in terms)
    return str(scorer.get("kind"))


def _metric_lines(metrics: Any, split: Any, title: str = "Measured on held-out interactions") -> list[str]:
    """A table of `{"recall@20": {"mean": .., "ci95": [lo, hi]}}`, or of plain numbers."""
    if isinstance(metrics, Mapping) and isinstance(metrics.get("metrics"), Mapping):
        metrics = metrics["metrics"]
    if not isinstance(metrics, Mapping) or not metrics:
        return []
    which = f" ({_plain(split)} split)" if split else ""
    lines = [f"## {title}{which}", "", "| metric | mean | 95 % interval |", "|---|---|---|"]
    for key, value in sorted(metrics.items()):
        if isinstance(value, Mapping) and isinstance(value.get("mean"), int | float):
            low, high = value.get("ci95") or (None, None)
            interval = f"{low:.4f} to {high:.4f}" if low is not None else "-"
            lines.append(f"| {_plain(key)} | {value['mean']:.4f} | {interval} |")
        elif isinstance(value, int | float):
            lines.append(f"| {_plain(key)} | {value:.4f} | - |")
    return [*lines, ""]


def _plain(value: Any) -> str:
    """One line that cannot break the table."""
    return " ".join(str(value).replace("|", "\\|").replace("`", "'").split())

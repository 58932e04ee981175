"""The score stage: bundle -> `scores/`, on request with links back into a store."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gnn.bundle.bundle import load_bundle
from gnn.network.config import Modality
from graph.schema import HAS, MEDIA_LABELS
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages, warn
from modalweave.results.jobs import ScorePart, ScoreResult
from modalweave.results.words import Language
from modalweave.stages.arrivals import arrivals
from modalweave.stages.inputs import config_of, read_graph
from modalweave.stages.reasons import reasons as reasons_of
from modalweave.stages.serving import named_bundle, serving_folder
from modalweave.stores import check_target, connect
from modalweave.workspace import Workspace
from scoring.config import ScoringConfig
from scoring.job import run_job, run_similar
from scoring.restrictions import Restrictions
from scoring.writeback import write_back as write_links

_NAMED = 100
"""Unknown users that are listed on stderr; the result lists all."""


def score_run(config: RunConfig, *, stages: Stages) -> ScoreResult:
    """The batch job of a run's model to serve, into `scores/`."""
    workspace = Workspace(config.workspace)
    bundle = serving_folder(workspace, stages.note)
    return score(bundle, workspace.scores, config.scoring.model_dump(), stages=stages, fresh=True)


def score(
    bundle: Path,
    out: Path | str,
    options: Mapping[str, object],
    *,
    stages: Stages,
    users: Sequence[str] | None = None,
    restrictions: Restrictions | None = None,
    histories: pl.DataFrame | None = None,
    new_items: Path | None = None,
    by: Modality | Literal["model"] = "model",
    reasons: Language | None = None,
    tone: str | None = None,
    strict: bool = False,
    write_back: str | None = None,
    fresh: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> ScoreResult:
    """Score users against the whole catalogue, optionally writing RECOMMENDED links into a store.

    Users named whom the model does not know are served what is popular and told; `strict` refuses them.
    `new_items` is a dataset folder with items that came after training: lists hold those, too. `by` is what
    `diversity` tells items apart by. `reasons` adds a column with one in that language for each link, in a
    `tone` that the run's language model words.
    `fresh` starts over where the folder holds another job's parts, as a run's own `scores/` does after training.
    Raises `scoring.errors.Stopped` after the part in which `stop` said yes.
    """
    if write_back is not None:
        if new_items is not None:
            raise RunError(
                f"{new_items}: its items are not in the graph, so no link can lead to them; build them first"
            )
        check_target(write_back)
    folder, job = named_bundle(bundle, stages.note), ScoringConfig.model_validate(options)
    vectors = came = None
    if new_items is not None:
        if job.diversity and by != "model":
            raise RunError(f"diversity by {by} does not know the items of {new_items}; tell them apart by the model")
        came = arrivals(config_of(bundle, "its media"), new_items, load_bundle(folder).item_ids, stages)
    if job.diversity and by != "model":
        vectors = _vectors(config_of(bundle, f"the vectors of {by}"), folder, by, stages)
    why = None
    if reasons is not None:
        why = reasons_of(config_of(bundle, "its links, which the reasons are"), folder, reasons, stages, tone=tone)
    with stages.stage("score", "Scoring") as report:
        manifest = run_job(
            folder,
            out,
            job,
            users=users,
            restrictions=restrictions,
            histories=histories,
            arrivals=came,
            vectors=vectors,
            reasons=why,
            strict=strict,
            fresh=fresh,
            stop=stop,
            progress=report,
        )
    unknown = tuple(manifest.get("unknown", ()))
    if unknown:
        named = ", ".join(map(repr, unknown[:_NAMED])) + (", ..." if len(unknown) > _NAMED else "")
        warn([f"{len(unknown):,} users are unknown to the model and get what is popular: {named}"])
    if missing := manifest.get("unknown_items"):
        named = ", ".join(map(repr, missing[:_NAMED])) + (", ..." if len(missing) > _NAMED else "")
        warn([f"{len(missing):,} items are unknown to the model and in no list: {named}"])
    written = None
    if write_back is not None:
        created, model = datetime.now(UTC).isoformat(timespec="seconds"), manifest["bundle"]
        with connect(write_back) as store, stages.stage("write_back", "Writing links back") as report:
            written = write_links(store, out, model_id=model, created=created, stop=stop, progress=report)
    return _result(manifest, out, stages, written, write_back)


def similar(
    bundle: Path,
    out: Path | str,
    options: Mapping[str, object],
    *,
    by: Modality | Literal["model"] = "model",
    new_items: Path | None = None,
    stages: Stages,
    fresh: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> ScoreResult:
    """What is most like each item: by the model, or by the vectors of a modality in the run's graph.

    `new_items` is a dataset folder with items that came after training, which the model compares by what they resemble.
    """
    folder = named_bundle(bundle, stages.note)
    job = ScoringConfig.model_validate(options)
    came = None
    if new_items is not None:
        if by != "model":
            raise RunError(f"the items of {new_items} are compared by the model alone; leave --by {by} out")
        came = arrivals(config_of(bundle, "its media"), new_items, load_bundle(folder).item_ids, stages)
    vectors = None if by == "model" else _vectors(config_of(bundle, f"the vectors of {by}"), folder, by, stages)
    with stages.stage("similar", "Comparing items") as report:
        manifest = run_similar(
            folder, out, job, by=by, arrivals=came, vectors=vectors, fresh=fresh, stop=stop, progress=report
        )
    return _result(manifest, out, stages)


def _vectors(config: RunConfig, folder: Path, by: Modality, stages: Stages) -> Float[Tensor, "items dim"]:
    """The mean of each item's unit vectors of a modality, in the bundle's order; zeros where it has none."""
    data, label = read_graph(config, stages), MEDIA_LABELS[by]
    if not data[label].x.shape[1]:
        raise RunError(f"{config.store_address} holds no vectors of {by}; choose what its media have")
    item, medium = data["Item", HAS[by], label].edge_index
    units = functional.normalize(data[label].x, dim=1)
    order = {name: row for row, name in enumerate(load_bundle(folder).item_ids)}
    place = torch.tensor([order.get(name, len(order)) for name in data["Item"].ids])
    found = torch.zeros(len(order) + 1, units.shape[1]).index_add_(0, place[item], units[medium])
    return functional.normalize(found[:-1], dim=1)


def _result(
    manifest: Mapping[str, Any], out: Path | str, stages: Stages, written: int | None = None, store: str | None = None
) -> ScoreResult:
    return ScoreResult(
        bundle=manifest["bundle"],
        options=manifest["options"],
        users=manifest["users"],
        unknown=tuple(manifest.get("unknown", ())) or None,
        rows=manifest["rows"],
        parts={name: ScorePart(part["rows"], part["sha256"]) for name, part in manifest["parts"].items()},
        out=str(out),
        seconds=dict(stages.seconds),
        written_back=written,
        store=store,
    )


@contextmanager
def stopping_on_sigterm() -> Iterator[Callable[[], bool]]:
    """What tells whether this process was asked to end, which it then no longer does of itself."""
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)

"""The score stage: bundle -> `scores/`, on request with links back into a store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from modalweave.config import RunConfig
from modalweave.progress import Stages, warn
from modalweave.results.jobs import ScorePart, ScoreResult
from modalweave.stages.inputs import named_bundle, serving_folder
from modalweave.stores import check_target, connect
from modalweave.workspace import Workspace
from scoring.config import ScoringConfig
from scoring.job import run_job
from scoring.users import read_users
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
    out: Path,
    options: Mapping[str, object],
    *,
    stages: Stages,
    users_file: Path | None = None,
    strict: bool = False,
    write_back: str | None = None,
    fresh: bool = False,
) -> ScoreResult:
    """Score users against the whole catalogue, optionally writing RECOMMENDED links into a store.

    Users of the file whom the model does not know are served what is popular and told; `strict` refuses them.
    `fresh` starts over where the folder holds another job's parts, as a run's own `scores/` does after training.
    """
    if write_back is not None:
        check_target(write_back)
    users = read_users(users_file) if users_file is not None else None
    with stages.stage("score", "Scoring") as report:
        job = ScoringConfig.model_validate(options)
        manifest = run_job(
            named_bundle(bundle, stages.note), out, job, users=users, strict=strict, fresh=fresh, progress=report
        )
    unknown = tuple(manifest.get("unknown", ()))
    if unknown:
        named = ", ".join(map(repr, unknown[:_NAMED])) + (", ..." if len(unknown) > _NAMED else "")
        warn([f"{len(unknown):,} users are unknown to the model and get what is popular: {named}"])
    written = None
    if write_back is not None:
        created, model = datetime.now(UTC).isoformat(timespec="seconds"), manifest["bundle"]
        with connect(write_back) as store, stages.stage("write_back", "Writing links back") as report:
            written = write_links(store, out, model_id=model, created=created, progress=report)
    return ScoreResult(
        bundle=manifest["bundle"],
        options=manifest["options"],
        users=manifest["users"],
        unknown=unknown or None,
        rows=manifest["rows"],
        parts={name: ScorePart(part["rows"], part["sha256"]) for name, part in manifest["parts"].items()},
        out=str(out),
        seconds=dict(stages.seconds),
        written_back=written,
        store=write_back,
    )

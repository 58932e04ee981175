"""All stages in one go."""

from modalweave.config import RunConfig
from modalweave.errors import NothingHeldOut
from modalweave.progress import Stages
from modalweave.results.jobs import RunResult
from modalweave.stages.build import build
from modalweave.stages.evaluate import evaluate
from modalweave.stages.refit import refit
from modalweave.stages.score import score_run
from modalweave.stages.train import train


def run(config: RunConfig, *, strict: bool = False, prune: bool = False, stages: Stages) -> RunResult:
    """Build, train, evaluate, refit, score. Without test interactions nothing is measured, which is told."""
    built = build(config, strict=strict, prune=prune, stages=stages)
    train(config, stages=stages)
    try:
        measured = evaluate(config, split="test", stages=stages)
    except NothingHeldOut as nothing:
        stages.note(f"Not measured: {nothing}")
        measured = None
    refitted = refit(config, stages=stages)
    return RunResult(built, measured, refitted, score_run(config, stages=stages), str(config.workspace))

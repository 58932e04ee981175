"""Respondents of a survey held against a run: its user base, and its metrics of each of them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch_geometric.data import HeteroData

from evaluation.metrics import evaluated_users
from evaluation.slices import ACTIVITY_EDGES, activity_groups
from evaluation.survey import Survey
from evaluation.surveys.analysis import OVERALL, construct_scores
from evaluation.surveys.link import links, response_bias
from gnn.matrices import Split, held_out, interactions
from modalweave.config import RunConfig
from modalweave.errors import ConfigError, RunError
from modalweave.progress import Stages
from modalweave.results.survey import RunLink
from modalweave.stages.evaluate import same_graph
from modalweave.stages.inputs import config_of, read_bundle, read_graph
from modalweave.stages.measured import measure
from modalweave.workspace import Workspace


def link_run(asked: Survey, given: str, split: Split, stages: Stages) -> RunLink:
    """Who answered among the run's users, and whether its metrics tell who is satisfied; `given` as for `survey`.

    Raises `RunError` where the run knows none of the respondents.
    """
    variant, separator, path = given.partition("=")
    if not separator or variant not in asked.variants:
        variant, path = "", given
    config = config_of(Path(path), "users")
    data = read_graph(config, stages)
    place_of = {user: at for at, user in enumerate(data["User"].ids)}
    name, by_person = _outcome(asked, variant)
    outcome = np.full(len(place_of), np.nan)
    for user, value in by_person.items():
        if user in place_of:
            outcome[place_of[user]] = value
    unknown = len(by_person.keys() - place_of.keys())
    if unknown == len(by_person):
        raise RunError(
            f"none of the {unknown:,} respondents with an answer is a user of {config.name}, e.g. "
            f"{min(by_person, default='nobody')!r}; the answers' ids are to be those of the interactions"
        )
    with stages.stage("evaluate", f"Measuring {config.name} on {split}"):
        metrics = _metrics(config, data, split)
    train = interactions(data)
    groups = {f"{name} interactions": members for name, members in activity_groups(train, ACTIVITY_EDGES).items()}
    everyone = {"everyone": np.ones(len(outcome), dtype=bool)}
    parts = {name: members for name, members in groups.items() if members.any() and not members.all()}
    found, left_out = links(outcome, metrics, everyone | parts)
    counts = {"training interactions": np.diff(train.indptr).astype(np.float64)}
    return RunLink(
        config.name,
        variant or None,
        split,
        name,
        unknown,
        response_bias(outcome, groups, counts | metrics),
        tuple(found),
        tuple(left_out),
    )


def _outcome(asked: Survey, variant: str) -> tuple[str, dict[str, float]]:
    """What offline metrics should predict: its name, and each person's mean over rows (of the variant)."""
    scores = construct_scores(asked) | asked.numbers
    if not scores:
        raise RunError("the survey asks for no number that offline metrics could predict; leave --run out")
    name = asked.design.outcome or (OVERALL if OVERALL in scores else next(iter(scores)))
    if name not in scores:
        raise ConfigError(f"outcome {name!r} is no question with numbers or construct (has {', '.join(scores)})")
    rows: dict[str, list[float]] = {}
    for user, seen, value in zip(asked.users, asked.variants, scores[name].tolist(), strict=True):
        if not np.isnan(value) and variant in ("", seen):
            rows.setdefault(user, []).append(value)
    return name, {user: float(np.mean(values)) for user, values in rows.items()}


def _metrics(config: RunConfig, data: HeteroData, split: Split) -> dict[str, Float[np.ndarray, "users"]]:
    """Recall and NDCG at the greatest depth of each user; NaN of those without a held-out interaction."""
    bundle = read_bundle(config)
    same_graph(Workspace(config.workspace).bundle, bundle.manifest, data)
    measured = measure(bundle.scorer, data, split, config.evaluation, seed=config.seed)
    rows, found = evaluated_users(held_out(data, split)), {}
    for name in (f"{metric}@{max(config.evaluation.k)}" for metric in ("recall", "ndcg")):
        found[name] = np.full(len(data["User"].ids), np.nan)
        found[name][rows] = measured.values[name]
    return found

"""The search: settings tried on validation by Optuna, kept in a journal so that it can stop and go on."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pydantic import JsonValue
from torch_geometric.data import HeteroData

from common.files import write_json, write_text
from gnn.automatic import Auto
from gnn.matrices import interactions
from gnn.registry import make_recommender
from gnn.validation import Validation
from graph.hetero import graph_hash
from modalweave.config import RunConfig, dump_config, parse_config, set_key
from modalweave.errors import ConfigError, RunError
from modalweave.progress import Stages
from modalweave.results.study import Trial, TuneResult
from modalweave.stages.inputs import read_graph
from modalweave.study.config import SpanConfig
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial as Draw

Space = Mapping[str, SpanConfig | list[JsonValue]]

NETWORK: Space = {
    "gnn.learning_rate": SpanConfig(low=5e-4, high=2e-2, log=True),
    "gnn.temperature": SpanConfig(low=0.08, high=0.5, log=True),
    "gnn.layers": [1, 2, 3],
    "gnn.embedding_dim": [64, 128],
    "gnn.similar_hops": [1, 2],
    "gnn.identity_dropout": [0.0, 0.3, 0.5],
    "gnn.edge_dropout": [0.0, 0.2, 0.5],
    "gnn.user_weight_power": [0.0, 0.5],
}
SPACES: Mapping[str, Space] = {
    "hetero": NETWORK,
    "auto": NETWORK,
    "ease": {"gnn.ease.regularisation": SpanConfig(low=1.0, high=5000.0, log=True)},
    "item_knn": {"gnn.item_knn.k": SpanConfig(low=5, high=500, log=True, integer=True)},
}
"""`gnn.model` -> what is searched where `tune.space` is empty."""


_STARTUP = 8
"""Trials drawn at random before the sampler learns from them."""


def tune(config: RunConfig, *, stages: Stages) -> TuneResult:
    """Try `tune.trials` settings, the config's own first, and write the best as `tuned.yaml`; test is never read.

    Each trial draws from what is known so far and a seed of its own, so a search that was killed ends like one that
    ran through. Under `model: auto` a trial trains one network; what is chosen then holds for all of its candidates.
    """
    optuna = _optuna()
    data = read_graph(config, stages)
    base = _searched(config, data)
    space = _checked(base, config.tune.space or SPACES.get(config.gnn.model, {}))
    validation = Validation.of(data, seed=config.seed)
    if not validation.num_pairs:
        raise RunError("split 'valid' holds 0 interactions to choose by; set split.valid above 0")
    search = _resumed(config, base, space, graph_hash(data))
    started = time.perf_counter()
    for number in range(len(_finished(search)), config.tune.trials):
        if config.tune.timeout is not None and time.perf_counter() - started > config.tune.timeout:
            break
        search.sampler = optuna.samplers.TPESampler(seed=_seed(config.seed, number), n_startup_trials=_STARTUP)
        trial = search.ask()
        settings = _drawn(trial, space) if number else {}
        with stages.stage(f"trial-{number}", f"Trial {number + 1}/{config.tune.trials}") as report:
            began = time.perf_counter()
            scorer = make_recommender(_with(base, settings).gnn).fit(data, seed=config.seed, progress=report)
            quality = validation.quality(scorer)
            trial.set_user_attr("settings", settings)
            trial.set_user_attr("seconds", round(time.perf_counter() - began, 2))
            search.tell(trial, quality)
        stages.note(f"  quality {quality:.4f}, best so far {search.best_value:.4f}")
    return _written(config, base, search)


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError:
        raise RunError("optuna is not installed; pip install 'modalweave[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _searched(config: RunConfig, data: HeteroData) -> RunConfig:
    """The config of one trial, before anything is drawn."""
    if config.gnn.model != "auto":
        return config
    network = Auto(config.gnn).candidates(interactions(data))[0].model_dump(mode="json", exclude_defaults=True)
    return _with(config, {"gnn.model": "hetero", **{f"gnn.{key}": value for key, value in network.items()}})


def _with(config: RunConfig, settings: Mapping[str, JsonValue]) -> RunConfig:
    """The config with dotted keys set. Raises `ConfigError` for a key or value that it does not take."""
    raw = config.model_dump(mode="json", exclude_unset=True)
    for dotted, value in settings.items():
        set_key(raw, dotted, value)
    return parse_config(raw, where="tune.space")


def _checked(base: RunConfig, space: Space) -> Space:
    """The space, every edge and choice of it accepted by the config before the first trial."""
    if not space:
        raise RunError(f"model {base.gnn.model!r} has no default space to search; set tune.space")
    for key, choice in space.items():
        if not key.startswith("gnn."):
            raise ConfigError(f"tune.space: {key!r} is no setting of the recommender; search keys that start with gnn.")
        for value in choice if isinstance(choice, list) else map(choice.number, (choice.low, choice.high)):
            _with(base, {key: value})
    return space


def _resumed(config: RunConfig, base: RunConfig, space: Space, graph: str) -> "Study":
    """The search of these settings, this space, seed and graph, with what an earlier call has found."""
    optuna = _optuna()
    path = Workspace(config.workspace).tune_journal
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_torn_line(path)
    facts = [
        base.gnn.model_dump(mode="json"),
        {key: c if isinstance(c, list) else c.model_dump() for key, c in space.items()},
        config.seed,
        graph,
    ]
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    search: Study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16],
        direction="maximize",
        load_if_exists=True,
    )
    for trial in search.trials:
        if not trial.state.is_finished():
            search.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return search


def cut_torn_line(path: Path) -> None:
    """Cut off the journal's last line where a kill left it half written, so that it does not spoil the next one.

    Whole lines are never written anew: a kill at any moment leaves them as they are.
    """
    if not path.exists():
        return
    with path.open("rb+") as journal:
        held = journal.read()
        whole = held.rfind(b"\n") + 1
        if whole < len(held):
            journal.truncate(whole)
            os.fsync(journal.fileno())


def _drawn(trial: "Draw", space: Space) -> dict[str, JsonValue]:
    settings: dict[str, JsonValue] = {}
    for key, choice in space.items():
        if isinstance(choice, list):
            # by place: the journal keeps plain numbers, and a choice may be a list itself
            settings[key] = choice[trial.suggest_categorical(key, list(range(len(choice))))]
        elif choice.integer:
            settings[key] = trial.suggest_int(key, int(choice.low), int(choice.high), log=choice.log)
        else:
            settings[key] = float(f"{trial.suggest_float(key, choice.low, choice.high, log=choice.log):.6g}")
    return settings


def _finished(search: "Study") -> tuple[Trial, ...]:
    done = [trial for trial in search.trials if trial.value is not None]
    return tuple(Trial(n, float(trial.value or 0.0), **trial.user_attrs) for n, trial in enumerate(done))


def _written(config: RunConfig, base: RunConfig, search: "Study") -> TuneResult:
    workspace, trials = Workspace(config.workspace), _finished(search)
    best = max(trials, key=lambda trial: trial.quality)
    chosen = _with(_with(base, best.settings), {"gnn.model": config.gnn.model})
    write_text(workspace.tuned, dump_config(chosen))
    result = TuneResult(best, trials, str(workspace.tuned))
    write_json(workspace.tune_trials, result.to_json())
    return result


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")

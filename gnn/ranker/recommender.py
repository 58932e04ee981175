"""Retrieve, then rank: any recommender with a second stage over it."""

from collections.abc import Mapping
from dataclasses import replace

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Recommender, Watch
from gnn.config import GNNConfig
from gnn.errors import GnnError, NothingToLearn
from gnn.footprint import FLOAT, Footprint, Sizes, validation_bytes
from gnn.matrices import held_out
from gnn.ranker.evidence import ROW_ENTRIES
from gnn.ranker.holdout import held_back
from gnn.ranker.learning import Held, Learned, learn
from gnn.registry import make_recommender, recommender_of, resolved_config
from gnn.scorers.base import Scorer

_HELD_BACK = "held_back"
"""Names the fits on fewer interactions and the folder of their checkpoints: the same settings, other data."""

_PARTS = (70, 95)
"""Progress, in percent, when the retriever is fitted, and when it is fitted on fewer interactions."""


class Ranked(Recommender[GNNConfig]):
    """Fits the retriever, fits it again with interactions held back, and learns from these how to order candidates."""

    Config = GNNConfig

    def __init__(self, config: GNNConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.chosen = self.config
        """The section that gives the same scorer without searching, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Deterministic by seed. Raises `GnnError` where nothing can be learned from."""
        section = retriever_of(self.config)
        retriever = make_recommender(section, self.watch)
        found = retriever.fit(data, seed=seed, progress=_within(progress, 0, _PARTS[0]))
        section = resolved_config(section, retriever)
        learned = second_stage(found, section, data, self.config, self.watch, seed=seed, progress=progress)
        self.chosen = ranked_section(section, self.config, learned)
        return learned.scorer

    def resolved(self) -> GNNConfig:
        """The retriever's settings as found, and the blend."""
        return self.chosen

    @classmethod
    def footprint(cls, sizes: Sizes, config: GNNConfig) -> Footprint:
        """The retriever's fit and the second one, then what is learned over them."""
        section = retriever_of(config)
        kind = recommender_of(section)
        first = kind.footprint(sizes, section if kind.Config is GNNConfig else section.settings(section.model))
        parts = (first, first) if config.ranked.learn_on == "train" else (first,)
        return with_second_stage(sizes, config, parts)


def with_second_stage(sizes: Sizes, config: GNNConfig, parts: tuple[Footprint, ...]) -> Footprint:
    """What a second stage takes after the fits named: 8 bytes a link of evidence twice, and the rows learned from."""
    kinds = 1 + len(sizes.media) + (4 if sizes.related else 0)
    links = 8 * sizes.items * ROW_ENTRIES * kinds
    held = config.ranked.share * sizes.pairs if config.ranked.learn_on == "train" else sizes.held_out
    rows = min(sizes.users, held) * (config.ranked.negatives + 1)
    features = FLOAT * (2 * kinds + 16)
    work = int(2 * links + 2 * rows * features) + validation_bytes(sizes)
    lower = "gnn.auto.second_stage" if config.model == "auto" else "gnn.model"
    return Footprint("ranker", work, links, edges=30.0 * sizes.pairs * ROW_ENTRIES, lower=lower, parts=parts)


def retriever_of(config: GNNConfig) -> GNNConfig:
    """The section of what finds the candidates; an automatic choice looks for no second stage of its own."""
    auto = config.auto.model_copy(update={"second_stage": False})
    return config.model_copy(update={"model": config.ranked.retriever, "auto": auto})


def ranked_section(retriever: GNNConfig, config: GNNConfig, learned: Learned) -> GNNConfig:
    """The section that gives what was learned over this retriever again."""
    found = {"retriever": retriever.model, "blend": learned.scorer.blend}
    ranked = config.ranked.model_copy(update=found)
    return retriever.model_copy(update={"model": "ranked", "ranked": ranked})


def second_stage(
    scorer: Scorer,
    retriever: GNNConfig,
    data: HeteroData,
    config: GNNConfig,
    watch: Watch,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Learned:
    """A second stage over `scorer`, which `retriever` fitted on `data` without anything left to choose."""
    held = None
    if config.ranked.learn_on == "train":
        less, positives = held_back(data, config.ranked.share, seed=seed)
        if not positives.nnz:
            raise NothingToLearn(
                "every user has 1 training interaction, so none can be held back; use another gnn.model"
            )
        again = make_recommender(retriever, _apart(watch))
        held = Held(again.fit(less, seed=seed, progress=_within(progress, *_PARTS)), less, positives)
    elif not held_out(data, "valid").nnz:
        raise GnnError("ranked.learn_on is 'validation', and there are 0 validation interactions; set it to 'train'")
    return learn(scorer, data, held, config.ranked, seed=seed, progress=_within(progress, _PARTS[1], 100))


def _apart(watch: Watch) -> Watch:
    """For fits on fewer interactions: checkpoints and names of their own, as the settings are the same."""
    folder = watch.checkpoints / _HELD_BACK if watch.checkpoints else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)

    def on_epoch(name: str, row: Mapping[str, float]) -> None:
        if watch.on_epoch:
            watch.on_epoch(f"{_HELD_BACK}-{name}", row)

    return replace(watch, checkpoints=folder, tell=None, on_epoch=on_epoch)


def _within(progress: Progress | None, start: int, end: int) -> Progress | None:
    """Progress of one step of several, in percent of all."""
    if progress is None:
        return None

    def inner(done: int, total: int) -> None:
        progress(start + (end - start) * done // max(total, 1), 100)

    return inner

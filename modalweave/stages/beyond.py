"""What the lists are like beyond accuracy, and for whom."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float
from torch_geometric.data import HeteroData

from evaluation.bootstrap import summarise
from evaluation.config import EvaluationConfig
from evaluation.diversity import link_diversity, miscalibration, vector_diversity
from evaluation.groups import fairness, popularity_bias
from evaluation.lists import Lists, concentration, novelty, serendipity, share_of
from evaluation.metrics import evaluated_users
from gnn.matrices import Split, held_out, interactions, new_items
from graph.schema import MODALITIES
from modalweave.results.beyond import BeyondAccuracy, Fairness, PopularityBias
from modalweave.results.metric import Metrics, metrics_of
from modalweave.stages.measured import Measured
from modalweave.stages.traits import item_links, item_values, item_vectors, user_groups


def beyond_accuracy(
    data: HeteroData,
    split: Split,
    models: Mapping[str, Measured],
    user_attributes: pl.DataFrame,
    config: EvaluationConfig,
    *,
    seed: int,
) -> BeyondAccuracy:
    """What the lists of each model are like; bias and fairness of the first one alone.

    `user_attributes` has a row for each user, in the order of the graph.
    """
    train, positives = interactions(data), held_out(data, split)
    lists = {name: Lists.of(model.ranked, positives, train) for name, model in models.items()}
    values = _by_user(data, lists)
    depth, resamples = max(config.k), min(config.resamples, 200)
    metrics: dict[str, Metrics] = {}
    for name, own in lists.items():
        found = concentration(own) | summarise(values[name], seed=seed, resamples=resamples)
        metrics[name] = metrics_of({f"{metric}@{depth}": value for metric, value in found.items()})
    first, *baselines = models
    groupings = user_groups(train, evaluated_users(positives), user_attributes)
    everybody = {"all": {"all": np.ones(len(lists[first].ranked), dtype=bool)}}
    quality = {name: models[first].values[name] for name in (f"recall@{depth}", f"ndcg@{depth}")}
    bias = {
        grouping: popularity_bias(lists[first], groups, seed=seed, resamples=resamples)
        for grouping, groups in (everybody | groupings).items()
    }
    fair = fairness(quality, groupings, seed=seed, resamples=resamples)
    return BeyondAccuracy(
        depth,
        metrics[first],
        {name: metrics[name] for name in baselines},
        {grouping: {n: PopularityBias.of(row) for n, row in groups.items()} for grouping, groups in bias.items()},
        {grouping: Fairness.of(found) for grouping, found in fair.items()},
    )


def _by_user(data: HeteroData, lists: Mapping[str, Lists]) -> dict[str, dict[str, Float[np.ndarray, "some"]]]:
    """Model -> metric -> a value for each user that has one."""
    new = np.zeros(int(data["Item"].num_nodes), dtype=bool)
    new[new_items(data)] = True
    found = {
        name: {"novelty": novelty(own), "serendipity": serendipity(own), "new_items": share_of(own, new)}
        for name, own in lists.items()
    }
    for modality in MODALITIES:
        vectors = item_vectors(data, modality)
        links = item_links(data, modality) if vectors is None else None
        for name, own in lists.items():
            if vectors is not None:
                found[name][f"diversity_{modality}"] = vector_diversity(own, vectors)
            elif links is not None:
                found[name][f"diversity_{modality}"] = link_diversity(own, links)
    for attribute, values in item_values(data).items():
        for name, own in lists.items():
            found[name][f"miscalibration_{attribute}"] = miscalibration(own, values)
    return {name: {metric: array for metric, array in own.items() if len(array)} for name, own in found.items()}

"""Free answers counted, and grouped by what they say."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from encoders import checked_spec, make_encoder
from encoders.errors import EncoderError
from encoders.registry import automatic
from evaluation.survey import Survey
from modalweave.results.survey import FreeTexts, TextGroup

_ALIKE = 0.45
"""Mean cosine similarity from which answers are one group."""
_MOST = 3000
"""Distinct answers that are grouped, the most frequent ones: all pairs are looked at."""
_SHOWN = 3


def free_texts(survey: Survey) -> dict[str, FreeTexts]:
    """Every open question's answers in groups, by average linkage of their embeddings.

    Where the encoder's weights are not there, answers that are letter for letter the same are the groups. Raises
    `EncoderError` for an encoder that nobody knows.
    """
    if survey.design.encoder is not None:
        checked_spec(survey.design.encoder)
    return {name: _grouped(survey, name) for name in survey.texts}


def _grouped(survey: Survey, question: str) -> FreeTexts:
    given = [(text, v) for text, v in zip(survey.texts[question], survey.variants, strict=True) if text is not None]
    spelled = Counter(_key(text) for text, _ in given)
    wording = {_key(text): text for text, _ in reversed(given)}
    keys = [key for key, _ in spelled.most_common()]
    note = None
    try:
        labels = _labels([wording[key] for key in keys[:_MOST]], survey.design.encoder) if len(keys) > 1 else [0]
    except EncoderError as error:
        labels, note = list(range(len(keys))), f"not grouped by meaning: {error}"
    if len(keys) > _MOST:
        note = f"of {len(keys):,} distinct answers the {_MOST:,} most frequent are grouped"
    group_of = dict(zip(keys, labels, strict=False))
    groups = []
    for label in dict.fromkeys(group_of.values()):
        members = [key for key in keys if group_of.get(key) == label]
        variants = Counter(variant for text, variant in given if group_of.get(_key(text)) == label)
        others = tuple(wording[key] for key in members[1 : _SHOWN + 1])
        groups.append(TextGroup(wording[members[0]], variants.total(), dict(sorted(variants.items())), others))
    groups.sort(key=lambda group: -group.n)
    asked = survey.design.questions[question].text
    return FreeTexts(asked, len(given), len(survey.users) - len(given), len(keys), tuple(groups), note)


def _labels(texts: Sequence[str], encoder: str | None) -> list[int]:
    from sklearn.cluster import AgglomerativeClustering

    model = make_encoder(encoder or automatic(texts))
    prepared = [model.prepare(text, "text").array for text in texts]
    batches = [model.encode(prepared[at : at + model.batch], "text") for at in range(0, len(prepared), model.batch)]
    vectors = np.concatenate(batches)
    clusters = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=1 - _ALIKE)
    return clusters.fit_predict(vectors).tolist()


def _key(text: str) -> str:
    return " ".join(text.casefold().split())

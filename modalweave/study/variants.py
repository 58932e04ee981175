"""What a study compares: each variant is a plain `gnn:` section, each question a pair of variants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pydantic import JsonValue, ValidationError
from torch_geometric.data import HeteroData

from common.problems import sentence
from gnn.automatic import Auto
from gnn.closed_form.config import EASEConfig
from gnn.config import GNNConfig
from gnn.matrices import interactions
from gnn.network.config import NetworkConfig
from gnn.ranker.evidence import evidence_kinds
from gnn.ranker.recommender import retriever_of
from graph.generated import KINDS, Kind, has_generated, without_generated
from graph.schema import HAS, MEDIA_LABELS
from modalweave.errors import ConfigError

WORDS = {"text": "text", "image": "pictures", "audio": "sound"}
"""Modalities as a reader calls them."""

GENERATED: Mapping[Kind, str] = {"texts": "generated texts", "triples": "generated facts"}
"""What a language model wrote as a reader calls it."""

RELATIONS = {"RELATED": "triples", "SIMILAR": "links between similar media", "FOLLOWS": "links between users"}
"""Relations as a reader calls them."""

AUGMENTATIONS = ("edge_dropout", "identity_dropout", "modality_dropout", "feature_noise", "alignment")
"""Settings that are 0 when off."""

JOINT, TWO_STAGES = "joint", "two_stages"
"""The variant all others are held against: one network over everything, with the config's own settings; and the same
with a second stage over it."""

EVIDENCE = {
    "together": "what is chosen together",
    "popular": "what is popular, and when",
    "history": "the length of the history",
    "friends": "what friends chose",
} | {m: f"{words} alike" for m, words in WORDS.items()}
"""Kinds of evidence of a second stage as a reader calls them."""


@dataclass(frozen=True)
class Variant:
    """One recommender of a study."""

    name: str
    label: str
    gnn: dict[str, JsonValue]
    """Its `gnn:` section."""
    seeded: bool = True
    """False = the same for every seed, so it is fitted once."""
    without: tuple[Kind, ...] = ()
    """What a language model wrote that it does not see."""


@dataclass(frozen=True)
class Question:
    """What is something worth? Answered by the variant with it against the one without."""

    name: str
    kind: str
    """Which words tell the answer: a key of `evaluation.findings.TEMPLATES`."""
    subject: str
    with_it: str
    without: str


def reference(gnn: GNNConfig, data: HeteroData) -> NetworkConfig:
    """The network a config stands for, with joint fusion and one training run.

    Under `model: auto` the first network of its space, under `model: ensemble` the first network of its parts, under
    `model: ranked` that of the retriever.
    """
    if gnn.model == "ranked":
        gnn = retriever_of(gnn)
    network = gnn.network()
    if gnn.model == "auto":
        network = Auto(gnn).candidates(interactions(data))[0]
    elif gnn.model == "ensemble":
        settings = (part.settings for part in gnn.ensemble.parts)
        network = next((s for s in settings if isinstance(s, NetworkConfig)), network)
    present = tuple(m for m in network.modalities if has_modality(data, m))
    return network.model_copy(update={"fusion": "joint", "modalities": present})


def has_modality(data: HeteroData, modality: str) -> bool:
    """Whether any item has it."""
    key = ("Item", HAS[modality], MEDIA_LABELS[modality])
    return key in data.edge_types and data[key].edge_index.shape[1] > 0


def has_relation(data: HeteroData, relation: str) -> bool:
    """Whether the graph has any such link."""
    return any(key[1] == relation and data[key].edge_index.shape[1] > 0 for key in data.edge_types)


def variants(
    gnn: GNNConfig, data: HeteroData, own: Mapping[str, Mapping[str, JsonValue]] = MappingProxyType({})
) -> list[Variant]:
    """All variants that this graph and these settings allow, baselines first, the user's `own` last.

    Raises `ConfigError` for an own one whose name is taken or whose settings are none.
    """
    base = reference(gnn, data)
    media = [str(m) for m in base.modalities]

    def network(name: str, label: str, **changes: object) -> Variant:
        changed = NetworkConfig.model_validate({**base.model_dump(), **changes})
        settings = changed.model_dump(mode="json", exclude_defaults=True)
        return Variant(name, label, {"model": "hetero", **settings})

    found = [
        Variant("popularity", "popularity", {"model": "popularity"}, seeded=False),
        Variant("ease", _ease_label(gnn), _closed("ease", gnn), seeded=False),
        Variant("graph_filter", "graph filter (closed form)", _closed("graph_filter", gnn), seeded=False),
        network(JOINT, "joint fusion"),
    ]
    if media:
        found.append(network("no_media", "without media", modalities=()))
    if len(media) > 1:
        found += [network(f"only_{m}", f"{WORDS[m]} only", modalities=(m,)) for m in media]
        found += [network(kind, f"{kind}-level fusion", fusion=kind) for kind in ("feature", "decision")]
    if len(media) > 2:
        found += [
            network(f"no_{m}", f"without {WORDS[m]}", modalities=tuple(n for n in media if n != m)) for m in media
        ]
    used: Sequence[str] = base.relations
    for relation, words in RELATIONS.items():
        if has_relation(data, relation):
            without = tuple(r for r in used if r != relation)
            if relation in used:
                found.append(network(f"no_{relation.lower()}", f"without {words}", relations=without))
            else:
                found.append(network(f"with_{relation.lower()}", f"with {words}", relations=(*used, relation)))
    written = tuple(kind for kind in KINDS if has_generated(data, kind))
    for kinds in (*((kind,) for kind in written), *((written,) if len(written) > 1 else ())):
        left = without_generated(data, kinds)
        kept = tuple(m for m in base.modalities if has_modality(left, m))
        label = "without " + " and ".join(GENERATED[kind] for kind in kinds)
        name = "no_generated" if len(kinds) > 1 else f"no_generated_{kinds[0]}"
        found.append(replace(network(name, label, modalities=kept), without=kinds))
    found += [network(f"no_{name}", f"without {name}", **{name: 0.0}) for name in AUGMENTATIONS if getattr(base, name)]
    found += _two_stages(base, data)
    for name, changes in own.items():
        if any(variant.name == name for variant in found):
            raise ConfigError(f"study.own.{name}: the study has a variant of that name; choose another")
        try:
            found.append(network(name, name, **changes))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise ConfigError(f"study.own.{name}: {where} {sentence(error).removeprefix('value ')}") from error
    return found


def _two_stages(base: NetworkConfig, data: HeteroData) -> list[Variant]:
    """The joint network with a second stage over it, whole and without each kind of evidence."""
    if interactions(data).getnnz(axis=1).max(initial=0) < 2:  # one is kept, so none can be held back
        return []
    settings = base.model_dump(mode="json", exclude_defaults=True)

    def variant(name: str, label: str, left_out: Sequence[str]) -> Variant:
        ranked: dict[str, JsonValue] = {"retriever": "hetero", "leave_out": [*left_out]}
        return Variant(name, label, {"model": "ranked", "ranked": ranked, **settings})

    kinds = {kind: groups for kind, groups in evidence_kinds(data).items()}
    return [
        variant(TWO_STAGES, "joint fusion and a second stage", ()),
        *(variant(f"{TWO_STAGES}_no_{k}", f"second stage without {EVIDENCE.get(k, k)}", g) for k, g in kinds.items()),
    ]


def chosen(found: Sequence[Variant], names: Sequence[str] | None) -> list[Variant]:
    """The named variants, in the study's order. Raises `ConfigError` for a name that is none of them."""
    if names is None:
        return list(found)
    known = [variant.name for variant in found]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"variant {unknown[0]!r} is none of this study's: {', '.join(known)}")
    return [variant for variant in found if variant.name in names]


def questions(found: Sequence[Variant], media: Sequence[str], own: Collection[str] = ()) -> list[Question]:
    """What these variants answer; a question that lacks one of its two variants is left out."""
    names = {variant.name for variant in found}
    asked = []
    for m in media:
        alone = f"only_{m}" if len(media) > 1 else JOINT
        asked.append(Question(f"{m}_alone", "alone", WORDS[m], alone, "no_media"))
    for m in media if len(media) > 1 else ():
        others = f"no_{m}" if len(media) > 2 else f"only_{next(n for n in media if n != m)}"
        asked.append(Question(f"{m}_added", "added", WORDS[m], JOINT, others))
    if len(media) > 1:
        asked.append(Question("media", "media", "all modalities together", JOINT, "no_media"))
    for relation, words in RELATIONS.items():
        name = relation.lower()
        asked += [
            Question(name, "relation", f"the {words} ({relation})", JOINT, f"no_{name}"),
            Question(name, "relation", f"the {words} ({relation})", f"with_{name}", JOINT),
        ]
    written = {f"generated_{kind}": f"the {words}" for kind, words in GENERATED.items()}
    written["generated"] = "the texts and facts that a language model wrote"
    asked += [Question(name, "relation", words, JOINT, f"no_{name}") for name, words in written.items()]
    asked += [Question(f"over_{n}", "fusion", f"{n}-level fusion", JOINT, n) for n in ("feature", "decision")]
    asked += [Question(n, "augmentation", n, JOINT, f"no_{n}") for n in AUGMENTATIONS]
    asked += [Question(name, "augmentation", name, name, JOINT) for name in own]
    asked.append(Question(TWO_STAGES, "stage", "a second stage", TWO_STAGES, JOINT))
    without = [name.removeprefix(f"{TWO_STAGES}_no_") for name in sorted(names) if name.startswith(f"{TWO_STAGES}_no_")]
    asked += [
        Question(f"{TWO_STAGES}_{k}", "evidence", EVIDENCE.get(k, k), TWO_STAGES, f"{TWO_STAGES}_no_{k}")
        for k in without
    ]
    asked += [
        Question("over_graph_filter", "baseline", "the graph filter", JOINT, "graph_filter"),
        Question("over_ease", "baseline", "EASE", JOINT, "ease"),
        Question("over_popularity", "baseline", "popularity", JOINT, "popularity"),
    ]
    return [question for question in asked if {question.with_it, question.without} <= names]


def _closed(name: str, gnn: GNNConfig) -> dict[str, JsonValue]:
    return {"model": name, name: gnn.settings(name).model_dump(mode="json", exclude_defaults=True)}


def _ease_label(gnn: GNNConfig) -> str:
    settings = EASEConfig.model_validate(gnn.settings("ease"))
    return "EASE (closed form, behaviour only)" if settings.media_weights == {} else "EASE (closed form)"

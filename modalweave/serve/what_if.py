"""What a person's list would be with other choices, through the model's fold-in: nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from modalweave.serve.answers import Card, Recommended, RecommendedTo
from modalweave.serve.explorer import Explorer

_SHOWN = 10


@dataclass(frozen=True)
class Place:
    """An item of a list, and how far it has come up; None where it was not in the list before."""

    item: Recommended
    moved: int | None


@dataclass(frozen=True)
class Lists:
    """A list as it is, or as it would be."""

    places: list[Place]
    gone: list[Card]
    """What was in the list before and is no longer."""
    added: list[Card]
    removed: list[Card]
    history: frozenset[str]
    """The choices that the model goes by."""


def what_if(explorer: Explorer, user: str, add: Sequence[str], remove: Sequence[str]) -> Lists:
    """The best items of a user whom the model knows, with some choices added and others left out."""
    history = explorer.model().history(user)
    if not add and not remove:
        now = _list(explorer.recommend([user], _SHOWN))
        return Lists([Place(item, 0) for item in now], [], [], [], frozenset(history))
    kept = [item for item in dict.fromkeys([*history, *add]) if item not in set(remove)]
    # both by the history alone, so that what differs is what was changed
    now, would = (_folded_in(explorer, items) for items in (history, kept))
    places = {item.id: item.rank for item in now}
    cards = explorer.cards([*add, *remove])
    return Lists(
        [Place(item, places[item.id] - item.rank if item.id in places else None) for item in would],
        [item for item in now if item.id not in {other.id for other in would}],
        [cards.get(item, Card(id=item)) for item in add],
        [cards.get(item, Card(id=item)) for item in remove],
        frozenset(history),
    )


def _folded_in(explorer: Explorer, history: Sequence[str]) -> list[Recommended]:
    if not history:
        return []
    return _list(explorer.recommend(None, _SHOWN, histories=[(_SOMEBODY, item) for item in history]))


def _list(lists: Sequence[RecommendedTo]) -> list[Recommended]:
    return lists[0].items if lists else []


_SOMEBODY = "\N{BUST IN SILHOUETTE}"
"""No user's id: the same history, of one whom the model has not met."""

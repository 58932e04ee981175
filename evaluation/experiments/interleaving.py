"""Team-draft interleaving: two rankers in one list, clicks say whose items are liked (Radlinski et al. 2008).

It compares rankers within each user, so it takes far fewer users than an A/B test to say which is better, and does not
say by how much in the metric that counts (Chapelle et al. 2012).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.stats

from evaluation.errors import EvaluationError
from evaluation.hashing import points

Team = Literal["a", "b"]


def team_draft(a: Sequence[str], b: Sequence[str], k: int, *, key: str) -> tuple[list[str], list[Team]]:
    """The first `k` of two lists drafted in turns, and which ranker gave each item.

    In each round a coin says who picks first; each picks its best item that is not there yet. `key` (user and day,
    say) throws the coins: the same key gives the same list, on any machine.
    """
    coins = points([f"{key}\0{round_}" for round_ in range(k)], "team draft")
    items: list[str] = []
    teams: list[Team] = []
    rest: dict[Team, Any] = {"a": iter(a), "b": iter(b)}
    for coin in coins:
        order: tuple[Team, Team] = ("a", "b") if coin < 0.5 else ("b", "a")
        for team in order:
            pick = next((item for item in rest[team] if item not in items), None)
            if pick is not None and len(items) < k:
                items.append(pick)
                teams.append(team)
    return items, teams


@dataclass(frozen=True)
class Preference:
    """Which ranker users click more."""

    users: int
    a: int
    """Users with more clicks on its items."""
    b: int
    ties: int
    """Users with as many on both, and those without a click."""
    share_a: float | None
    """Of users who prefer one; None where nobody does."""
    ci95: tuple[float, float] | None
    """Wilson's, of that share."""
    p: float | None
    """Exact binomial (sign) test over users who prefer one."""
    credit: float
    """(wins + ties / 2) / users - 1/2: above 0 for a (Chapelle et al. 2012, delta_AB)."""


def preference(user_ids: Sequence[str], teams: Sequence[str]) -> Preference:
    """Test who wins, a user one vote however often they click.

    Args:
        user_ids: of each click; a user with several lists has the clicks of all.
        teams: `a` or `b`, whose item was clicked; anything else (a list without a click) is a user without a vote.
    """
    if len(user_ids) != len(teams) or not len(teams):
        raise EvaluationError(f"{len(user_ids)} users and {len(teams)} teams; pass one of each a click, at least one")
    _, places = np.unique(np.asarray(user_ids), return_inverse=True)
    votes = np.select([np.asarray(teams) == "a", np.asarray(teams) == "b"], [1, -1], 0)
    balance = np.bincount(places, weights=votes)
    a, b, users = int((balance > 0).sum()), int((balance < 0).sum()), len(balance)
    credit = (a + (users - a - b) / 2) / users - 0.5
    if not a + b:
        return Preference(users, 0, 0, users, None, None, None, credit)
    test = scipy.stats.binomtest(a, a + b)
    interval = test.proportion_ci(0.95, method="wilson")
    around = (float(interval.low), float(interval.high))
    return Preference(users, a, b, users - a - b, a / (a + b), around, float(test.pvalue), credit)

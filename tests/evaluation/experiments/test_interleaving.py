"""Interleaving: fair drafts, and the better ranker wins."""

import numpy as np
import pytest
import scipy.stats

from evaluation.errors import EvaluationError
from evaluation.experiments.interleaving import preference, team_draft

A, B = ["x", "y", "z", "p"], ["y", "q", "x", "r"]


def test_a_draft_takes_turns_and_repeats_nothing() -> None:
    for key in map(str, range(50)):
        items, teams = team_draft(A, B, 6, key=key)
        assert len(set(items)) == 6 and set(items) == {*A, *B}
        assert all({*teams[at : at + 2]} == {"a", "b"} for at in (0, 2, 4))
        assert team_draft(A, B, 6, key=key) == (items, teams)
    firsts = [team_draft(A, B, 2, key=str(n))[1][0] for n in range(2000)]
    assert firsts.count("a") / 2000 == pytest.approx(0.5, abs=0.04)


def test_a_list_that_ends_leaves_the_rest_to_the_other() -> None:
    items, teams = team_draft(["x"], ["x", "y", "z"], 5, key="u")
    assert sorted(items) == ["x", "y", "z"] and len(teams) == 3


def test_like_rankers_tie_and_the_better_one_wins() -> None:
    rng = np.random.default_rng(0)
    wins = []
    for good in (0.2, 0.35):
        clicks = [
            (f"u{n}", team)
            for n in range(800)
            for team in team_draft([f"a{i}" for i in range(5)], [f"b{i}" for i in range(5)], 6, key=str(n))[1]
            if rng.random() < (good if team == "a" else 0.2)
        ]
        wins.append(preference(*zip(*clicks, strict=True)))
    assert wins[0].p is not None and wins[0].p > 0.05 and abs(wins[0].credit) < 0.05
    assert wins[1].p is not None and wins[1].p < 1e-4 and wins[1].credit > 0.1
    expected = scipy.stats.binomtest(wins[1].a, wins[1].a + wins[1].b)
    assert wins[1].p == expected.pvalue


def test_a_user_has_one_vote() -> None:
    got = preference(["u1", "u1", "u1", "u2", "u3", "u4"], ["a", "a", "b", "b", "a", ""])
    assert (got.users, got.a, got.b, got.ties, got.credit) == (4, 2, 1, 1, 0.125)
    assert preference(["u1"], [""]).p is None
    with pytest.raises(EvaluationError, match="1 users and 0 teams"):
        preference(["u"], [])

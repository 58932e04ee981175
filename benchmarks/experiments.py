"""Do the experiment's statistics hold? People with a known taste, looked at many times over.

    python -m benchmarks.experiments [--runs 2000] [--people 1000] [--days 14]

The people and items of the sample catalogue (`modalweave.sample.world`); two rankers: one knows what an item's text
tells, the other all that its picture, sound and text tell. A visit shows ten items; a person looks at a place less
often the lower it is, and clicks by how much they like what they see. Everything goes through what `ab assign` and
`ab analyse` do. Prints one JSON object: what was asked, how often it was found, and its 95 % interval (Wilson).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest

from evaluation.experiments.analysis import ExperimentAnalysis, analyse_experiment
from evaluation.experiments.arms import Arm, compare_arms
from evaluation.experiments.assignment import assign_users
from evaluation.experiments.design import ExperimentDesign
from evaluation.experiments.event_units import Units, units
from evaluation.experiments.interleaving import preference, team_draft
from evaluation.experiments.off_policy import off_policy
from evaluation.experiments.simulated_plan import users_needed
from modalweave.sample.world import draw_world

LIST, VISITS, DAY = 10, 5, 86_400_000_000
START = int(datetime(2026, 3, 2).timestamp()) * 1_000_000
LOOKS = 1 / (1 + 0.35 * np.arange(LIST))
"""How likely a person looks at a place of a list."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 2000), ("people", 1000), ("days", 14)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    people = People.drawn(asked.people)
    some = max(20, asked.runs // 4)
    found = {
        **false_alarms(people, asked.runs, asked.days),
        **power(people, some, asked.days),
        **mismatch(people, some, asked.days),
        **interleaved(people, some),
        **logged(people, some),
    }
    print(json.dumps({**vars(asked), "found": found}, indent=1))


@dataclass(frozen=True)
class People:
    """What each person would click, by ranker."""

    ids: list[str]
    visits: np.ndarray
    """[people], visits a day."""
    likes: np.ndarray
    """[people, items], the chance of a click on what is looked at."""
    lists: dict[str, np.ndarray]
    """Ranker -> [people, LIST], items best first."""

    @classmethod
    def drawn(cls, people: int, *, items: int = 300, seed: int = 0) -> "People":
        """A world of tastes, and the lists of two rankers over it."""
        rng, world = np.random.default_rng(seed), draw_world(items=items, users=people, seed=seed)
        utility = world.utility(slice(0, people)).astype(np.float64)
        text = 2.4 * world.tastes["topic"][:, world.topic] + 0.5 * world.popularity
        noisy = {"text": text + rng.normal(0, 0.5, text.shape), "multimodal": utility + rng.normal(0, 3.0, text.shape)}
        lists = {name: np.argsort(-score, axis=1, kind="stable")[:, :LIST] for name, score in noisy.items()}
        likes = 1 / (1 + np.exp(-0.8 * (utility - 5)))
        visits = np.minimum(rng.lognormal(-1.2, 0.7, people), 5)
        return cls([f"p{n}" for n in range(people)], visits, likes, lists)

    def clicks(self, ranker: str) -> np.ndarray:
        """The chance of a click at each place of each person's list, [people, LIST]."""
        return LOOKS * np.take_along_axis(self.likes, self.lists[ranker], axis=1)


def design_of(run: int, *, metrics: Sequence[str] = ("clicks", "ctr")) -> ExperimentDesign:
    """An experiment of its own: another name splits people anew."""
    known = {"clicks": {"event": "click"}, "ctr": {"kind": "ratio", "event": "click", "per": "visit"}}
    return ExperimentDesign.model_validate(
        {
            "name": f"run {run}",
            "variants": {"text": 1, "multimodal": 1},
            "control": "text",
            "planned_users": 1000,
            "metrics": {name: known[name] for name in metrics},
        }
    )


def watched(
    people: People, shown: dict[str, str], design: ExperimentDesign, days: int, *, seed: int, lost: float = 0.0
) -> Units:
    """One experiment's events as they are read; `shown` says which ranker a variant gets, `lost` how many exposures
    of the variant that is tested are not logged."""
    rng = np.random.default_rng([seed, 7])
    variant = np.array([one.variant for one in assign_users(people.ids, design)])
    chance = np.where((variant == "text")[:, None], people.clicks(shown["text"]), people.clicks(shown["multimodal"]))
    visits = rng.poisson(people.visits[:, None], (len(people.ids), days))
    person, day = np.nonzero(visits)
    many = np.repeat(np.arange(len(person)), visits[person, day])
    person, day = person[many], day[many]
    clicked = (rng.random((len(person), LIST)) < chance[person]).sum(1)
    when = START + day * DAY + rng.integers(0, DAY, len(person))
    logged = (variant[person] == "text") | (np.random.default_rng(seed).random(len(people.ids))[person] >= lost)
    names = np.array(people.ids)
    parts = [
        (names[person[logged]], variant[person[logged]], when[logged], "exposure"),
        (names[person], variant[person], when + 1, "visit"),
        (names[np.repeat(person, clicked)], variant[np.repeat(person, clicked)], np.repeat(when, clicked) + 2, "click"),
    ]
    rows = pl.concat(
        pl.DataFrame({"user_id": user, "variant": arm, "timestamp": at}).with_columns(event=pl.lit(event))
        for user, arm, at, event in parts
    )
    return units(rows.lazy(), design)


def false_alarms(people: People, runs: int, days: int) -> dict[str, Any]:
    """The same ranker in both variants: how often something is found where nothing is."""
    alike = {"text": "multimodal", "multimodal": "multimodal"}
    once: dict[str, list[bool]] = {"clicks": [], "ctr": []}
    claimed, peeked, always, flagged = [], [], [], []
    for run in range(runs):
        design = design_of(run)
        found = watched(people, alike, design, days, seed=run)
        analysis = analyse_experiment(found, design)
        for name, seen in once.items():
            seen.append(p_of(analysis, name) < 0.05)
        claimed.append(any(m.tests["multimodal"].verdict != "unclear" for m in analysis.metrics.values()))
        flagged.append(bool(analysis.split["mismatch"]))
        single = design_of(run, metrics=["clicks"])
        looks = analyse_experiment(found, single).metrics["clicks"].looks["multimodal"]
        always.append(any(look.low > 0 or look.high < 0 for look in looks))
        peeked.append(min(daily(found, single, days)) < 0.05)
    return {
        "A/A, clicks: p < .05": rate(once["clicks"], 0.05),
        "A/A, clicks a visit (ratio): p < .05": rate(once["ctr"], 0.05),
        "A/A, any claim over both metrics": rate(claimed, 0.05),
        "A/A, p < .05 on any day, as if each were the last": rate(peeked, None),
        "A/A, the always-valid interval leaves 0 on any day": rate(always, 0.05),
        "A/A, a sample-ratio mismatch is told": rate(flagged, 0.0005),
    }


def daily(found: Units, design: ExperimentDesign, days: int) -> list[float]:
    """The p-values of somebody who tests every evening what has come so far."""
    metric, tested = design.metrics["clicks"], []
    so_far = np.zeros(len(found.variant))
    for day in range(min(days, found.days)):
        so_far = so_far + found.outcome(metric, (day, day + 1))[0]
        arms = [found.arm(name, (so_far, np.ones_like(so_far)), found.exposed <= day) for name in found.names]
        if min(len(arm.above) for arm in arms) >= 50:
            tested.append(compare_arms(arms[0], arms[1]).p or 1.0)
    return tested or [1.0]


def power(people: People, runs: int, days: int) -> dict[str, Any]:
    """An effect that is there, with as many people as the formula asks for: how often is it found, and told right?"""
    design = design_of(0, metrics=["clicks"])
    both = {"text": "text", "multimodal": "multimodal"}
    chance = {name: people.clicks(name).sum(1) for name in both.values()}
    shown = days * people.visits
    truth = float((shown * chance["multimodal"]).sum() / (shown * chance["text"]).sum() - 1)
    past = watched(people, {"text": "text", "multimodal": "text"}, design, days, seed=10**6)
    values = past.outcome(design.metrics["clicks"], (0, past.days))[0]
    needed = users_needed(float(values.mean()), float(values.std(ddof=1)), truth, design)
    rng, found, told = np.random.default_rng(5), [], []
    for run in range(runs):
        chosen = rng.integers(0, len(people.ids), needed)
        crowd = People(
            [f"r{run}-{n}" for n in range(needed)],
            people.visits[chosen],
            people.likes[chosen],
            {name: ranked[chosen] for name, ranked in people.lists.items()},
        )
        test = analyse_experiment(watched(crowd, both, design, days, seed=run), design).metrics["clicks"].tests
        result = test["multimodal"]
        found.append(result.verdict == "better")
        low, high = result.relative_ci95 or (np.nan, np.nan)
        told.append(low <= truth <= high)
    return {
        f"A/B of {needed} people, {truth:+.1%} clicks: found (planned .80)": rate(found, 0.8),
        "its 95 % interval holds the true effect": rate(told, 0.95),
    }


def mismatch(people: People, runs: int, days: int) -> dict[str, Any]:
    """A tenth to a third of one variant's exposures are lost: how often is the split refused?"""
    alike = {"text": "multimodal", "multimodal": "multimodal"}
    result = {}
    for lost in (0.1, 0.2, 0.3):
        told = []
        for run in range(runs):
            design = design_of(run, metrics=["clicks"])
            found = watched(people, alike, design, days, seed=run, lost=lost)
            told.append(bool(analyse_experiment(found, design).split["mismatch"]))
        result[f"{lost:.0%} of one variant's people lost among {len(people.ids)}: told"] = rate(told, None)
    return result


def interleaved(people: People, runs: int) -> dict[str, Any]:
    """How many people say which ranker is better: split over two variants, or each comparing both in one list."""
    rng = np.random.default_rng(11)
    lists = [
        team_draft(
            [str(i) for i in people.lists["multimodal"][n]], [str(i) for i in people.lists["text"][n]], LIST, key=f"{n}"
        )
        for n in range(len(people.ids))
    ]
    mixed = np.array([[int(item) for item in items] for items, _ in lists])
    teams = np.array([team for _, team in lists])
    chance = LOOKS * np.take_along_axis(people.likes, mixed, axis=1)
    alone = {name: people.clicks(name) for name in people.lists}
    needed = {}
    for name in ("A/B", "interleaving"):
        for count in (10, 14, 20, 28, 40, 56, 80, 113, 160, 226, 320, 453, 640, 905, 1280, 1810, 2560):
            found = 0
            for _ in range(runs):
                who = rng.integers(0, len(people.ids), count)
                if name == "interleaving":
                    hits = rng.binomial(VISITS, chance[who])
                    at, place = (np.repeat(index.ravel(), hits.ravel()) for index in np.indices(hits.shape))
                    liked = preference([str(n) for n in at], list(teams[who][at, place])) if len(at) else None
                    found += liked is not None and (liked.p or 1) < 0.05 and liked.a > liked.b
                    continue
                halves = (("multimodal", who[: count // 2]), ("text", who[count // 2 :]))
                arms = [rng.binomial(VISITS, alone[ranker][half]).sum(1).astype(float) for ranker, half in halves]
                test = compare_arms(*(Arm(arm, np.ones_like(arm)) for arm in arms))
                found += (test.p or 1) < 0.05 and (test.difference or 0) > 0
            if found / runs >= 0.8:
                needed[name] = count
                break
    gain = round(needed["A/B"] / needed["interleaving"], 1) if len(needed) == 2 else None
    return {f"people with {VISITS} visits each who tell the better ranker in 80 of 100 times": {**needed, "gain": gain}}


def logged(people: People, runs: int) -> dict[str, Any]:
    """What a policy would have earned, from the log of another: the mean estimate beside the truth, and how often the
    interval holds it."""
    rng, rows = np.random.default_rng(3), 5000
    old, new = (softmax(people.likes * 6, weight) for weight in (0.5, 1.0))
    truth = float((new * people.likes).sum(1).mean())
    kinds = ("ips", "snips", "dr")
    estimates: dict[str, list[float]] = {name: [] for name in kinds}
    held: dict[str, list[bool]] = {name: [] for name in kinds}
    guess = people.likes * 0.7 + 0.05  # a model of the reward that is wrong
    edges = old.cumsum(1)
    for _ in range(runs):
        who = rng.integers(0, len(people.ids), rows)
        item = np.minimum((edges[who] < rng.random(rows)[:, None]).sum(1), old.shape[1] - 1)
        earned = (rng.random(rows) < people.likes[who, item]).astype(float)
        found = off_policy(
            earned,
            old[who, item],
            new[who, item],
            modelled=guess[who, item],
            modelled_wanted=(new * guess).sum(1)[who],
        )
        for name in kinds:
            estimate = getattr(found, name)
            estimates[name].append(estimate.value)
            held[name].append(estimate.ci95[0] <= truth <= estimate.ci95[1])
    result: dict[str, Any] = {"true reward of the new policy": round(truth, 4)}
    for name in kinds:
        mean, error = float(np.mean(estimates[name])), float(np.std(estimates[name]) / np.sqrt(runs))
        result[name] = {
            "mean": round(mean, 4),
            "error of the mean": round(error, 5),
            "interval holds": rate(held[name], 0.95),
        }
    return result


def softmax(scores: np.ndarray, weight: float) -> np.ndarray:
    """[people, items], chances that add up to 1."""
    powers = np.exp(weight * (scores - scores.max(1, keepdims=True)))
    return powers / powers.sum(1, keepdims=True)


def p_of(analysis: ExperimentAnalysis, metric: str) -> float:
    """1 where there was nothing to test by."""
    p = analysis.metrics[metric].tests["multimodal"].p
    return 1.0 if p is None else p


def rate(found: Sequence[bool], expected: float | None) -> dict[str, Any]:
    """A share with Wilson's interval."""
    low, high = binomtest(int(np.sum(found)), len(found)).proportion_ci(0.95, method="wilson")
    told = {"rate": round(float(np.mean(found)), 4), "ci95": [round(low, 4), round(high, 4)], "runs": len(found)}
    return told | ({"expected": expected} if expected is not None else {})


if __name__ == "__main__":
    main()

"""The hidden side of the sample catalogue: what its items are like and what its made-up users care for.

Nothing here is written to the folder except through pictures, words, sounds, makers and interactions; tests
use it as the oracle that a recommender is measured against.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STYLES = ("Spiral", "Striped", "Dotted", "Ringed", "Chequered", "Wavy", "Faceted", "Starry")
"""Hidden visual styles: the pattern a picture shows; each comes in colours of its own."""
TOPICS = ("reading", "cooking", "gardening", "music", "travel", "sport", "sleep", "play")
"""Hidden topics: what an item is for, as its text says."""
SOUNDS = ("bell", "pluck", "drum", "buzz", "chirp", "organ")
"""Hidden sound families: timbre and rhythm of an item's clip."""

_USER_BLOCK = 256
_WEIGHTS = {"style": 2.4, "topic": 2.4, "sound": 1.8, "maker": 0.8, "popularity": 0.5}


@dataclass(frozen=True)
class World:
    """Hidden traits of `items` items and tastes of `users` users."""

    style: NDArray[np.int64]
    """[items], index into `STYLES`."""
    colour: NDArray[np.int64]
    """[items], which of the style's three colours."""
    topic: NDArray[np.int64]
    """[items], index into `TOPICS`."""
    sound: NDArray[np.int64]
    """[items], index into `SOUNDS`."""
    maker: NDArray[np.int64]
    """[items], who made it."""
    popularity: NDArray[np.float32]
    """[items], standard normal: how well known an item is to everybody."""
    cold: NDArray[np.bool_]
    """[items], true where an item appears only in the last weeks."""
    tastes: dict[str, NDArray[np.float32]]
    """`style`, `topic`, `sound`, `maker` -> [users, kinds], 1 where a user likes the kind, else 0."""

    def utility(self, users: slice) -> NDArray[np.float32]:
        """How much each user of the slice would like each item, [block, items]: the oracle's score."""
        total = _WEIGHTS["popularity"] * self.popularity[None, :]
        for trait, codes in (
            ("style", self.style),
            ("topic", self.topic),
            ("sound", self.sound),
            ("maker", self.maker),
        ):
            total = total + _WEIGHTS[trait] * self.tastes[trait][users][:, codes]
        return total.astype(np.float32)


def draw_world(*, items: int, users: int, seed: int) -> World:
    """Draw traits and tastes; the same arguments give the same world."""
    rng = np.random.default_rng([seed, 1])
    makers = max(4, min(items // 12, 400))
    cold = np.zeros(items, dtype=np.bool_)
    cold[rng.choice(items, size=max(1, items // 20), replace=False)] = True
    return World(
        style=rng.integers(len(STYLES), size=items),
        colour=rng.integers(3, size=items),
        topic=rng.integers(len(TOPICS), size=items),
        sound=rng.integers(len(SOUNDS), size=items),
        maker=rng.integers(makers, size=items),
        popularity=rng.standard_normal(items, dtype=np.float32),
        cold=cold,
        tastes={
            "style": _likes(rng, users, len(STYLES), 2),
            "topic": _likes(rng, users, len(TOPICS), 2),
            "sound": _likes(rng, users, len(SOUNDS), 2),
            "maker": _likes(rng, users, makers, 3),
        },
    )


def draw_interactions(world: World, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Who used what and when: user, item and moment in [0, 1], sorted by user and moment.

    Each user takes a set of distinct items with probability proportional to exp(utility), drawn by adding
    Gumbel noise and keeping the largest (Gumbel-top-k, Kool et al. 2019). Cold items are found by a few of
    the users who like them, and only in the last 6 % of the time.
    """
    rng = np.random.default_rng([seed, 2])
    columns = [_warm_draws(world, block, rng) for block in _blocks(world)]
    cold = np.flatnonzero(world.cold)
    finders = _cold_finders(world, cold, rng)
    user = np.concatenate([c[0] for c in columns] + [finders.ravel()])
    item = np.concatenate([c[1] for c in columns] + [np.repeat(cold, finders.shape[1])])
    moment = rng.random(len(user))
    late = world.cold[item]
    moment[late] = 0.94 + 0.06 * moment[late]
    order = np.lexsort((item, moment, user))
    return user[order], item[order], moment[order]


def draw_friends(world: World, *, per_user: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Directed pairs (user, friend): people with like tastes follow one another more often."""
    rng = np.random.default_rng([seed, 3])
    tastes = np.concatenate([world.tastes[t] for t in ("style", "topic", "sound")], axis=1)
    users = len(tastes)
    per_user = min(per_user, users - 1)
    heads, tails = [], []
    for block in _blocks(world):
        likeness = 1.5 * tastes[block] @ tastes.T + rng.gumbel(size=(block.stop - block.start, users))
        likeness[np.arange(block.stop - block.start), np.arange(block.start, block.stop)] = -np.inf
        heads.append(np.repeat(np.arange(block.start, block.stop), per_user))
        tails.append(_largest(likeness, per_user).ravel())
    return np.concatenate(heads), np.concatenate(tails)


def _likes(rng: np.random.Generator, users: int, kinds: int, liked: int) -> NDArray[np.float32]:
    likes = np.zeros((users, kinds), dtype=np.float32)
    chosen = _largest(rng.random((users, kinds)), min(liked, kinds))
    np.put_along_axis(likes, chosen, 1.0, axis=1)
    return likes


def _blocks(world: World) -> Iterator[slice]:
    users = len(world.tastes["style"])
    for start in range(0, users, _USER_BLOCK):
        yield slice(start, min(start + _USER_BLOCK, users))


def _warm_draws(world: World, block: slice, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    users = np.arange(block.start, block.stop)
    score = world.utility(block)
    score += rng.gumbel(size=score.shape).astype(np.float32)
    score[:, world.cold] = -np.inf
    warm = int((~world.cold).sum())
    counts = np.minimum(8 + rng.geometric(1 / 13, size=len(users)), max(1, warm // 3))
    deepest = int(counts.max())
    ranked = _largest(score, deepest)
    ranked = np.take_along_axis(ranked, np.argsort(-np.take_along_axis(score, ranked, 1), axis=1, kind="stable"), 1)
    kept = np.arange(deepest)[None, :] < counts[:, None]
    return np.repeat(users, counts), ranked[kept]


def _cold_finders(world: World, cold: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    each = min(6, len(world.tastes["style"]))
    score = np.concatenate([world.utility(block)[:, cold] for block in _blocks(world)]).T
    return _largest(score + rng.gumbel(size=score.shape), each)


def _largest(values: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Columns of the k largest values of each row, in no particular order."""
    if k >= values.shape[1]:
        return np.tile(np.arange(values.shape[1]), (len(values), 1))
    return np.argpartition(-values, k - 1, axis=1)[:, :k]

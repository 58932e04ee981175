"""Learning rate over the epochs: its factor by the share of them that is done, 1 at the start."""

import math


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(done: float) -> float:
    """Half a cosine down to a tenth."""
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def linear(done: float) -> float:
    """A straight line down to a tenth."""
    return 1 - 0.9 * done

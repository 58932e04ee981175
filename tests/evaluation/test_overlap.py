"""How alike two lists are: by hand, and against the definition by sets."""

import numpy as np
import pytest

from evaluation.errors import EvaluationError
from evaluation.overlap import jaccard, rbo


def test_by_hand() -> None:
    left = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, -1, -1]])
    right = np.array([[3, 2, 1], [1, 2, 3], [4, 5, 6], [1, 2, -1]])
    assert jaccard(left, right).tolist() == [1.0, 1.0, 0.0, 0.5]
    # depths 1 to 3 of the first row agree by 0, 1/2 and 1: .1 / .9 (.5 * .81 + .729) + .729
    assert rbo(left, right)[:3] == pytest.approx([0.855, 1.0, 0.0])


def test_rbo_is_its_definition_by_sets() -> None:
    rng = np.random.default_rng(1)
    left, right = (np.stack([rng.permutation(30)[:12] for _ in range(40)]) for _ in range(2))
    for p in (0.5, 0.9):
        want = []
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            agreement = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, 13)]
            infinite = sum(agreement[min(d, 12) - 1] * p ** (d - 1) for d in range(1, 2000))  # 12 places go on as seen
            want.append((1 - p) * infinite)
        assert rbo(left, right, p=p) == pytest.approx(want)


def test_what_cannot_be_held_together_is_told() -> None:
    lists = np.array([[1, 2]])
    with pytest.raises(EvaluationError, match="p = 1 is not between"):
        rbo(lists, lists, p=1)
    with pytest.raises(EvaluationError, match="rank the same users"):
        jaccard(lists, lists[:, :1])

"""Rows of length 1."""

import numpy as np
import pytest

from common.vectors import unit_rows


@pytest.mark.parametrize("lengths_in", [np.float32, np.float64])
def test_rows_have_length_one_and_zeros_stay(lengths_in: type) -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0], [1e-20, 0]], dtype=np.float64)[:, ::-1], lengths_in)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert rows[:2] == pytest.approx(np.array([[0.8, 0.6], [0, 0]]))
    if lengths_in is np.float64:  # in float32 the square of so small a number is 0
        assert rows[2].tolist() == [0.0, 1.0]

"""When a difference is claimed."""

from typing import Literal

Verdict = Literal["better", "worse", "unclear"]

ALPHA = 0.05
"""Corrected p-values from which on nothing is claimed."""

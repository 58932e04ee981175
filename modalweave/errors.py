"""What the command line turns into one line and exit code 1."""

from encoders.errors import EncoderError
from etl.errors import EtlError
from evaluation.errors import EvaluationError
from gnn.errors import GnnError
from graph.errors import GraphError
from scoring.errors import ScoringError


class ConfigError(ValueError):
    """A config file, key or override that cannot be used."""


class RunError(ValueError):
    """A stage whose input is not there yet, or does not belong to this run."""


EXPECTED: tuple[type[Exception], ...] = (
    ConfigError,
    RunError,
    EncoderError,
    EtlError,
    EvaluationError,
    GnnError,
    GraphError,
    ScoringError,
    OSError,
)
"""Failures with a message for the user; anything else is a bug and keeps its traceback."""

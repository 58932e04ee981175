"""What the scoring room raises."""


class ScoringError(Exception):
    """A batch job that cannot run; the message is one line: the thing, its value, the way out."""


class Stopped(Exception):
    """A job that ended between two parts because it was asked to; the same call goes on."""

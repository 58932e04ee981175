"""What the evaluation room raises."""


class EvaluationError(Exception):
    """Input that cannot be measured; the message is one line that names the thing and the way out."""

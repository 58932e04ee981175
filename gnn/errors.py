"""What can go wrong in this room; each message is one line that names the thing, its value and the way out."""


class GnnError(Exception):
    """A recommender cannot be configured, trained or used as asked."""


class BundleError(GnnError):
    """A bundle is incomplete, altered or not one of ours."""


class NothingToLearn(GnnError):
    """No list of a second stage holds anything that a user chose."""

"""What goes wrong between a source and the graph: one line each that names the thing and the way out."""


class EtlError(Exception):
    """Base of this room's errors."""


class SourceError(EtlError):
    """The source lacks something or holds something that cannot be used."""


class SplitError(EtlError):
    """The wanted split cannot be made from these interactions."""

"""Recommendations from a cross-modal knowledge graph of users, items, pictures, sounds and words.

>>> import modalweave as mw                              # doctest: +SKIP
>>> run = mw.open("shop.yaml", seed=1)                   # doctest: +SKIP
>>> run.build(), run.train()                             # doctest: +SKIP
>>> run.evaluate().metrics["recall@20"].mean             # doctest: +SKIP
>>> run.recommend(["u7"], k=10)                          # doctest: +SKIP

What stands in `__all__` is the public API; everything else is private and may move. Importing it is cheap: what needs
torch is loaded by what needs it.
"""

from typing import TYPE_CHECKING

from common.geometric import defer_unused

if TYPE_CHECKING:
    from modalweave.errors import ConfigError, RunError
    from modalweave.frames import from_frames
    from modalweave.model import Model, load
    from modalweave.results.explanation import Explanation
    from modalweave.results.metric import Metric
    from modalweave.run import Run, open
    from modalweave.workspace import Workspace

    __version__: str

__all__ = [
    "ConfigError",
    "Explanation",
    "Metric",
    "Model",
    "Run",
    "RunError",
    "Workspace",
    "__version__",
    "from_frames",
    "load",
    "open",
]

_HOMES = {
    "ConfigError": "errors",
    "Explanation": "results.explanation",
    "Metric": "results.metric",
    "Model": "model",
    "Run": "run",
    "RunError": "errors",
    "Workspace": "workspace",
    "from_frames": "frames",
    "load": "model",
    "open": "run",
}


defer_unused()


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("modalweave")
        except PackageNotFoundError:  # a checkout on the path that was never installed
            return "0+checkout"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

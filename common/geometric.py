"""torch_geometric without what nobody here asks it for.

Importing any part of it imports all of it: its data sets, with them its language models and transformers, and torch's
compiler; seconds of work for a class that holds tensors. `defer_unused` leaves both until something in them is used.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_PACKAGE, _DATASETS, _COMPILER = "torch_geometric", "torch_geometric.datasets", "torch._dynamo"
_ASKING = "torch_geometric.isinstance"


def defer_unused() -> None:
    """Take effect on the first import of torch_geometric in this process; a second call does nothing."""
    if _PACKAGE not in sys.modules and not any(isinstance(finder, _Package) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Package())


class _Package(MetaPathFinder):
    """Finds torch_geometric, once, with a loader that puts the others off."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _PACKAGE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Light(spec.loader)
        return spec


class _Unused(MetaPathFinder):
    """Finds what is put off: the data sets, and the one module that loads the compiler without using it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in (_DATASETS, _ASKING) else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader) if name == _DATASETS else _WithoutCompiler(spec.loader)
        return spec


class _Wrapped(Loader):
    """A loader that does more than the one it stands for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)


class _Light(_Wrapped):
    """Runs the package while the unused is put off."""

    def exec_module(self, module: ModuleType) -> None:
        unused = _Unused()
        sys.meta_path.insert(0, unused)
        try:
            super().exec_module(module)
        finally:
            sys.meta_path.remove(unused)


class _WithoutCompiler(_Wrapped):
    """Runs a module whose functions name the compiler: torch loads it when one of them is called.

    The stand-in is there for that module's few lines alone, so that nobody else can meet it.
    """

    def exec_module(self, module: ModuleType) -> None:
        stands_in = sys.modules.setdefault(_COMPILER, ModuleType(_COMPILER))
        loaded = stands_in.__spec__ is not None
        try:
            super().exec_module(module)
        finally:
            if not loaded:
                del sys.modules[_COMPILER]

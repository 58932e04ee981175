"""Components by name: built in, brought by an installed package (entry points), or registered by a program.

LOSSES = Registry("loss", {"bpr": "gnn.network.losses:PairwiseRanking"})
LOSSES["bpr"]                       # imported here, not before
LOSSES.register("mine", MyLoss)     # from outside the package
loss: Annotated[str, AfterValidator(LOSSES.checked)] = "bpr"    # a typo is told while the config is read
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from common.text import suggestion

Component = TypeVar("Component")


class UnknownName(ValueError, KeyError):
    """A name that no component has; one line that names the nearest known one."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, Component], Generic[Component]):
    """Name -> component. Nothing is imported before it is asked for, so that reading a config loads no network."""

    def __init__(self, kind: str, builtin: Mapping[str, str], *, group: str | None = None) -> None:
        """`kind` is what messages call a component; `builtin` maps names to `module:attribute` (or a module).

        `group` names the entry points that installed packages may add components by.
        """
        self.kind, self.group = kind, group
        self._builtin = dict(builtin)
        self._registered: dict[str, Component] = {}

    def register(self, name: str, component: Component) -> Component:
        """Add a component for this process. Raises `ValueError` for a name that is taken by another."""
        if name in self and self[name] is not component:
            raise ValueError(f"{self.kind} {name!r} is there already; choose another name")
        self._registered[name] = component
        return component

    def unregister(self, name: str) -> None:
        """Forget a component that `register` added."""
        del self._registered[name]

    def checked(self, name: str, also: Iterable[str] = ()) -> str:
        """The name, where there is a component of it or it stands in `also`. Raises `UnknownName`."""
        if name not in self and name not in also:
            raise UnknownName(f"{self.kind} {name!r} is unknown; {suggestion(name, (*self, *also))}")
        return name

    def __getitem__(self, name: str) -> Component:
        """The component, imported now. Raises `UnknownName`."""
        self.checked(name)
        if name in self._registered:
            return self._registered[name]
        if name in self._builtin:
            return _load(self._builtin[name])
        found: Component = self._installed()[name].load()
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._builtin or name in self._installed()

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self._builtin, *self._registered, *self._installed()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _installed(self) -> dict[str, EntryPoint]:
        """Looked up anew each time: an entry point is rarely asked for, and a test may install one."""
        if self.group is None:
            return {}
        return {point.name: point for point in entry_points(group=self.group)}


def _load(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found

"""Progress and messages on stderr; stdout belongs to results."""

import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from common.progress import Progress
from common.text import one_line, printable

out = Console(emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def warn(sentences: Iterable[str]) -> None:
    """One line each on stderr: the result stands, but may not be what was meant."""
    for sentence in sentences:
        print(f"modalweave: warning: {printable(one_line(sentence, None))}", file=sys.stderr)


def _draws_in_notebooks() -> bool:
    """Whether this is a notebook with the widgets that a moving bar needs."""
    return err.is_jupyter and find_spec("ipywidgets") is not None


@contextmanager
def without_library_warnings() -> Iterator[None]:
    """Keep back what libraries say to their own developers, or of a notebook's missing widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


class Stages:
    """Names the stages of a run, shows a bar for each and keeps its seconds."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._quiet = quiet

    @contextmanager
    def stage(self, name: str, label: str) -> Iterator[Progress]:
        """Run one stage under a progress bar; its seconds are added to `seconds[name]`."""
        started = time.perf_counter()
        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        shown = not self._quiet and (sys.stderr.isatty() or _draws_in_notebooks())
        with ProgressBar(*columns, console=err, disable=not shown) as bars:
            task = bars.add_task(label, total=None)

            def report(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            yield report
            bars.update(task, total=bars.tasks[0].total or 1, completed=bars.tasks[0].total or 1)
        elapsed = time.perf_counter() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + elapsed, 3)
        if not self._quiet and not shown:
            err.print(f"{label:<34} {elapsed:7.1f} s")

    def note(self, text: str) -> None:
        """One line between the stages."""
        if not self._quiet:
            err.print(printable(text), markup=False, soft_wrap=True)

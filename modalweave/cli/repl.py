"""The console of `modalweave explore`: queries, the cookbook and pictures, over one open read-only store."""

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.text import one_line, printable
from graph.cookbook.recipes import COOKBOOK
from graph.cookbook.similarity_search import SEARCHES
from graph.store import GraphStore, Vocabulary
from graph.vocabulary import vocabulary
from modalweave.cli import tables
from modalweave.errors import EXPECTED, RunError
from modalweave.explore import formats
from modalweave.explore.queries import Question, answer, parameter, picture, titles
from modalweave.progress import err, out, warn

PROMPT, MORE = "modalweave> ", "       ...> "

_HELP = """A query runs at the `;` that ends it (or at an empty line). It only reads.

:list              the cookbook
:run NAME k=v ...  a query of the cookbook, or a similarity search
:param k=v         set $k for the queries that follow; k:=JSON for a number or a list
:params            show the parameters; `:clear` forgets them
:limit N           at most N rows
:schema            labels, relationship types and properties
:save FILE         the last result as .json, .csv or .parquet
:plot FILE         the last result as .png or .html
:quit              leave (also Ctrl-D)
"""
COMMANDS = ("clear", "help", "limit", "list", "param", "params", "plot", "quit", "run", "save", "schema")
_KEYWORDS = (
    *("MATCH", "OPTIONAL MATCH", "WHERE", "RETURN", "WITH", "UNWIND", "ORDER BY", "LIMIT", "SKIP", "DISTINCT"),
    *("UNION", "AND", "OR", "NOT", "EXISTS", "COUNT", "CASE", "WHEN", "THEN", "ELSE", "END"),
)


_MISTAKES: tuple[type[Exception], ...] = (*EXPECTED, ValueError)


class Console:
    """What was typed, line by line; `failed` counts what went wrong."""

    def __init__(self, store: GraphStore, config: Path | None, *, limit: int, timeout: float) -> None:
        self.store, self.config, self.limit, self.timeout = store, config, limit, timeout
        self.words: Vocabulary = vocabulary(store)
        self.parameters: dict[str, Any] = {}
        self.failed = 0
        self._last: tuple[pa.Table, Question] | None = None
        self._pending: list[str] = []
        self._commands: dict[str, Callable[[str], None]] = {
            ":help": lambda _: out.print(_HELP, markup=False, highlight=False),
            ":list": lambda _: tables.recipes({**COOKBOOK, **SEARCHES}, as_json=False),
            ":run": self._run_recipe,
            ":param": self._set,
            ":params": lambda _: tables.pairs(self.parameters),
            ":clear": lambda _: self.parameters.clear(),
            ":limit": self._set_limit,
            ":schema": lambda _: tables.pairs({k: ", ".join(v) for k, v in vars(self.words).items()}),
            ":save": self._save,
            ":plot": self._plot,
        }

    @property
    def prompt(self) -> str:
        """What stands before the next line."""
        return MORE if self._pending else PROMPT

    def feed(self, lines: Iterable[str]) -> None:
        """Run every line; a mistake is one line on stderr, and the next line is read."""
        for line in lines:
            if line.strip() == ":quit":
                break
            self._guarded(self._take, line.rstrip("\r\n"))
        self._guarded(self._take, "")

    def complete(self, before: str, word: str) -> list[str]:
        """What `word`, the last of a line, may become; `before` is the line up to it."""
        start = before.lstrip()
        if start.startswith(":run"):
            known: Iterable[str] = (*COOKBOOK, *SEARCHES) if len(start.split()) == 1 else self._parameters_of(start)
        elif start == ":" and not self._pending:
            known = COMMANDS
        elif before.endswith(":"):
            known = self.words.types if before.rfind("[") > before.rfind("(") else self.words.labels
        elif before.endswith("."):
            known = self.words.properties
        else:
            known = (*_KEYWORDS, *(f"${name}" for name in self.parameters))
        return [name for name in known if name.lower().startswith(word.lower())]

    def _take(self, line: str) -> None:
        if not self._pending and line.lstrip().startswith(":"):
            name, _, rest = line.strip().partition(" ")
            if name not in self._commands:
                raise RunError(f"{name!r} is no command; :help lists them")
            self._commands[name](rest.strip())
            return
        if line.strip():
            self._pending.append(line)
        if self._pending and (not line.strip() or line.rstrip().endswith(";")):
            query, self._pending = "\n".join(self._pending), []
            self._ask(Question(query, None, self.parameters, self.config))

    def _ask(self, question: Question) -> None:
        table, cut = answer(self.store, question, limit=self.limit, timeout=self.timeout)
        warn(self.store.notes)
        self.store.notes.clear()
        self._last = table, question
        tables.rows(formats.as_object(table), titles(self.store, table), cut=cut)

    def _run_recipe(self, text: str) -> None:
        name, *pairs = _words(text) or [""]
        self._ask(Question(None, name, dict(map(parameter, pairs)), self.config))

    def _set(self, text: str) -> None:
        self.parameters |= [parameter(text)]

    def _set_limit(self, text: str) -> None:
        if not text.isdecimal() or not int(text):
            raise RunError(f":limit {text!r}: give a whole number of rows, 1 or more")
        self.limit = int(text)

    def _save(self, text: str) -> None:
        path = _file(text, ":save")
        kind = formats.chosen(None, path)
        assert kind != "table"
        formats.write(self._result()[0], kind, path)

    def _plot(self, text: str) -> None:
        table, question = self._result()
        tables.pairs(picture(table, question, _file(text, ":plot")))

    def _result(self) -> tuple[pa.Table, Question]:
        if self._last is None:
            raise RunError("there is no result yet; run a query first")
        return self._last

    def _parameters_of(self, start: str) -> list[str]:
        name = start.split()[1]
        found = COOKBOOK.get(name) or SEARCHES.get(name)
        return [f"{key}=" for key in found.parameters] if found else []

    def _guarded(self, work: Callable[[str], None], line: str) -> None:
        try:
            work(line)
        except _MISTAKES as error:
            self.failed += 1
            err.print(printable(one_line(error, None)), markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            self._pending = []
            err.print("interrupted")


def typed(console: Console, history: Path | None) -> Iterator[str]:
    """Lines from the terminal, with completion by Tab and a history that is kept in `history`."""
    readline = _readline(console)
    if readline is not None and history is not None:
        with suppress(OSError):
            readline.read_history_file(history)
    try:
        while True:
            try:
                yield input(console.prompt)
            except EOFError:
                return
            except KeyboardInterrupt:
                print()
    finally:
        if readline is not None and history is not None:
            readline.set_history_length(1000)
            with suppress(OSError):
                history.touch(mode=0o600)
                readline.write_history_file(history)


def _readline(console: Console) -> Any:
    """The standard library's line editor, where this Python has one."""
    try:
        import readline
    except ImportError:
        return None

    def completer(word: str, state: int) -> str | None:
        found = console.complete(readline.get_line_buffer()[: readline.get_begidx()], word)
        return found[state] if state < len(found) else None

    readline.set_completer(completer)
    readline.set_completer_delims(" \t\n()[]{},.:;<>=|")
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    return readline


def _words(text: str) -> list[str]:
    """As a shell reads them: quotes keep blanks together."""
    return shlex.split(text)


def _file(text: str, command: str) -> Path:
    names = _words(text)
    if len(names) != 1:
        raise RunError(f"{command} takes one file name")
    return Path(names[0])


def piped() -> bool:
    """Whether nobody types: then there is no prompt, and a mistake makes the exit code 1."""
    return not sys.stdin.isatty()

"""Names of a catalogue on a terminal: neither markup nor escape sequences."""

from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from common.text import printable


class Grid(Table):
    """A table whose texts are what they say: no title of a catalogue is markup or an escape sequence in it.

    Colours are given as `rich.text.Text`.
    """

    def __init__(self, title: str | None = None, *columns: str) -> None:
        super().__init__(title=None if title is None else _text(title, "table.title"), title_justify="left")
        for column in columns:
            self.add_column(column, overflow="fold")

    def add_column(self, header: Any = "", *args: Any, **options: Any) -> None:
        """As in rich."""
        super().add_column(_text(header), *args, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """As in rich."""
        super().add_row(*map(_text, cells), **options)


def plain(text: str) -> str:
    """Escaped for rich and the terminal: a title from a catalogue is neither markup nor an escape sequence."""
    return escape(printable(str(text)))


def _text(value: Any, style: str = "") -> Any:
    return Text(printable(value), style) if isinstance(value, str) else value

"""Text that comes from outside, made safe to show: one line of an error, no control characters on a terminal."""

import difflib
import re
from collections.abc import Iterable

_ADDRESS = re.compile(r"<_io\.BytesIO object at 0x[0-9a-f]+>")
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def one_line(error: BaseException | str, most: int | None = 200) -> str:
    """What an error says in at most `most` characters of one line, the same in every run; its type if it is silent."""
    text = " ".join(_ADDRESS.sub("file", str(error)).split())[:most]
    return text if text or isinstance(error, str) else type(error).__name__


def suggestion(name: str, known: Iterable[str], otherwise: str = "use one of") -> str:
    """The way out of a name that is not known: the nearest known one, else all of them after `otherwise`."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{otherwise} {', '.join(known)}"


def printable(text: str) -> str:
    """The text without control characters (tab and line break stay): nothing in it steers a terminal."""
    return text.translate(_CONTROLS)

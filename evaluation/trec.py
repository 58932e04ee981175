"""Run and relevance files in TREC's format, which trec_eval, ranx, ir-measures and their kin read."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from common.files import write_text

_SPLITS = re.compile(r"[\s%]")
"""What would end a field, and what marks it as written otherwise."""


def write_run(path: Path, lists: Iterable[tuple[str, Sequence[str]]], *, tag: str) -> None:
    """One line a recommendation: `user Q0 item rank score tag`, users in the order given.

    The score counts the places from the end of the list, so that readers that sort by it keep our order where scores
    are equal. White space and `%` in an id are percent-encoded, in both files alike.
    """
    mark, lines = _field(tag), []
    for user, items in lists:
        name, depth = _field(user), len(items)
        lines += [f"{name} Q0 {_field(item)} {rank} {depth - rank + 1} {mark}" for rank, item in enumerate(items, 1)]
    write_text(path, "\n".join(lines) + "\n")


def write_qrels(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """One line a held-out interaction: `user 0 item 1`."""
    write_text(path, "".join(f"{_field(user)} 0 {_field(item)} 1\n" for user, item in pairs))


def _field(text: str) -> str:
    return _SPLITS.sub(lambda found: quote(found[0]), text)

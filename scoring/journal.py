"""What a scoring folder records of its job: `_job.json` while it runs, `_manifest.json` in the end.

Readers of a folder as one table leave out names that start with an underscore.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from common.files import is_partial
from scoring.errors import ScoringError
from scoring.shards import Part, write_whole

MANIFEST = "_manifest.json"
JOURNAL = "_job.json"
_EARLIER = ("job.json", "manifest.json")
"""The names that earlier versions gave them."""
_PART = re.compile(r"part-\d{5,}\.(parquet|csv)")


class _Record(BaseModel, extra="forbid"):
    bundle: str
    options: dict[str, Any]
    users: int
    unknown: list[str] = []
    unknown_items: list[str] = []
    rows: int
    parts: dict[str, Part]


def read_parts(out: Path, plan: Mapping[str, Any], *, fresh: bool) -> dict[str, Part]:
    """The parts that an earlier call of the same job recorded; none in a new folder.

    Raises `ScoringError` where the folder holds another job (unless `fresh`) or parts no job recorded.
    """
    record = _read(out)
    if record is None and (earlier := _earlier(out)):
        if not fresh:
            raise ScoringError(
                f"{out}: holds a job of an earlier version ({earlier[0].name}); replace it with --overwrite or choose "
                "another folder"
            )
        for path in earlier:
            path.unlink()
        return {}
    if record is None:
        if any(_PART.fullmatch(path.name) for path in out.iterdir()):
            raise ScoringError(f"{out}: holds parts but no {MANIFEST} of ours; choose another folder or empty it")
        return {}
    pinned = record.model_dump(include=set(plan))
    for key, value in plan.items():
        if pinned[key] != value:
            if fresh:
                return {}
            was, now = json.dumps(pinned[key]), json.dumps(value)
            raise ScoringError(
                f"{out}: holds a job with {key} {was}, not {now}; choose another folder or replace it (--overwrite)"
            )
    return record.parts


def write_record(path: Path, plan: Mapping[str, Any], parts: Mapping[str, Part]) -> dict[str, Any]:
    """Write the plan with what is known of each part, whole or not at all, and return it."""
    rows = sum(part.rows for part in parts.values())
    content = {**plan, "rows": rows, "parts": {name: asdict(part) for name, part in parts.items()}}
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
    return content


def remove_strangers(out: Path, keep: set[str]) -> None:
    """Remove parts of other shards, altered ones and temporary files of a killed call; other files stay."""
    for path in out.iterdir():
        if is_partial(path.name) or (_PART.fullmatch(path.name) and path.name not in keep):
            path.unlink()


def _earlier(out: Path) -> list[Path]:
    """The records of a job that an earlier version left."""
    found = []
    for path in (out / name for name in _EARLIER):
        with suppress(OSError, ValidationError):
            _Record.model_validate_json(path.read_bytes())
            found.append(path)
    return found


def _read(out: Path) -> _Record | None:
    # The journal first: while both exist it is the newer one.
    for name in (JOURNAL, MANIFEST):
        path = out / name
        if path.is_file():
            try:
                return _Record.model_validate_json(path.read_bytes())
            except ValidationError as error:
                raise ScoringError(f"{path}: is no record of a scoring job; choose another folder") from error
    return None

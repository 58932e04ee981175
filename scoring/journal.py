"""What a scoring folder records of its job: `_job.json` while it runs, `_manifest.json` in the end.

Readers of a folder as one table leave out names that start with an underscore.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ValidationError

from common.files import is_partial
from scoring.errors import ScoringError
from scoring.folders import Folder
from scoring.shards import Part

MANIFEST = "_manifest.json"
JOURNAL = "_job.json"
_EARLIER = ("job.json", "manifest.json")
"""The names that earlier versions gave them."""
_PART = re.compile(r"(part-\d{5,}|shard=\d{5,}/part)\.(parquet|csv)")


class Record(BaseModel, extra="forbid"):
    """What is recorded of a job."""

    bundle: str
    options: dict[str, Any]
    users: int
    unknown: list[str] = []
    unknown_items: list[str] = []
    rows: int
    parts: dict[str, Part]


def read_parts(out: Folder, plan: Mapping[str, Any], *, fresh: bool) -> dict[str, Part]:
    """The parts that an earlier call of the same job recorded; none in a new folder.

    Raises `ScoringError` where the folder holds another job (unless `fresh`) or parts no job recorded.
    """
    record = _read(out)
    if record is None and (earlier := _earlier(out)):
        if not fresh:
            raise ScoringError(
                f"{out}: holds a job of an earlier version ({earlier[0]}); replace it with --overwrite or choose "
                "another folder"
            )
        for name in earlier:
            out.remove(name)
        return {}
    if record is None:
        if any(map(_PART.fullmatch, out.names())):
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


def finished(out: Folder) -> Record:
    """The manifest of a finished job. Raises `ScoringError` where there is none, or where it names other files."""
    if out.read(MANIFEST) is None:
        raise ScoringError(f"{out}: no {MANIFEST}, so the job is not finished; run it again to the end")
    record = _valid(out, MANIFEST)
    if foreign := [name for name in record.parts if not _PART.fullmatch(name)]:
        raise ScoringError(f"{out}/{MANIFEST}: names {foreign[0]!r}, which is no part; run the job again (--overwrite)")
    return record


def write_record(out: Folder, name: str, plan: Mapping[str, Any], parts: Mapping[str, Part]) -> dict[str, Any]:
    """Write the plan with what is known of each part, whole or not at all, and return it."""
    rows = sum(part.rows for part in parts.values())
    content = {**plan, "rows": rows, "parts": {file: asdict(part) for file, part in parts.items()}}
    out.write(name, (json.dumps(content, indent=2) + "\n").encode())
    return content


def remove_strangers(out: Folder, keep: set[str]) -> None:
    """Remove parts of other shards, altered ones and temporary files of a killed call; other files stay."""
    for name in out.names():
        if is_partial(name.rpartition("/")[2]) or (_PART.fullmatch(name) and name not in keep):
            out.remove(name)


def _earlier(out: Folder) -> list[str]:
    """The records of a job that an earlier version left."""
    found = []
    for name in _EARLIER:
        with suppress(ValidationError):
            Record.model_validate_json(out.read(name) or b"")
            found.append(name)
    return found


def _read(out: Folder) -> Record | None:
    # The journal first: while both exist it is the newer one.
    for name in (JOURNAL, MANIFEST):
        if out.read(name) is not None:
            return _valid(out, name)
    return None


def _valid(out: Folder, name: str) -> Record:
    try:
        return Record.model_validate_json(out.read(name) or b"")
    except ValidationError as error:
        raise ScoringError(f"{out}/{name}: is no record of a scoring job; choose another folder") from error

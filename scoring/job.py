"""The batch job: every user against every item, in shards; the same bytes however often it was killed.

out/  _job.json (while running)  part-00000.parquet ...  _manifest.json (last)
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from common.progress import Progress
from gnn.bundle.bundle import Bundle, load_bundle
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.journal import JOURNAL, MANIFEST, read_parts, remove_strangers, write_record
from scoring.lock import folder_lock
from scoring.shards import Part, is_whole, part_name, write_part


@dataclass(frozen=True)
class Job:
    """What there is to do; the engines run it."""

    bundle_dir: Path
    bundle: Bundle
    unknown: list[str]
    """Users whom the bundle does not know; they stand at its end."""
    out: Path
    users: Int[np.ndarray, "users"]
    """Indices of the users to score, in output order."""
    options: ScoringConfig

    @property
    def num_parts(self) -> int:
        """Shards of `shard_size` users; the last may be smaller."""
        return -(-len(self.users) // self.options.shard_size)

    def shard(self, number: int) -> Int[np.ndarray, "shard"]:
        """Users of one part."""
        return self.users[number * self.options.shard_size : (number + 1) * self.options.shard_size]


def run_job(
    bundle_dir: Path,
    out: Path,
    options: ScoringConfig,
    *,
    users: Sequence[str] | None = None,
    strict: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score all users of a bundle, or those named, and return the manifest.

    The same call on the same folder resumes: parts that match their recorded SHA-256 are kept.
    Users named twice are scored once. Users whom the bundle does not know are served what is popular and stand in the
    manifest (`unknown`).

    Args:
        bundle_dir: what `train` wrote.
        out: the folder of the parts; made if absent.
        options: `top_k` and `shard_size` are pinned in the folder, `engine` may change between calls.
        users: ids to score, in that order; none scores everyone in the bundle's order.
        strict: refuse users whom the bundle does not know.
        fresh: start over where the folder holds the parts of another job, instead of refusing.
        progress: called with (users done, users in all).

    Raises:
        ScoringError: an unknown user where `strict`, a folder of another job, a full disk.
        gnn.errors.BundleError: a bundle that is incomplete or altered.
    """
    bundle = load_bundle(bundle_dir)
    if options.titles and bundle.titles is None:
        raise ScoringError(f"{bundle_dir}: holds no titles; train again on items that have some, or leave --titles out")
    unknown = _unknown(bundle, users or (), strict=strict)
    if unknown:
        bundle = bundle.with_strangers(unknown)
    job = Job(bundle_dir, bundle, unknown, out, _indices(bundle, users), options)
    plan = _plan(job, everyone=users is None)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScoringError(f"{out}: cannot be a folder ({error.strerror}); choose another") from error
    with folder_lock(out):
        recorded = read_parts(out, plan, fresh=fresh)
        return _complete(job, plan, recorded, progress or (lambda done, total: None))


def _complete(job: Job, plan: Mapping[str, Any], recorded: Mapping[str, Part], progress: Progress) -> dict[str, Any]:
    """Make what is missing, then the manifest."""
    names = [part_name(number, job.options.format) for number in range(job.num_parts)]
    parts = {name: recorded[name] for name in names if name in recorded and is_whole(job.out / name, recorded[name])}
    missing = [number for number, name in enumerate(names) if name not in parts]
    done = len(job.users) - sum(len(job.shard(number)) for number in missing)
    progress(done, len(job.users))
    if missing or not (job.out / MANIFEST).is_file():
        # The journal takes over before the manifest goes, so that no moment lacks the pinned options.
        write_record(job.out / JOURNAL, plan, parts)
        (job.out / MANIFEST).unlink(missing_ok=True)
    remove_strangers(job.out, {*parts, MANIFEST, JOURNAL})
    for number, part in _engine(job.options.engine)(job, missing):
        parts[names[number]] = part
        write_record(job.out / JOURNAL, plan, parts)
        done += len(job.shard(number))
        progress(done, len(job.users))
    manifest = write_record(job.out / MANIFEST, plan, {name: parts[name] for name in names})
    (job.out / JOURNAL).unlink(missing_ok=True)
    return manifest


def _local(job: Job, missing: Sequence[int]) -> Iterator[tuple[int, Part]]:
    for number in missing:
        path = job.out / part_name(number, job.options.format)
        yield number, write_part(job.bundle, job.shard(number), job.options, path)


def _ray(job: Job, missing: Sequence[int]) -> Iterator[tuple[int, Part]]:
    try:
        # Ray is an extra and takes seconds to import.
        from scoring.ray_engine import run_shards
    except ModuleNotFoundError as error:
        raise ScoringError("engine 'ray' needs Ray; run: pip install 'modalweave[ray]'") from error
    yield from run_shards(job, missing)


def _engine(name: str) -> Callable[[Job, Sequence[int]], Iterator[tuple[int, Part]]]:
    return {"local": _local, "ray": _ray}[name]


def _plan(job: Job, *, everyone: bool) -> dict[str, Any]:
    """What decides the output's bytes; pinned in the folder."""
    chosen = None
    if not everyone:
        ids = "\n".join(json.dumps(job.bundle.user_ids[index]) for index in job.users)
        chosen = hashlib.sha256(ids.encode()).hexdigest()
    options: dict[str, Any] = {"top_k": job.options.top_k, "shard_size": job.options.shard_size, "users_sha256": chosen}
    if job.options.new_items:
        options["new_items"] = job.options.new_items
    if job.options.format != "parquet":
        options["format"] = job.options.format
    if job.options.titles:
        options["titles"] = True
    plan = {"bundle": job.bundle.hash, "options": options, "users": len(job.users)}
    return plan | {"unknown": job.unknown} if job.unknown else plan


def _unknown(bundle: Bundle, users: Sequence[str], *, strict: bool) -> list[str]:
    """The users named whom the bundle does not know, each once."""
    known = set(bundle.user_ids)
    unknown = [user for user in dict.fromkeys(users) if user not in known]
    if unknown and strict:
        row = users.index(unknown[0]) + 1
        raise ScoringError(
            f"users row {row}: unknown user {unknown[0]!r}, {len(unknown)} in all; the bundle knows {len(known)} users"
        )
    return unknown


def _indices(bundle: Bundle, users: Sequence[str] | None) -> Int[np.ndarray, "users"]:
    if users is None:
        return np.arange(len(bundle.user_ids), dtype=np.int64)
    known = {user: index for index, user in enumerate(bundle.user_ids)}
    if not users:
        raise ScoringError("users is empty: nothing to score; name at least one user")
    return np.array([known[user] for user in dict.fromkeys(users)], dtype=np.int64)

"""The batch job: every user against every item, in shards; the same bytes however often it was killed.

out/  _job.json (while running)  part-00000.parquet ... or shard=00000/part.parquet ...  _manifest.json (last)
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Float, Int
from torch import Tensor

from common.progress import Progress
from gnn.bundle.bundle import Bundle, load_bundle
from gnn.content import Arrivals
from gnn.ranker.scorer import retrieval_of
from gnn.scorers.base import DotScorer
from gnn.scorers.likeness import has_alike, likeness
from scoring import approximate
from scoring.config import ScoringConfig
from scoring.diversity import item_vectors
from scoring.errors import ScoringError, Stopped
from scoring.folders import Folder, open_folder
from scoring.journal import JOURNAL, MANIFEST, read_parts, remove_strangers, write_record
from scoring.people import People, people
from scoring.reasons import Reasons
from scoring.restrictions import Allowed, Restrictions, allowed
from scoring.shards import Part, is_whole, make_part, part_name


@dataclass(frozen=True)
class Job:
    """What there is to do; the engines run it."""

    bundle_dir: Path
    bundle_hash: str
    unknown: list[str]
    """Users whom the bundle does not know; they stand at its end."""
    out: Folder
    users: Int[np.ndarray, "users"]
    """Indices of the users to score, in output order."""
    options: ScoringConfig
    allowed: Allowed
    people: People | None = None
    """Who is scored by a history that came with the job."""
    arrivals: Arrivals | None = None
    """Items that came with the job."""
    similar: bool = False
    """Whether the users are the items."""
    vectors: Float[Tensor, "items dim"] | None = None
    """What `similar` compares where that is not the model."""
    reasons: Reasons | None = None
    """What says why an item is in a list."""

    @property
    def num_parts(self) -> int:
        """Shards of `shard_size` users; the last may be smaller."""
        return -(-len(self.users) // self.options.shard_size)

    def shard(self, number: int) -> Int[np.ndarray, "shard"]:
        """Users of one part."""
        return self.users[number * self.options.shard_size : (number + 1) * self.options.shard_size].copy()

    def make(self, number: int, bundle: Bundle) -> tuple[Part, bytes]:
        """One part from a bundle in memory."""
        return make_part(
            bundle, self.shard(number), self.options, self.allowed, similar=self.similar, reasons=self.reasons
        )

    def write(self, number: int, bundle: Bundle) -> Part:
        """Make one part and put it into the folder."""
        part, content = self.make(number, bundle)
        self.out.write(part_name(number, self.options), content)
        return part

    def read(self) -> Bundle:
        """The bundle, for another process. Raises `ScoringError` where the folder holds another one by now."""
        bundle = load_bundle(self.bundle_dir, terms=self.people is not None)
        if bundle.hash != self.bundle_hash:
            raise ScoringError(f"{self.bundle_dir}: the bundle changed while the job ran; start the job again")
        if self.arrivals is not None:
            bundle = bundle.with_arrivals(self.arrivals)
        if self.similar:
            return _items_as_users(bundle, self.vectors)
        if self.people is not None:
            bundle = bundle.with_people(self.people.ids, self.people.histories, self.people.seen)
        return bundle.with_strangers(self.unknown) if self.unknown else bundle


def run_job(
    bundle_dir: Path,
    out: Path | str,
    options: ScoringConfig,
    *,
    users: Sequence[str] | None = None,
    restrictions: Restrictions | None = None,
    histories: pl.DataFrame | None = None,
    arrivals: Arrivals | None = None,
    vectors: Float[Tensor, "items dim"] | None = None,
    reasons: Reasons | None = None,
    strict: bool = False,
    fresh: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score all users of a bundle, or those named, and return the manifest.

    The same call on the same folder resumes: parts that match their recorded SHA-256 are kept.
    Users named twice are scored once. Users whom the bundle does not know are served what is popular and stand in the
    manifest (`unknown`).

    Args:
        bundle_dir: what `train` wrote.
        out: the folder of the parts, made if absent, or an address (`scoring.folders`).
        options: `top_k` and `shard_size` are pinned in the folder, `engine` may change between calls.
        users: ids to score, in that order; none scores everyone in the bundle's order.
        restrictions: what lists may hold; pairs bring their users with them.
        histories: `user_id`, `item_id` and where known `weight` of people whom the bundle never met, or whose history
            grew: only they are scored, and those in `users` and `pairs`.
        arrivals: items that came after the bundle was fitted; lists hold them where they rank.
        vectors: those of the items, of length 1 or 0 and in the bundle's order, by which `options.diversity` tells them
            apart; none takes what the model has learned of them.
        reasons: adds a column `reason`.
        strict: refuse users and items that the bundle does not know.
        fresh: start over where the folder holds the parts of another job, instead of refusing.
        stop: asked after each part; where it says yes, the job ends there.
        progress: called with (users done, users in all).

    Raises:
        ScoringError: an unknown user or item where `strict`, a folder of another job, a full disk.
        Stopped: `stop` said yes; the same call goes on.
        gnn.errors.BundleError: a bundle that is incomplete or altered.
    """
    folder = open_folder(out)
    bundle = load_bundle(bundle_dir, terms=histories is not None)
    if arrivals is not None:
        bundle = bundle.with_arrivals(arrivals)
    _refuse_titles_without(bundle, bundle_dir, options)
    restrictions = restrictions or Restrictions()
    if restrictions.pairs is not None:
        if users is not None:
            raise ScoringError("pairs bring their users with them; leave users out")
        users = restrictions.pairs["user_id"].to_list()
    if options.new_items and restrictions:
        raise ScoringError("scoring.new_items gives places in whole lists; set it to 0 under restrictions")
    brought = None
    if histories is not None:
        if options.new_items:
            raise ScoringError("scoring.new_items needs people whom the model knows; set it to 0 with histories")
        brought = people(histories, bundle, users or ())
        bundle = bundle.with_people(brought.ids, brought.histories, brought.seen)
    unknown = _unknown(bundle, users or (), strict=strict)
    if unknown:
        bundle = bundle.with_strangers(unknown)
    found = allowed(restrictions, bundle, bundle_dir)
    if options.diversity:
        if found.pairs is not None or options.new_items:
            raise ScoringError("diversity chooses from whole lists; leave it out with pairs and scoring.new_items")
        found = replace(found, vectors=item_vectors(bundle.scorer) if vectors is None else vectors)
    if brought is not None and brought.unknown_items:
        found = replace(found, unknown=[*found.unknown, *brought.unknown_items])
    if found.unknown and strict:
        first, count = found.unknown[0], len(found.unknown)
        raise ScoringError(f"unknown item {first!r}, {count} in all; the bundle knows {len(bundle.item_ids)} items")
    job = Job(
        bundle_dir,
        bundle.hash,
        unknown,
        folder,
        _indices(bundle, users),
        options,
        found,
        brought,
        arrivals,
        reasons=reasons,
    )
    plan = _plan(job, None if users is None else bundle.user_ids)
    plan["options"] |= _indexed(bundle, job)
    return _run(job, bundle, plan, fresh=fresh, stop=stop, progress=progress)


def run_similar(
    bundle_dir: Path,
    out: Path | str,
    options: ScoringConfig,
    *,
    by: str = "model",
    arrivals: Arrivals | None = None,
    vectors: Float[Tensor, "items dim"] | None = None,
    fresh: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The `top_k` items most alike of each item of a bundle, by the same job; returns the manifest.

    `vectors` are those of the items, in the bundle's order, where they are not compared by the model; zeros where an
    item has none. `by` names them. `arrivals` came after the bundle was fitted. Items of which nothing is known have no
    list.

    Raises as `run_job` does, and `gnn.errors.GnnError` for a model that tells no items apart.
    """
    folder = open_folder(out)
    bundle = load_bundle(bundle_dir)
    if arrivals is not None:
        bundle = bundle.with_arrivals(arrivals)
    _refuse_titles_without(bundle, bundle_dir, options)
    items = _items_as_users(bundle, vectors)
    known = np.flatnonzero(has_alike(items.scorer))
    job = Job(
        bundle_dir, bundle.hash, [], folder, known, options, Allowed(), arrivals=arrivals, similar=True, vectors=vectors
    )
    plan = _plan(job, None)
    plan["options"]["by"] = by
    if vectors is not None:
        plan["options"]["vectors_sha256"] = hashlib.sha256(vectors.numpy().tobytes()).hexdigest()
    plan["options"] |= _indexed(items, job)
    return _run(job, items, plan, fresh=fresh, stop=stop, progress=progress)


def _indexed(bundle: Bundle, job: Job) -> dict[str, Any]:
    """What the plan says of an approximate index, if one is asked for: how much of the exact lists it finds."""
    kind, asked = job.options.index, job.allowed
    if kind == "exact":
        return {}
    if any(limit is not None for limit in (asked.pairs, asked.limits.left_out, asked.limits.groups)):
        raise ScoringError("an index finds the best of all items; leave it out under restrictions and with pairs")
    approximate.check(bundle)
    seen = sp.csr_matrix(bundle.seen.shape, dtype=np.float32) if asked.include_seen else bundle.seen
    recall = approximate.measured_recall(bundle, job.users, seen, job.options.top_k, kind)
    return {"index": kind, "index_recall": recall}


def _items_as_users(bundle: Bundle, vectors: Float[Tensor, "items dim"] | None) -> Bundle:
    """What scores items for items: those most alike, none its own."""
    alike = likeness(retrieval_of(bundle.scorer) if vectors is None else DotScorer(vectors, vectors))
    own = sp.identity(len(bundle.item_ids), np.float32, "csr")
    return replace(bundle, scorer=alike, user_ids=bundle.item_ids, seen=own, history=own, arrivals=None)


def _refuse_titles_without(bundle: Bundle, folder: Path, options: ScoringConfig) -> None:
    if options.titles and bundle.titles is None:
        raise ScoringError(f"{folder}: holds no titles; train again on items that have some, or leave --titles out")


def _run(
    job: Job,
    bundle: Bundle,
    plan: Mapping[str, Any],
    *,
    fresh: bool,
    stop: Callable[[], bool],
    progress: Progress | None,
) -> dict[str, Any]:
    if job.out.own_process and job.options.engine == "local" and (job.options.workers or 1) > 1:
        raise ScoringError(f"{job.out}: lies in the memory of this process, where no other writes; leave workers out")
    with job.out.held() as out:
        recorded = read_parts(out, plan, fresh=fresh)
        return _complete(replace(job, out=out), bundle, plan, recorded, stop, progress or (lambda done, total: None))


def _complete(
    job: Job,
    bundle: Bundle,
    plan: Mapping[str, Any],
    recorded: Mapping[str, Part],
    stop: Callable[[], bool],
    progress: Progress,
) -> dict[str, Any]:
    """Make what is missing, then the manifest."""
    out, names = job.out, [part_name(number, job.options) for number in range(job.num_parts)]
    parts = {name: recorded[name] for name in names if name in recorded and is_whole(out, name, recorded[name])}
    missing = [number for number, name in enumerate(names) if name not in parts]
    done = len(job.users) - sum(len(job.shard(number)) for number in missing)
    progress(done, len(job.users))
    if missing or out.read(MANIFEST) is None:
        # The journal takes over before the manifest goes, so that no moment lacks the pinned options.
        write_record(out, JOURNAL, plan, parts)
        out.remove(MANIFEST)
    remove_strangers(out, {*parts, MANIFEST, JOURNAL})
    for number, part in _made(job, bundle, missing):
        parts[names[number]] = part
        write_record(out, JOURNAL, plan, parts)
        done += len(job.shard(number))
        progress(done, len(job.users))
        if stop():
            raise Stopped(f"{out}: stopped after {len(parts)} of {len(names)} parts; the same call goes on")
    manifest = write_record(out, MANIFEST, plan, {name: parts[name] for name in names})
    out.remove(JOURNAL)
    return manifest


def _made(job: Job, bundle: Bundle, missing: Sequence[int]) -> Iterator[tuple[int, Part]]:
    """The missing parts as they are finished: here, by processes of this machine, or by Ray."""
    workers = job.options.workers
    if job.options.engine == "ray":
        try:
            # Ray is an extra and takes seconds to import.
            from scoring import ray_engine
        except ModuleNotFoundError as error:
            raise ScoringError("engine 'ray' needs Ray; run: pip install 'modalweave[ray]'") from error
        yield from ray_engine.run_shards(job, bundle, missing, workers or 2)
    elif (workers or 1) > 1 and len(missing) > 1:
        # This module is what the processes are given.
        from scoring import processes

        yield from processes.run_shards(job, missing, workers or 1)
    else:
        for number in missing:
            yield number, job.write(number, bundle)


def _plan(job: Job, named: Sequence[str] | None) -> dict[str, Any]:
    """What decides the output's bytes; pinned in the folder. `named`: the bundle's user ids where some were chosen."""
    chosen = None
    if named is not None:
        ids = "\n".join(json.dumps(named[index]) for index in job.users)
        chosen = hashlib.sha256(ids.encode()).hexdigest()
    options: dict[str, Any] = {"top_k": job.options.top_k, "shard_size": job.options.shard_size, "users_sha256": chosen}
    if job.options.new_items:
        options["new_items"] = job.options.new_items
    if job.options.format != "parquet":
        options["format"] = job.options.format
    if job.options.partition_by:
        options["partition_by"] = job.options.partition_by
    if job.options.titles:
        options["titles"] = True
    if job.allowed.vectors is not None:
        digest = hashlib.sha256(job.allowed.vectors.numpy().tobytes()).hexdigest()
        options |= {"diversity": job.options.diversity, "vectors_sha256": digest}
    if job.reasons is not None:
        options |= {"reasons": job.reasons.language, "reasons_sha256": job.reasons.digest}
    if job.people is not None:
        options["histories_sha256"] = job.people.digest
    if job.arrivals is not None:
        options |= {"arrivals": len(job.arrivals.items), "arrivals_sha256": job.arrivals.digest}
    options |= job.allowed.plan or {}
    unknown = {"unknown": job.unknown, "unknown_items": list(job.allowed.unknown)}
    plan = {"bundle": job.bundle_hash, "options": options, "users": len(job.users)}
    return plan | {name: ids for name, ids in unknown.items() if ids}


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

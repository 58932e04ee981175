"""What a job's lists may hold: some items of the catalogue, items that a condition picks, links that are given."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from polars.exceptions import ColumnNotFoundError, PolarsError
from torch import Tensor

from common.text import one_line
from gnn.bundle.attributes import read_attributes
from gnn.bundle.bundle import Bundle
from gnn.scorers.ranking import Limits
from scoring.errors import ScoringError

_LONGEST = 2_000
"""Characters of a condition: what it takes to compare grows with the square of its parts."""
_NAMED = 20
"""Columns that a message names."""


@dataclass(frozen=True)
class Restrictions:
    """As a person asks for them; `None` and `False` restrict nothing."""

    items: pl.DataFrame | None = None
    """`item_id` and any attributes, which go before those of the bundle: only these items."""
    exclude: Sequence[str] | None = None
    """Items that are in no list."""
    where: str | None = None
    """A condition over the items' attributes in SQL: `price < 20 and category = 'lamp'`. An item for which it cannot be
    told, because a value is missing, is left out."""
    include_seen: bool = False
    """List what a user has seen, too."""
    at_most: int | None = None
    """Items in a list that have the same value of `per`."""
    per: str | None = None
    """An attribute; items without a value are not counted."""
    pairs: pl.DataFrame | None = None
    """`user_id`, `item_id`: score these links alone, seen or not, each user's ranked."""

    def __post_init__(self) -> None:
        if (self.at_most is None) != (self.per is None):
            raise ScoringError("at_most and per belong together: at_most=3, per='brand'; give both or neither")
        others = (self.items, self.exclude, self.where, self.per, self.include_seen or None)
        if self.pairs is not None and any(other is not None for other in others):
            raise ScoringError("pairs name all that is scored; leave the other restrictions out")

    def __bool__(self) -> bool:
        """Whether they restrict anything."""
        return any(value is not None and value is not False for value in vars(self).values())


@dataclass(frozen=True)
class Allowed:
    """Restrictions in a bundle's own numbers."""

    limits: Limits = field(default_factory=Limits)
    include_seen: bool = False
    pairs: sp.csr_matrix | None = None
    """Users x items: the only links that are scored."""
    vectors: Float[Tensor, "items dim"] | None = None
    """By which the items of a list are to be unlike."""
    plan: Mapping[str, Any] | None = None
    """What a job pins of them: equal plans of one bundle restrict alike."""
    unknown: Sequence[str] = ()
    """Items that were named and that the bundle does not know."""


def allowed(restrictions: Restrictions, bundle: Bundle, folder: Path) -> Allowed:
    """What the restrictions mean for the bundle in `folder`.

    Raises `ScoringError` for a condition that cannot be read, an attribute that nothing holds, and where nothing is
    left.
    """
    items = _Index(bundle.item_ids)
    if restrictions.pairs is not None:
        return _given(restrictions.pairs, bundle, items)
    plan: dict[str, Any] = {"include_seen": True} if restrictions.include_seen else {}
    attributes = _attributes(restrictions, bundle, folder)
    kept = np.ones(len(bundle.item_ids), dtype=bool)
    if restrictions.items is not None:
        kept &= items.mask(restrictions.items["item_id"])
    if restrictions.exclude is not None:
        kept &= ~items.mask(restrictions.exclude)
    if restrictions.where is not None:
        kept &= matching(attributes, restrictions.where)
    if not kept.any():
        raise ScoringError(f"0 of {len(kept):,} items are left to recommend; widen items, exclude or where")
    left_out, groups = None if kept.all() else ~kept, None
    if left_out is not None:
        plan |= {"items": int(kept.sum()), "items_sha256": _digest(np.packbits(kept))}
    if restrictions.per is not None:
        groups = _kinds(attributes, restrictions.per)
        plan |= {"at_most": restrictions.at_most, "per": restrictions.per, "per_sha256": _digest(groups)}
    limits = Limits(left_out, groups, restrictions.at_most or 1)
    return Allowed(limits, restrictions.include_seen, plan=plan, unknown=items.unknown)


def matching(attributes: pl.DataFrame, condition: str) -> Bool[np.ndarray, "items"]:
    """For which items an SQL condition holds. It is parsed and nothing but compared: no query, no file, no function
    that reaches outside. Raises `ScoringError` in one line."""
    if len(condition) > _LONGEST:
        raise ScoringError(
            f"where {condition[:40]!r}...: has {len(condition):,} characters, at most {_LONGEST:,} are read; list the "
            "items in a file for --items instead"
        )
    try:
        found = attributes.select(matching=pl.sql_expr(condition))["matching"]
    except ColumnNotFoundError as error:
        why = one_line(str(error).partition(";")[0])
        raise ScoringError(f"where {condition!r}: {why}; {_has(attributes)}") from error
    except (PolarsError, TypeError) as error:
        why = one_line(str(error).partition("\n")[0])
        raise ScoringError(f"where {condition!r}: {why}; write as in price < 20 and category = 'lamp'") from error
    if found.dtype != pl.Boolean or len(found) not in (1, len(attributes)):
        raise ScoringError(f"where {condition!r}: gives {found.dtype}, not true or false; compare it with something")
    return np.broadcast_to(found.fill_null(False).to_numpy(), len(attributes)).copy()


class _Index:
    """The places of items by id, and which of those asked for there are none of."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self.unknown: list[str] = []

    @cached_property
    def place(self) -> dict[str, int]:
        """Made where something is asked for by id."""
        return {name: place for place, name in enumerate(self._ids)}

    def places(self, ids: pl.Series | Sequence[str]) -> Int[np.ndarray, "ids"]:
        """-1 where there is no such item."""
        found = np.array([self.place.get(name, -1) for name in ids], dtype=np.int64)
        self.unknown += [ids[row] for row in np.flatnonzero(found < 0).tolist()]
        return found

    def mask(self, ids: pl.Series | Sequence[str]) -> Bool[np.ndarray, "items"]:
        """Which items are named."""
        mask, places = np.zeros(len(self._ids), dtype=bool), self.places(ids)
        mask[places[places >= 0]] = True
        return mask


def _given(pairs: pl.DataFrame, bundle: Bundle, items: _Index) -> Allowed:
    users = {name: place for place, name in enumerate(bundle.user_ids)}
    columns = items.places(pairs["item_id"])
    rows = np.array([users[name] for name in pairs["user_id"]], dtype=np.int64)
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    if not len(rows):
        raise ScoringError(f"0 of {len(pairs):,} pairs name an item that the model knows; give ids of its items")
    links = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(users), len(items.place)))
    links.sum_duplicates()
    digest = _digest(links.indptr.astype(np.int64), links.indices.astype(np.int64))
    return Allowed(pairs=links, plan={"pairs": links.nnz, "pairs_sha256": digest}, unknown=items.unknown)


def _attributes(restrictions: Restrictions, bundle: Bundle, folder: Path) -> pl.DataFrame:
    """Those of the file of items where it has them, then those of the bundle, titles among them."""
    if restrictions.where is None and restrictions.per is None:
        return pl.DataFrame(height=len(bundle.item_ids))
    known = _known(bundle, folder)
    if bundle.titles is not None:
        known = known.with_columns(title=pl.Series(bundle.titles, dtype=pl.String))
    if restrictions.items is None:
        return known
    fresh = restrictions.items.unique("item_id", keep="last")
    own = known.drop([name for name in fresh.columns if name != "item_id"], strict=False)
    return own.join(fresh, on="item_id", how="left", maintain_order="left")


def _known(bundle: Bundle, folder: Path) -> pl.DataFrame:
    """The attributes of the bundle's items, and of those that came after it."""
    if bundle.arrivals is None:
        return read_attributes(folder, len(bundle.item_ids)).with_columns(item_id=pl.Series(bundle.item_ids))
    fitted = len(bundle.item_ids) - len(bundle.arrivals.items)
    held = read_attributes(folder, fitted).with_columns(item_id=pl.Series(bundle.item_ids[:fitted]))
    return pl.concat([held, bundle.arrivals.items], how="diagonal_relaxed")


def _kinds(attributes: pl.DataFrame, name: str) -> Int[np.ndarray, "items"]:
    """A number for each value, -1 where there is none."""
    if name not in attributes.columns:
        raise ScoringError(f"per {name!r}: no item has such an attribute; {_has(attributes)}")
    column = attributes[name]
    ranks = column.rank("dense").cast(pl.Int64) - 1
    return ranks.fill_null(-1).to_numpy()


def _has(attributes: pl.DataFrame) -> str:
    """What could have been meant."""
    names = [name for name in attributes.columns if name != "item_id"]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    listed = ", ".join(names[:_NAMED]) + more
    return f"there are {listed}" if names else "there are none: train again on items that have some, or give --items"


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

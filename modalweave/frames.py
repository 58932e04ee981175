"""A run from tables in memory: they become a dataset folder inside the run's own."""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from common.files import write_text, write_whole
from common.text import one_line
from graph.schema import MODALITIES
from modalweave.config import checked_name, dump_config
from modalweave.errors import RunError
from modalweave.run import Run
from modalweave.workspace import Workspace

Frame = Any
"""A pandas, polars or Arrow table, or a mapping of columns."""

_TABLES = (
    *("interactions", "items", "users", "media", "triples", "social"),
    *(f"{kind}/{modality}" for kind in ("embeddings", "neighbours") for modality in MODALITIES),
)


def from_frames(
    interactions: Frame,
    *,
    path: str | PathLike[str],
    items: Frame = None,
    users: Frame = None,
    media: Frame = None,
    embeddings: Mapping[str, Frame] | None = None,
    neighbours: Mapping[str, Frame] | None = None,
    triples: Frame = None,
    social: Frame = None,
    progress: bool = True,
    **overrides: Any,
) -> Run:
    """A run over tables in memory (pandas, polars or Arrow); everything it makes lies in the folder `path`.

        run = mw.from_frames(
            {"user_id": ["u1", "u2"], "item_id": ["a", "b"]},
            items={"item_id": ["a", "b"], "title": ["Lamp", "Chair"]},
            path="runs/shop",
            seed=1,
        )

    The columns are those of a dataset folder (docs/datasets.md); only `interactions` is needed. `embeddings` and
    `neighbours` are tables by modality. A `uri` of `media` is a URL, or a path relative to the working folder: the
    file is linked into the run's folder. Keywords override config keys as in `Run`. The config is left in
    `path/config.yaml`, for `mw.open` and the command line.

    Raises `RunError` for what is no table, `ConfigError` for a key or value that cannot be used.
    """
    workspace = Workspace(path)
    tables = {"interactions": interactions, "items": items, "users": users, "triples": triples, "social": social}
    tables |= {f"embeddings/{modality}": frame for modality, frame in (embeddings or {}).items()}
    tables |= {f"neighbours/{modality}": frame for modality, frame in (neighbours or {}).items()}
    given = {name: _table(frame, name) for name, frame in tables.items() if frame is not None}
    config: dict[str, Any] = {"source": {"path": str(workspace.source)}, "workspace": str(workspace.root)}
    with suppress(ValueError):  # a folder that cannot be a name leaves the run the default one
        config["name"] = checked_name(workspace.root.name)
    run = Run(config, progress=progress, **overrides)
    if media is not None:
        given["media"] = _gathered(_table(media, "media"), workspace.source)
    _write(given, workspace.source)
    write_text(workspace.config, dump_config(run.config))
    return run


def _table(frame: Frame, name: str) -> pl.DataFrame:
    try:
        if isinstance(frame, pl.LazyFrame):
            return frame.collect()
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pl.from_pandas(frame)
        if isinstance(frame, pl.DataFrame | Mapping | pa.Table) or hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise RunError(f"{name}: cannot be read as a table ({one_line(error)})") from error
    raise RunError(f"{name}: {type(frame).__name__} is no table; give one of pandas, polars or Arrow")


def _gathered(media: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The media with their files linked (or copied) into the folder, out of which no source may reach."""
    if "uri" not in media.columns:
        return media
    return media.with_columns(
        pl.Series("uri", [_inside(uri, folder) for uri in media["uri"].to_list()], dtype=pl.String)
    )


def _inside(uri: str | None, folder: Path) -> str | None:
    if uri is None or re.match(r"[a-z]+://", uri) or not Path(uri).is_file():
        return uri  # what is missing is quarantined under the name that was given
    file = Path(uri).resolve()
    name = f"media/{hashlib.sha256(str(file).encode()).hexdigest()[:20]}{file.suffix}"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, target)
    return name


def _write(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """One Parquet file a table; those of an earlier call that were not given again go, and nothing else does."""
    for name in set(_TABLES) - set(tables):
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    for name, table in tables.items():
        write_whole(folder / f"{name}.parquet", table.write_parquet)

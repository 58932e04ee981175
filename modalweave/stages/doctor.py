"""What is installed and reachable, and what to do about each gap."""

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from common.machine import cpu_count, may_have_gpu
from encoders import AUTO, DEFAULTS, make_encoder
from encoders.chat import Chat
from encoders.errors import EncoderError
from graph.errors import GraphError
from graph.store import without_password
from modalweave.results.build import Check, DoctorReport
from modalweave.stores import connect, is_built

if TYPE_CHECKING:
    from modalweave.config import RunConfig

_REQUIRED = ("torch", "torch-geometric", "neo4j", "ladybug", "pyarrow", "polars", "faiss-cpu", "transformers")
_OPTIONAL = {
    "open_clip_torch": "open_clip encoders",
    "ray": "the ray scoring engine",
    "onnxruntime": "ONNX export",
}


def examine(config: "RunConfig | None") -> DoctorReport:
    """Run every check; `ok` is false where something a run needs is missing."""
    checks = [*_versions(), _device(config), _disk(config), *_encoders(config)]
    if config is not None:
        checks += [*_store(config), *_language_model(config)]
    return DoctorReport(all(check.state != "failed" for check in checks), tuple(checks))


def _versions() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    new = sys.version_info >= (3, 11)
    yield Check("python", "ok" if new else "failed", version, "" if new else "install Python 3.11 or newer")
    for package in (*_REQUIRED, *_OPTIONAL):
        try:
            yield Check(package, "ok", importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            if package in _REQUIRED:
                yield Check(package, "failed", "not installed", f"pip install {package}")
            else:
                yield Check(package, "missing", "not installed", f"pip install {package}, for {_OPTIONAL[package]}")


def _device(config: "RunConfig | None") -> Check:
    """Asks torch only for a run, and where there may be a GPU: loading it takes seconds."""
    if not may_have_gpu():
        return Check("device", "ok", f"cpu, {cpu_count()} cores")
    if config is None:
        return Check("device", "ok", f"cpu, {cpu_count()} cores; GPU files are there", "name a config to ask torch")
    import torch

    if torch.cuda.is_available():
        return Check("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}")
    return Check("device", "ok", f"cpu, {cpu_count()} cores; torch {torch.__version__} sees no GPU")


def _disk(config: "RunConfig | None") -> Check:
    folder = config.workspace.absolute() if config else None
    while folder is not None and not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder or ".").free / 1e9
    fix = "" if free > 1 else "free some space or move 'workspace'"
    return Check("disk", "failed" if fix else "ok", f"{free:.1f} GB free", fix)


def _encoders(config: "RunConfig | None") -> Iterator[Check]:
    wanted = config.encoders if config else DEFAULTS
    for modality, spec in wanted.items():
        if spec is None:
            continue
        try:
            encoder = make_encoder(DEFAULTS[modality] if spec == AUTO else spec)
        except EncoderError as error:
            # without a config nothing is needed yet: a gap is told, not failed
            yield Check(f"{modality} encoder", "failed" if config else "missing", str(spec), str(error))
        else:
            yield Check(f"{modality} encoder", "ok", f"{encoder.name}, {encoder.dim} dimensions")


def _language_model(config: "RunConfig") -> Iterator[Check]:
    """Whether it can be asked; a run without `enrich` does well without it."""
    if config.language_model is None:
        return
    chat = Chat(config.language_model)
    try:
        chat.check()
    except EncoderError as error:
        yield Check("language model", "failed" if config.enrich else "missing", chat.sends_to, str(error))
    else:
        yield Check("language model", "ok", chat.sends_to)


def _store(config: "RunConfig") -> Iterator[Check]:
    address = config.store_address
    if not is_built(config):
        yield Check("store", "missing", address, "run `modalweave build` first")
        return
    try:
        with connect(address, config, read_only=True) as store:
            counts = store.counts()
            states = store.index_states()
    except GraphError as error:
        yield Check("store", "failed", without_password(address), str(error))
        return
    nodes = sum(counts.nodes.values())
    yield Check("store", "ok", f"{address}: {nodes:,} nodes")
    if states:
        yield _indexes(states, empty=nodes == 0)


def _indexes(states: Mapping[str, str], *, empty: bool) -> Check:
    gaps = {name: state for name, state in states.items() if state != "ONLINE"}
    if not gaps:
        return Check("indexes", "ok", f"{len(states)} constraints and indexes online")
    found = ", ".join(f"{name} {state.lower()}" for name, state in gaps.items())
    if set(gaps.values()) <= {"POPULATING"}:
        return Check("indexes", "missing", found, "wait until the server has filled them")
    return Check("indexes", "missing" if empty else "failed", found, "run `modalweave build`: it makes what is absent")

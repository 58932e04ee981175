"""Which model of a run serves."""

from collections.abc import Callable
from pathlib import Path

from gnn.bundle.manifest import MANIFEST, read_manifest
from modalweave.config import load_config
from modalweave.workspace import Workspace


def serving_folder(workspace: Workspace, note: Callable[[str], object] = lambda _: None) -> Path:
    """The model to serve: `serving/` where it is, unless `bundle/` was trained after it, which `note` is told."""
    if not workspace.serving.exists():
        return workspace.bundle
    measured = read_manifest(workspace.serving)[0].get("measured")
    fitted_after = measured.get("bundle") if isinstance(measured, dict) else None
    if workspace.bundle.exists() and read_manifest(workspace.bundle)[1] != fitted_after:
        note(f"{workspace.serving} is of an earlier training, so {workspace.bundle} is taken; run `modalweave refit`")
        return workspace.bundle
    return workspace.serving


def named_bundle(path: Path, note: Callable[[str], object]) -> Path:
    """The bundle that is meant: the folder itself, or the model to serve of a run named by its config or workspace."""
    if path.suffix in (".yaml", ".yml"):
        return serving_folder(Workspace(load_config(path).workspace), note)
    workspace = Workspace(path)
    of_a_run = workspace.serving.exists() or workspace.bundle.exists()
    return serving_folder(workspace, note) if of_a_run and not (path / MANIFEST).exists() else path

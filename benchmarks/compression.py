"""What a model costs and keeps in each form that `export` knows: `python -m benchmarks.compression CONFIG`.

CONFIG is a run that was built and trained. Every form is exported from its `bundle/` and measured like it, on the test
split: bytes of `model.safetensors`, users a second of the batch job, users a second of onnxruntime one by one and in
blocks of 64 (the whole list, top 20), and recall@20 beside the original's. Prints a Markdown table.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from gnn.bundle.bundle import load_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.onnx_graph import NOTHING
from gnn.bundle.quantised import PRECISIONS
from modalweave.config import load_config
from modalweave.progress import Stages
from modalweave.stages.inputs import read_graph
from modalweave.stages.measured import measure
from modalweave.workspace import Workspace
from scoring.config import ScoringConfig
from scoring.job import run_job

USERS = 512
"""Of the batch job and of onnxruntime in blocks; one by one it is an eighth."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--dimensions", type=int, nargs="*", default=[], help="as one dot product of these, too")
    args = parser.parse_args()
    config = load_config(args.config, ())
    data, source = read_graph(config, Stages(quiet=True)), Workspace(config.workspace).bundle
    print("| form | MB | of it | batch job, users/s | onnxruntime, users/s | in blocks | recall@20 | kept |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    first: tuple[int, float] | None = None
    for dimensions, precision in itertools.product([None, *args.dimensions], PRECISIONS):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            export_bundle(source, out, precision=precision, dimensions=dimensions, onnx=True)
            size = (out / "model.safetensors").stat().st_size
            recall = measure(load_bundle(out).scorer, data, "test", config.evaluation, seed=0).summary["recall@20"]
            first = first or (size, recall["mean"])
            users = len(load_bundle(out).user_ids)
            speeds = (_batch(out, Path(folder)), *_onnx(out / "scorer.onnx", min(USERS, users)))
        form = precision if dimensions is None else f"{dimensions} dimensions, {precision}"
        shown = " | ".join(f"{speed:,.0f}" for speed in speeds)
        kept = f"{recall['mean']:.4f} | {recall['mean'] / first[1]:.3f}"
        print(f"| {form} | {size / 1e6:.2f} | 1/{first[0] / size:.1f} | {shown} | {kept} |", flush=True)


def _batch(bundle: Path, folder: Path) -> float:
    """Users a second of the job on the first users, loading apart."""
    users = load_bundle(bundle).user_ids[:USERS]
    runs = iter(range(10))
    loading = _best(lambda: load_bundle(bundle))
    whole = _best(lambda: run_job(bundle, folder / str(next(runs)), ScoringConfig(top_k=20), users=users))
    return len(users) / max(whole - loading, 1e-6)


def _onnx(model: Path, users: int) -> tuple[float, float]:
    """Users a second one by one and in blocks of 64, on one thread, of the first users."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    names = {entry.name for entry in session.get_inputs()}
    rest = {name: array for name, array in {**NOTHING, "k": np.array([20])}.items() if name in names}

    def rate(block: int, count: int) -> float:
        blocks = np.split(np.arange(count), range(block, count, block))
        return count / _best(lambda: [session.run(["items", "scores"], {"users": b, **rest}) for b in blocks])

    return rate(1, max(1, users // 8)), rate(64, users)


def _best(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()

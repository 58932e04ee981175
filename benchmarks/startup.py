"""CPU seconds (user and system, children included) of commands on the demo, each in a process of its own.

    python -m benchmarks.startup --demo demo [--code FOLDER] [--times 5]

`--demo` is what `modalweave demo` left; it is copied, so nothing in it changes. `--code` runs another checkout of
Modalweave instead of this one, for a before beside an after. Prints one JSON object: command -> median seconds.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_MAIN = "from modalweave.cli import main; main()"
_USER, _ITEM = "u001", "i001"


def commands(demo: Path) -> dict[str, list[str]]:
    """What is measured; `demo` holds `demo/catalogue` and `demo/run`, as the run's config names them."""
    store, config = ["--store", f"ladybug:{demo / 'run' / 'graph'}"], str(demo / "run" / "config.yaml")
    return {
        "--help": ["--help"],
        "--version": ["--version"],
        'cypher "RETURN 1"': ["cypher", "RETURN 1", *store],
        "cypher --list": ["cypher", "--list"],
        "stats": ["stats", *store],
        "explain (paths)": ["explain", "--user", _USER, "--item", _ITEM, *store],
        "doctor": ["doctor"],
        "cache CONFIG": ["cache", config],
        "build CONFIG, unchanged": ["build", config],
        "score BUNDLE": ["score", str(demo / "run" / "bundle"), "--out", str(demo / "scores")],
    }


def seconds(arguments: list[str], *, code: Path, folder: Path) -> float | None:
    """CPU seconds of one command; None where that code has no such command."""
    shutil.rmtree(folder / "demo" / "scores", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _MAIN, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        return None
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(demo: Path, code: Path, times: int) -> dict[str, float | None]:
    """Median over `times` runs, after one that fills caches and brings the graph up to that code's format."""
    found: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(demo, folder / "demo")
        for label, arguments in commands(Path("demo")).items():
            seconds(arguments, code=code, folder=folder)
            runs = [seconds(arguments, code=code, folder=folder) for _ in range(times)]
            measured = [run for run in runs if run is not None]
            found[label] = round(statistics.median(measured), 2) if measured else None
            print(f"{label}: {found[label]}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Parse the arguments and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder that `modalweave demo` left")
    parser.add_argument("--code", type=Path, default=ROOT, help="checkout whose command line is measured")
    parser.add_argument("--times", type=int, default=5, help="runs of each command")
    given = parser.parse_args()
    print(json.dumps(measure(given.demo.resolve(), given.code.resolve(), given.times), indent=2))


if __name__ == "__main__":
    main()

"""The studies in `docs/study`: what each modality, relation and training option is worth on the public datasets.

    python -m benchmarks.study --data FOLDER [--sets lastfm tiktok baby] [--out runs/study] [--markdown docs/study]

FOLDER holds the `.npz` files that `benchmarks.datasets` reads. Each network is trained with three seeds and measured on
test; runs that are there from an earlier call are used again.
"""

import argparse
from pathlib import Path

from benchmarks.sets import FILES, prepared
from modalweave.progress import Stages
from modalweave.study.study import study


def main() -> None:
    """Run the studies from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=["lastfm", "tiktok", "baby"], choices=list(FILES))
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    parser.add_argument("--markdown", type=Path, default=Path("docs/study"))
    arguments = parser.parse_args()
    for name in arguments.sets:
        config = prepared(name, arguments.data, arguments.out / name)
        study(config, split="test", markdown=arguments.markdown, stages=Stages())


if __name__ == "__main__":
    main()

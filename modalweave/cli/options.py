"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The run's YAML config file.", show_default=False)]
Override = Annotated[
    list[str] | None, typer.Option("--set", help="Override one key, e.g. `--set gnn.embedding_dim=128`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one machine-readable object on stdout.")]

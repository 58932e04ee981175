"""The command `serve`: the explorer in a browser, and its JSON API."""

from pathlib import Path
from typing import Annotated

import typer

from modalweave.cli.explore import StoreOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(serve)


def serve(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The run's config file.")] = None,
    store: StoreOption = None,
    bundle: Annotated[Path | None, typer.Option(help="The model to ask; else the run's.")] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Another run's config, e.g. of one modality: its lists stand beside.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; other than this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8420,
    name: Annotated[
        list[str] | None, typer.Option(help="A host name under which it is reached; may be repeated.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the first page in the browser.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Requests worked on at once; as many again times 8 wait.")] = 8,
) -> None:
    """The explorer: pages on the graph, its media, recommendations and their reasons, and a JSON API.

    For this machine alone, unless `--host` says otherwise; then readers give the token that the environment variable
    MODALWEAVE_TOKEN holds. Nothing is written, nothing is asked of other servers. Ctrl-C ends it.
    """
    from modalweave.stages.serve import serve as run

    names = tuple(name or ())
    others = tuple(beside or ())
    run(
        config, store=store, bundle=bundle, host=host, port=port, names=names, at_once=at_once, show=show, beside=others
    )

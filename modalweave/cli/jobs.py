"""The commands over a trained model: `score`, `similar` and `retract`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from modalweave.cli.options import AsJson

BundleArgument = Annotated[
    Path,
    typer.Argument(help="A bundle, or a run (its config or workspace): the model it serves.", show_default=False),
]
OutOption = Annotated[
    str,
    typer.Option(
        "--out", help="Folder for the shards, or an address: `s3://BUCKET/PREFIX`, `gs://...`.", show_default=False
    ),
]
PartitionOption = Annotated[
    Literal["shard"] | None, typer.Option(help="Hive partitions, `shard=00000/part.parquet`, ...", show_default=False)
]
FormatOption = Annotated[Literal["parquet", "csv"], typer.Option("--format", help="Of the part files.")]
TitlesOption = Annotated[bool, typer.Option("--titles", help="Add the items' titles.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace another job's parts in the folder.")]
ByOption = Annotated[
    Literal["model", "text", "image", "audio"],
    typer.Option(help="What makes items alike: what the model learned, or a modality's vectors in the graph."),
]
NewItemsOption = Annotated[
    Path | None,
    typer.Option(
        help="A dataset folder with items that came after training: their media are encoded and linked to what is "
        "there, and they are in the lists, too; nothing is trained."
    ),
]
IndexOption = Annotated[
    Literal["exact", "hnsw", "ivf_pq"],
    typer.Option(
        help="Rank every item, or what an approximate index of a single dot product's items finds; the share of the "
        "exact lists that is found is measured and told (`index_recall`)."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processes, each with the model in memory (Ray: 2)."),
]

EngineOption = Annotated[Literal["local", "ray"], typer.Option(help="This machine, or Ray workers (extra `ray`).")]
AddressOption = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster, HOST:PORT; else --engine ray starts one on this machine."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(score)
    app.command()(similar)
    app.command()(retract)


def score(
    bundle: BundleArgument,
    out_dir: OutOption,
    top_k: Annotated[int, typer.Option(min=1, help="Recommendations per user.")] = 20,
    users: Annotated[
        Path | None, typer.Option(help="Only these users: one id a line, or Parquet / CSV with user_id.")
    ] = None,
    histories: Annotated[
        Path | None,
        typer.Option(
            help="Score the people in this file, known or not, by what they chose: Parquet / CSV with user_id, item_id "
            "[, weight]; nothing is trained."
        ),
    ] = None,
    new_items: NewItemsOption = None,
    new_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of each list that goes to items nobody has yet.")
    ] = 0.0,
    items: Annotated[
        Path | None,
        typer.Option(
            help="Only these items: one id a line, or Parquet / CSV with item_id and any attributes of today, which "
            "go before those known at training."
        ),
    ] = None,
    exclude: Annotated[Path | None, typer.Option(help="Never these items: out of stock, advertised already.")] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Only items for which this holds, as in SQL: \"price < 20 and category = 'lamp'\"."),
    ] = None,
    at_most: Annotated[int | None, typer.Option(min=1, help="Items in a list with the same value of --per.")] = None,
    per: Annotated[str | None, typer.Option(help="The attribute that --at-most counts by, e.g. `brand`.")] = None,
    diversity: Annotated[
        float, typer.Option(min=0, max=0.99, help="From 0 to 1: what it counts that a list has a like item already.")
    ] = 0.0,
    by: ByOption = "model",
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="List what a user has chosen already, too.")
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Score these links alone, seen or not: Parquet / CSV with user_id and item_id."),
    ] = None,
    index: IndexOption = "exact",
    shard_size: Annotated[int, typer.Option(min=1, help="Users per part file.")] = 10_000,
    form: FormatOption = "parquet",
    partition_by: PartitionOption = None,
    titles: TitlesOption = False,
    reasons: Annotated[
        Literal["en", "zh"] | None,
        typer.Option(help="Add a column `reason`: why the item, in words for the customer, from the run's graph."),
    ] = None,
    tone: Annotated[
        str | None,
        typer.Option(help="Of --reasons: the run's language model words the sentences so, e.g. `like a bookseller`."),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    workers: WorkersOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse users and items that the model does not know.")
    ] = False,
    overwrite: OverwriteOption = False,
    write_back: Annotated[str | None, typer.Option(help="Store that gets the RECOMMENDED links.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score every user against the whole catalogue; the same call again resumes where it stopped.

    Under restrictions a list is the exact best of what is left.
    """
    if tone is not None and reasons is None:
        raise typer.BadParameter("--tone is of --reasons; name their language, too")
    from modalweave.cli import tables
    from modalweave.progress import Stages
    from modalweave.stages import score as scoring
    from modalweave.stages.score_files import read_histories, read_restrictions, read_users

    options = {
        "top_k": top_k,
        "new_items": new_share,
        "index": index,
        "diversity": diversity,
        "shard_size": shard_size,
        "format": form,
        "partition_by": partition_by,
        "titles": titles,
        "engine": engine,
        "ray_address": address,
        "workers": workers,
    }
    restrictions = read_restrictions(
        items=items,
        exclude=exclude,
        where=where,
        include_seen=include_seen,
        at_most=at_most,
        per=per,
        pairs=pairs,
    )
    with _terminated_between_parts() as stop:
        result = scoring.score(
            bundle,
            out_dir,
            options,
            users=None if users is None else read_users(users),
            restrictions=restrictions,
            by=by,
            reasons=reasons,
            tone=tone,
            new_items=new_items,
            histories=None if histories is None else read_histories(histories),
            strict=strict,
            write_back=write_back,
            fresh=overwrite,
            stop=stop,
            stages=Stages(quiet=as_json),
        )
    tables.finish(result, as_json, tables.scores)


def similar(
    bundle: BundleArgument,
    out_dir: OutOption,
    by: ByOption = "model",
    new_items: NewItemsOption = None,
    top_k: Annotated[int, typer.Option(min=1, help="Similar items of each item.")] = 20,
    index: IndexOption = "exact",
    shard_size: Annotated[int, typer.Option(min=1, help="Items per part file.")] = 10_000,
    form: FormatOption = "parquet",
    partition_by: PartitionOption = None,
    titles: TitlesOption = False,
    engine: EngineOption = "local",
    address: AddressOption = None,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    as_json: AsJson = False,
) -> None:
    """List what is most like each item of the catalogue; the same call again resumes where it stopped."""
    from modalweave.cli import tables
    from modalweave.progress import Stages
    from modalweave.stages import score as scoring

    options = {
        "top_k": top_k,
        "index": index,
        "shard_size": shard_size,
        "format": form,
        "partition_by": partition_by,
        "titles": titles,
        "engine": engine,
        "ray_address": address,
        "workers": workers,
    }
    with _terminated_between_parts() as stop:
        stages = Stages(quiet=as_json)
        result = scoring.similar(
            bundle, out_dir, options, by=by, new_items=new_items, fresh=overwrite, stop=stop, stages=stages
        )
    tables.finish(result, as_json, tables.scores)


def retract(
    model: Annotated[str, typer.Option(help="The links' `model`: the bundle's hash.", show_default=False)],
    config: Annotated[Path | None, typer.Argument(help="The run whose store to clean.")] = None,
    store: Annotated[
        str | None, typer.Option(help="`ladybug:PATH` or a Bolt address; else the config's store.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete the RECOMMENDED links that a model wrote back; other models' links stay."""
    from modalweave.cli import tables
    from modalweave.stores import retract_model

    tables.finish(retract_model(store, config, model), as_json, tables.pairs)


@contextmanager
def _terminated_between_parts() -> Iterator[Callable[[], bool]]:
    """SIGTERM, as a scheduler sends it, lets the part under way be finished; the command then exits 143."""
    from modalweave.stages.score import stopping_on_sigterm
    from scoring.errors import Stopped

    try:
        with stopping_on_sigterm() as stop:
            yield stop
    except Stopped as stopped:
        typer.echo(f"modalweave: {stopped}", err=True)
        raise typer.Exit(143) from None

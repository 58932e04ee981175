"""The `modalweave` command. Each command explains itself with `--help`.

Commands import what they need themselves: torch alone takes seconds, and `--help` should not.
"""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

import typer

from common.text import one_line, printable
from modalweave.cli import ab, experiments, explore, jobs, language, serve, surveys
from modalweave.cli.options import AsJson, Config, Override

app = typer.Typer(
    name="modalweave",
    help="Recommendations from a cross-modal knowledge graph of users, items, pictures, sounds and words.",
    epilog="Start with `modalweave demo`; then `modalweave run CONFIG` on your own catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
explore.register(app)
experiments.register(app)
jobs.register(app)
language.register(app)
surveys.register(app)
ab.register(app)
serve.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        import modalweave

        print(modalweave.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of the command itself."""


Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad row instead of quarantining it.")]


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the catalogue and the run.")] = Path("demo"),
    store: Annotated[
        str, typer.Option(help="`ladybug`, `neo4j` (NEO4J_URI, else bolt://127.0.0.1:7687) or an address.")
    ] = "ladybug",
    items: Annotated[int, typer.Option(min=50, help="Items of the catalogue.")] = 300,
    users: Annotated[int, typer.Option(min=50, help="Users of the catalogue.")] = 500,
    serve_it: Annotated[bool, typer.Option("--serve", help="End in the browser, in the explorer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic sample catalogue, then build, train, evaluate, score and explain on it."""
    from modalweave.cli import tables
    from modalweave.progress import Stages
    from modalweave.sample.demo import run_demo

    result = run_demo(out_dir, store=store, items=items, users=users, stages=Stages(quiet=as_json))
    tables.finish(result, as_json, tables.demo)
    if serve_it:
        from modalweave.stages.serve import serve

        serve(out_dir / "demo.yaml", store=None, bundle=None, host="127.0.0.1", port=8420, show=True)


@app.command()
def build(
    config: Config,
    override: Override = None,
    strict: Strict = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what the source no longer has.")] = False,
    bulk: Annotated[bool, typer.Option("--bulk", help="Load through neo4j-admin (the server stopped).")] = False,
    neo4j_home: Annotated[
        Path | None,
        typer.Option(envvar="NEO4J_HOME", help="--bulk: a local server's folder; else a command to copy."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="--bulk: replace an existing database whole.")] = False,
    as_json: AsJson = False,
) -> None:
    """Source -> tables -> embeddings -> graph store; prints the coverage report."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages import build as building
    from modalweave.stages.bulk_load import BulkOptions

    settings = load_config(config, override or ())
    options = BulkOptions(neo4j_home, overwrite) if bulk else None
    result = building.build(settings, strict=strict, prune=prune, bulk=options, stages=Stages(quiet=as_json))
    tables.finish(result, as_json, tables.build)


@app.command()
def train(config: Config, override: Override = None, as_json: AsJson = False) -> None:
    """Graph store -> trained bundle, validation.json and the resolved config in the workspace."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages import train as training

    settings = load_config(config, override or ())
    tables.finish(training.train(settings, stages=Stages(quiet=as_json)), as_json, tables.metrics)


@app.command()
def evaluate(
    config: Config,
    split: Annotated[Literal["test", "valid"], typer.Option(help="Which held-out interactions.")] = "test",
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Metrics beside baselines, what lists are like and for whom, with intervals; report.html in the workspace."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages import evaluate as evaluation

    settings = load_config(config, override or ())
    result = evaluation.evaluate(settings, split=split, stages=Stages(quiet=as_json))
    tables.finish(result, as_json, tables.metrics)


@app.command()
def refit(config: Config, override: Override = None, as_json: AsJson = False) -> None:
    """What validation chose, fitted anew on all interactions -> the model to serve in serving/."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages import refit as refitting

    settings = load_config(config, override or ())
    tables.finish(refitting.refit(settings, stages=Stages(quiet=as_json)), as_json, tables.refit)


@app.command()
def run(
    config: Config,
    override: Override = None,
    strict: Strict = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what the source no longer has.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build, train, evaluate, refit and score in one go."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages.run import run as run_all

    settings = load_config(config, override or ())
    result = run_all(settings, strict=strict, prune=prune, stages=Stages(quiet=as_json))
    tables.finish(result, as_json, tables.run)


@app.command()
def export(
    bundle: jobs.BundleArgument,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder for the export.", show_default=False)] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Add scorer.onnx: users in, their best items out.")] = False,
    precision: Annotated[
        Literal["float32", "float16", "int8", "pq"],
        typer.Option(help="Number format; pq: vectors as product codes, a byte for two numbers."),
    ] = "float32",
    to: Annotated[
        str | None,
        typer.Option(
            help="Vectors of users and items only, into parquet, pgvector, lancedb or qdrant (as NAME:PLACE, "
            "or NAME with --out), or a Bolt address."
        ),
    ] = None,
    new_items: Annotated[
        Path | None,
        typer.Option(help="With --to: a dataset folder with items that came after training, which get vectors, too."),
    ] = None,
    item_encoder: Annotated[
        bool,
        typer.Option("--item-encoder", help="Add item_encoder.onnx: an item's media vectors in, its vector out."),
    ] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Add what MLflow loads the copy by.")] = False,
    hub: Annotated[bool, typer.Option("--hub", help="A card with the head that Hugging Face's hub reads.")] = False,
    dimensions: Annotated[
        int | None,
        typer.Option(min=2, help="Make the model one dot product of vectors of at most so many numbers (--to: 256)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the bundle for serving elsewhere, at a chosen precision; or its vectors into a vector store."""
    if to is None and out_dir is None:
        raise typer.BadParameter("--out names the folder of the export; or --to a vector store")
    if to is not None and (onnx or hub or mlflow or item_encoder or precision != "float32"):
        raise typer.BadParameter(
            "--onnx, --item-encoder, --hub, --mlflow, --precision are of the bundle's copy, not of --to; export twice"
        )
    if item_encoder and dimensions is not None:
        raise typer.BadParameter("--item-encoder gives vectors of the model's own; leave --dimensions out")
    if to is None and new_items is not None:
        raise typer.BadParameter("--new-items adds vectors to what --to writes; a bundle is of what it was trained on")
    from modalweave.cli import tables
    from modalweave.progress import Stages
    from modalweave.stages import export as exporting

    stages = Stages(quiet=as_json)
    if to is not None:
        result = exporting.export_vectors(
            bundle, to, out_dir, dimensions=dimensions or 256, new_items=new_items, stages=stages
        )
        tables.finish(result, as_json, tables.pairs)
    elif out_dir is not None:
        copy = exporting.export(
            bundle,
            out_dir,
            onnx=onnx,
            precision=precision,
            dimensions=dimensions,
            hub=hub,
            mlflow=mlflow,
            item_encoder=item_encoder,
            stages=stages,
        )
        tables.finish(copy, as_json, tables.pairs)


@app.command()
def cache(
    config: Config,
    prune: Annotated[
        float | None, typer.Option(min=0, help="Shrink the cache to this many MB, least used first.")
    ] = None,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Show the embedding cache of a run: entries, size and hit rate; shrink it on request."""
    from modalweave.cli import tables
    from modalweave.config import load_config
    from modalweave.stages import build as building

    settings = load_config(config, override or ())
    tables.finish(building.cache_report(settings, prune_mb=prune), as_json, tables.cache)


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Argument(help="Also check this run's store and encoders.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Estimate the run's memory and time instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Versions, devices, stores and weights, and what to do about each gap."""
    if plan:
        experiments.show_plan(config, as_json)
        return
    from modalweave.cli import tables
    from modalweave.stages.doctor import examine

    settings = None
    if config is not None:
        from modalweave.config import load_config

        settings = load_config(config)
    report = examine(settings)
    tables.finish(report, as_json, tables.doctor)
    if not report.ok:
        raise typer.Exit(1)


_ROOMS = frozenset({"common", "graph", "encoders", "evaluation", "etl", "gnn", "scoring", "modalweave"})


def main() -> None:
    """Run the command line: an expected failure is one line on stderr and exit code 1."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")
    sys.warnoptions.append("ignore::FutureWarning:torch.jit._script")  # what processes of ours start with
    try:
        app()
    except SystemExit:  # the usual end: nothing below is looked up for it
        raise
    except KeyboardInterrupt:
        print("modalweave: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        absent = str(error.name).partition(".")[0]
        if absent in _ROOMS:
            raise  # a mistake of ours
        cure = "install it; `pip install modalweave` brings all that Modalweave itself needs"
        print(f"modalweave: this needs {absent}, which is not installed; {cure}", file=sys.stderr)
        sys.exit(1)
    except _expected() as error:
        from modalweave.errors import told

        print(f"modalweave: {printable(one_line(told(error), None))}", file=sys.stderr)
        sys.exit(1)


def _expected() -> tuple[type[Exception], ...]:
    """Looked up only when something was raised: the rooms' errors import the rooms."""
    from modalweave.errors import EXPECTED

    return EXPECTED

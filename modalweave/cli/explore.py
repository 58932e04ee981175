"""The commands that look into the graph: `cypher`, `explore`, `stats` and `explain`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="`ladybug:PATH` or a Bolt address (`#NAME` after it: a database); else the config's."),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="The run whose store to read.")]


def register(app: typer.Typer) -> None:
    """Add the exploration commands to the command line."""
    app.command()(cypher)
    app.command()(explore)
    app.command()(stats)
    app.command()(explain)


def cypher(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY] [CONFIG]", help="One read-only query, and/or a config file."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Run a query of the cookbook by name.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter: `key=text`, or `key:=JSON` for a number or a list.")
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the cookbook.")] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 100,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds before the query is stopped.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
    form: Annotated[
        Literal["table", "json", "csv", "parquet"] | None,
        typer.Option("--format", help="How to write the rows; else what the ending of --out says, else a table."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File for the rows.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the nodes and relationships of the result: FILE.png or FILE.html."),
    ] = None,
) -> None:
    """Explore the graph in Cypher, read-only: your own query or a named one of the cookbook."""
    from graph.cookbook.recipes import COOKBOOK
    from graph.cookbook.similarity_search import SEARCHES
    from modalweave.cli import tables
    from modalweave.explore import formats
    from modalweave.explore.queries import Question, answer, picture, titles
    from modalweave.progress import warn
    from modalweave.stores import address_of, connect

    if list_recipes:
        tables.recipes({**COOKBOOK, **SEARCHES}, as_json)
        return
    kind = formats.chosen("json" if as_json and out is None else form, out)
    query, config_path = _query_and_config(words or [], config)
    if query is None and name is None:
        raise typer.BadParameter("give a query, --name or --list")
    if query is not None and name is not None:
        raise typer.BadParameter(f"a query and --name {name!r}: give one of the two")
    question = Question(query, name, dict(_parameter(p) for p in param or ()), config_path)
    with connect(address_of(store, config_path), config_path, read_only=True) as graph:
        table, cut = answer(graph, question, limit=limit, timeout=timeout)
        warn([*graph.notes, *([f"there are more than {limit} rows; raise --limit to see them"] if cut else [])])
        named = titles(graph, table) if kind == "table" else {}
    if kind == "table":
        tables.rows(formats.as_object(table), named)
    else:
        formats.write(table, kind, out)
    written = {"out": str(out), "rows": table.num_rows} if out is not None else {}
    if plot is not None:
        written |= picture(table, question, plot).to_json()
    if written and (kind == "table" or out is not None):
        tables.finish(written, as_json, tables.pairs)


def explore(
    config_path: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The run's config file.")] = None,
    store: StoreOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 100,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds before a query is stopped.")] = 30.0,
) -> None:
    """An interactive console on the graph, read-only: queries, the cookbook, completion by Tab, history, pictures.

    The history is kept in the workspace of CONFIG. Without a terminal the lines come from a pipe.
    """
    import sys

    from modalweave.cli.repl import Console, piped, typed
    from modalweave.progress import out
    from modalweave.stores import address_of, connect

    address = address_of(store, config_path)
    with connect(address, config_path, read_only=True) as graph:
        console = Console(graph, config_path, limit=limit, timeout=timeout)
        if piped():
            console.feed(sys.stdin)
            raise typer.Exit(1 if console.failed else 0)
        out.print(f"{address}, read-only. :help tells how, :quit leaves.", markup=False, highlight=False)
        console.feed(typed(console, _history(config_path)))


def stats(
    config_path: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The run's config file.")] = None,
    store: StoreOption = None,
    around: Annotated[str | None, typer.Option(help="Only near a node, `LABEL:ID`, e.g. `Item:lamp`.")] = None,
    hops: Annotated[int, typer.Option(min=1, max=6, help="With --around: how many links away.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="With --around: at most this many nodes, nearest first.")] = 500,
    label: Annotated[list[str] | None, typer.Option(help="Only nodes of this label; may be repeated.")] = None,
    relation: Annotated[
        list[str] | None, typer.Option(help="Only relationships of this type; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Nodes listed by PageRank.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Degrees, components, communities and PageRank of the graph, of a part of it, or around a node."""
    from graph.views.networkx_view import ego_network, links_between
    from graph.views.stats import StatsConfig, graph_stats, view_stats
    from modalweave.cli import tables
    from modalweave.stores import address_of, connect

    edges, settings = links_between(label, relation), StatsConfig(top=top)
    with connect(address_of(store, config_path), config_path, read_only=True) as graph:
        if around is None:
            found = graph_stats(graph, config=settings, edges=edges, labels=label)
        else:
            kind, _, identifier = around.partition(":")
            view = ego_network(graph, kind, identifier, hops=hops, limit=limit, edges=edges)
            found = view_stats(view, config=settings)
    tables.finish(found.model_dump(), as_json, tables.stats)


def explain(
    user: Annotated[str, typer.Option(help="User id.", show_default=False)],
    item: Annotated[str, typer.Option(help="Item id.", show_default=False)],
    config_path: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The run's config file.")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    bundle: Annotated[Path | None, typer.Option(help="The model whose score to take apart; else the run's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many paths.")] = 10,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the paths: FILE.png or FILE.html.")] = None,
    in_words: Annotated[bool, typer.Option("--in-words", help="The best reasons as a short paragraph.")] = False,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of --in-words.")] = "en",
    audience: Annotated[
        Literal["customer", "analyst"], typer.Option(help="Of --in-words: a customer is told nobody else's id.")
    ] = "customer",
    tone: Annotated[
        str | None,
        typer.Option(help="Of --in-words: the run's language model words the sentences so, e.g. `like a bookseller`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Why an item: the graph's paths from what a user liked to it, and each liked item's share of the model's score.

    Paths lead over shared or alike pictures, sounds and words, shared makers and topics, and people with the same
    taste. With the Cypher that shows them in Neo4j Browser.
    """
    from modalweave.cli import tables
    from modalweave.cli.explanation_tables import explanation
    from modalweave.cli.explanation_tables import in_words as in_words_of
    from modalweave.explore.explanations import explain_item, find_bundle
    from modalweave.stores import address_of, connect

    path = config_path or config
    with connect(address_of(store, path), path, read_only=True) as graph:
        result = explain_item(graph, user, item, bundle=find_bundle(bundle, path), limit=limit, plot=plot)
    if not in_words:
        tables.finish(result, as_json, explanation)
        return
    wording = {}
    if tone is not None:
        from modalweave.config import load_config
        from modalweave.progress import Stages
        from modalweave.stages.wording import worded

        if path is None:
            raise typer.BadParameter("--tone needs the run's config file: its language_model words the sentences")
        wording = worded(load_config(path), language, tone, Stages(quiet=as_json))
    words = result.in_words(language, audience, wording=wording)
    tables.finish({**result.to_json(), "in_words": words}, as_json, lambda _: in_words_of(result, words))


def _query_and_config(words: list[str], config: Path | None) -> tuple[str | None, Path | None]:
    query: str | None = None
    for word in words:
        if word.endswith((".yaml", ".yml")):
            config = Path(word)
        elif query is None:
            query = word
        else:
            raise typer.BadParameter(f"{word!r}: one query at a time; put the whole query in quotes")
    return query, config


def _history(config: Path | None) -> Path | None:
    if config is None:
        return None
    from modalweave.config import load_config
    from modalweave.workspace import Workspace

    return Workspace(load_config(config).workspace).history


def _parameter(text: str) -> tuple[str, Any]:
    from modalweave.explore.queries import parameter

    try:
        return parameter(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

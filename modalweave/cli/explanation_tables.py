"""An explanation on a terminal."""

from evaluation.evidence import EVIDENCE
from modalweave.cli.grid import Grid, plain
from modalweave.progress import out
from modalweave.results.explanation import Explanation, ScoreParts

_KINDS = {"media": "the same {}", "similar": "alike {}", "entity": "shared entity", "user": "people of the same taste"}
_MOST_EVIDENCE = 12
_REST = {
    "user": "the user beside the history",
    "popularity": "what everybody gets",
    "start": "what every candidate begins with",
    "place": "that it is no candidate",
}


def explanation(result: Explanation) -> None:
    """The paths, what the score is made of, and the Cypher that shows the paths."""
    user, item, model = result.user, result.item, result.model
    if not result.paths:
        out.print(_nothing(result))
    else:
        share_column = ("share of the score",) if model else ()
        grid = Grid(f"Why {item} for {user}", "kind", "strength", *share_column, "because")
        for path in result.paths:
            share = (_percent(path.share),) if model else ()
            kind = _KINDS[path.kind].format(path.modality)
            grid.add_row(kind, f"{path.score:.3f}", *share, path.sentence)
        out.print(grid)
    if model:
        _score(model)
    else:
        out.print(f"[yellow]note[/yellow] {plain(str(result.note))}")
    for shown in result.cypher:
        kind = _KINDS[shown.kind].format(shown.modality)
        out.print(f"\nIn Neo4j Browser ({kind}):", markup=False)
        out.print(plain(shown.browser), soft_wrap=True, highlight=False)


def in_words(result: Explanation, words: str) -> None:
    """The paragraph alone, as it may be copied."""
    out.print(plain(words) if words else _nothing(result), soft_wrap=True, highlight=False)


def _nothing(result: Explanation) -> str:
    return f"No path of the graph leads from what {plain(result.user)} liked to {plain(result.item)}."


def _score(model: ScoreParts) -> None:
    if model.evidence:
        grid = Grid(f"The score {model.score:.4g} by kind of evidence, exactly", "evidence", "gives")
        named = sorted(model.evidence.items(), key=lambda pair: -abs(pair[1]))
        for name, value in named[:_MOST_EVIDENCE]:
            grid.add_row(EVIDENCE.get(name, f"in common: {name}"), f"{value:+.4g}")
        if left := named[_MOST_EVIDENCE:]:
            grid.add_row(f"{len(left)} other kinds together", f"{sum(value for _, value in left):+.4g}")
        grid.add_row(_REST["start"], f"{model.rest['start']:+.4g}")
        out.print(grid)
    how = "exactly" if model.exact else "in part by estimate"
    grid = Grid(f"The score {model.score:.4g}, taken apart {how}")
    for column in ("from", "gives", "share", "by"):
        grid.add_column(column, overflow="fold", justify="left" if column in ("from", "by") else "right")
    for row in model.history:
        by = ", ".join(f"{name} {value:.3g}" for name, value in row.by.items())
        grid.add_row(row.title, f"{row.contribution:.4g}", _percent(row.share), by)
    if abs(model.others) > 1e-9:
        grid.add_row("other items of the history", f"{model.others:.4g}", _of(model.others, model), "")
    for name, value in model.rest.items():
        grid.add_row(_REST.get(name, EVIDENCE.get(name, name)), f"{value:.4g}", _of(value, model), "")
    out.print(grid)


def _of(value: float, model: ScoreParts) -> str:
    return _percent(value / model.score if model.score > 0 else None)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"

"""Templates filled in: every text of a catalogue is escaped, and the reader's language is spoken."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from graph.cookbook.recipes import COOKBOOK
from graph.errors import GraphError
from graph.readonly.guard import MAX_QUERY_CHARACTERS
from modalweave.errors import RunError
from modalweave.results.words import sentence
from modalweave.serve import charts, shown
from modalweave.serve.explorer import Explorer
from modalweave.serve.language import COOKIE, LANGUAGES, language_of, translator

_YEAR = 365 * 86_400


class Pages:
    """The templates, and what all of them show of the run."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._seal = secrets.token_urlsafe(32)
        """Only our own pages know it: a form without it was not sent from one."""
        folder = Path(__file__).parent / "templates"
        self._templates = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"day": _day, "number": _number, "plain": shown.plain}
        self._templates.globals |= {
            "columns": charts.columns,
            "track": charts.track,
            "shown": shown,
            "sentence": sentence,
        }

    def show(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page; a language named in the address is kept for the next ones."""
        answer = self.part(request, template, status=status, **values)
        if request.query_params.get("lang") in LANGUAGES:
            answer.set_cookie(COOKIE, language_of(request), max_age=_YEAR, samesite="strict")
        return answer

    def part(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A piece of a page, or one without anything to keep."""
        language = language_of(request)
        others = {name: address(request, lang=code) for code, name in LANGUAGES.items() if code != language}
        html = self._templates.get_template(template).render(
            say=translator(language),
            language=language,
            others=others,
            explorer=self._explorer,
            here=request.url.path,
            seal=self._seal,
            more=partial(_more, request),
            **values,
        )
        return HTMLResponse(html, status)

    def failure(self, request: Request, reason: str, status: int) -> HTMLResponse:
        """A page that says in one line what is wrong and what to do."""
        return self.show(request, "failure.html", status=status, reason=reason)

    def check_seal(self, given: str) -> None:
        """Raises `RunError` for a form that no page of ours has sent."""
        if not secrets.compare_digest(given.encode(), self._seal.encode()):
            raise RunError("the form is of an earlier start of the server, or of another site; load the page again")

    def cypher(
        self, request: Request, *, query: str, name: str, limit: int, view: str, asked: str = "", reason: str = ""
    ) -> HTMLResponse:
        """The query's rows, or why there are none: a mistake is answered beside the query, which stays.

        `asked` is the question in plain words that the query was made of, `reason` why none was.
        """
        recipe = COOKBOOK.get(name)
        text = query or (recipe.cypher.strip() if recipe is not None else "")
        given = self.parameters(request)
        values: dict[str, Any] = {"rows": None, "drawing": None, "items": None, "reason": reason, "titles": {}}
        missing = (
            [key for key, default in recipe.parameters.items() if default is None and key not in given]
            if recipe
            else []
        )
        if text and not missing:
            filled = {**_defaults(recipe), **given} if recipe is not None else given
            try:
                values |= _answered(self._explorer, text, filled, limit, view)
            except GraphError as error:
                values["reason"] = str(error)
        return self.show(
            request,
            "cypher.html",
            status=400 if values["reason"] else 200,
            query=text,
            asked=asked,
            name=name,
            limit=limit,
            view=view,
            given=given,
            recipe=recipe,
            missing=missing,
            cookbook=COOKBOOK,
            vocabulary=json.dumps(self._explorer.vocabulary()),
            longest=MAX_QUERY_CHARACTERS,
            **values,
        )

    def parameters(self, request: Request) -> dict[str, Any]:
        """`p.NAME=VALUE` of an address; a value that is a JSON number, list or truth is that, any other is text."""
        found = {key[2:]: value for key, value in request.query_params.items() if key.startswith("p.") and value}
        return {key: _value(value) for key, value in found.items()}


def address(request: Request, **changed: str) -> str:
    """The page's own address with some parameters changed."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in changed]
    return f"{request.url.path}?{urlencode([*kept, *changed.items()])}"


def _more(request: Request, **added: str) -> str:
    """The page's own address with further parameters."""
    return f"{request.url.path}?{urlencode([*request.query_params.multi_items(), *added.items()])}"


def _answered(explorer: Explorer, text: str, given: Mapping[str, Any], limit: int, view: str) -> dict[str, Any]:
    if view == "graph":
        return {"drawing": explorer.drawn(text, given, timeout=10)}
    rows = explorer.cypher(text, given, limit=limit, timeout=10)
    if view == "pictures":
        return {"rows": rows, "items": explorer.items_of(rows)}
    named = [
        str(cell) for row in rows.rows for name, cell in zip(rows.columns, row, strict=True) if shown.is_item(name)
    ]
    return {"rows": rows, "titles": explorer.cards(named)}


def _defaults(recipe: Any) -> dict[str, Any]:
    return {key: value for key, value in recipe.parameters.items() if value is not None}


def _value(text: str) -> Any:
    if text[:1] in "-0123456789[" or text in ("true", "false"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _day(seconds: int | None) -> str:
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _number(value: float | int) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"

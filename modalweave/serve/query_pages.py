"""The pages of queries: written by hand, taken from the cookbook, or made of a question in plain words."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from encoders.errors import EncoderError
from modalweave.errors import RunError
from modalweave.serve.explorer import Explorer
from modalweave.serve.render import Pages


def routes(explorer: Explorer, pages: Pages) -> APIRouter:
    """The page, its rows as files, and the question that becomes a query."""
    site = APIRouter(include_in_schema=False)

    @site.get("/cypher")
    def cypher(
        request: Request,
        query: Annotated[str, Query(max_length=20_000)] = "",
        name: Annotated[str, Query(max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        view: Literal["table", "graph", "pictures"] = "table",
        asked: Annotated[str, Query(max_length=2000)] = "",
    ) -> Response:
        return pages.cypher(request, query=query, name=name, limit=limit, view=view, asked=asked)

    @site.post("/cypher/ask")
    def ask(
        request: Request,
        question: Annotated[str, Form(min_length=1, max_length=2000)],
        seal: Annotated[str, Form(max_length=200)],
    ) -> Response:
        pages.check_seal(seal)
        try:
            query = explorer.ask(question, timeout=10)
        except (RunError, EncoderError) as error:
            return pages.cypher(request, query="", name="", limit=100, view="table", asked=question, reason=str(error))
        return RedirectResponse("/cypher?" + urlencode({"asked": question, "query": query}), 303)

    @site.get("/cypher/rows")
    def rows(
        request: Request,
        query: Annotated[str, Query(min_length=1, max_length=20_000)],
        format: Literal["csv", "json", "parquet"],
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    ) -> Response:
        content, kind = explorer.download(query, pages.parameters(request), format, limit=limit)
        headers = {"Content-Disposition": f'attachment; filename="rows.{format}"'}
        return Response(content, media_type=kind, headers=headers)

    return site

"""The server: the API and the pages behind one guard."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import modalweave
from common.text import one_line
from graph.errors import StoreMissing
from modalweave.errors import EXPECTED, told
from modalweave.serve import api, login, pages, query_pages
from modalweave.serve.explorer import Explorer, NotReady
from modalweave.serve.guard import Access, Guard
from modalweave.serve.queries import NotThere
from modalweave.serve.render import Pages

_STATIC = Path(__file__).parent / "static"


def make_app(explorer: Explorer, access: Access) -> ASGIApp:
    """The explorer as an ASGI application, guard and all."""
    app = FastAPI(
        title="Modalweave",
        version=modalweave.__version__,
        summary="Questions to a cross-modal knowledge graph and to the model trained on it.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_closing(explorer),
    )
    shown = Pages(explorer)
    app.include_router(api.routes(explorer))
    app.include_router(pages.routes(explorer, shown))
    app.include_router(query_pages.routes(explorer, shown))
    app.include_router(login.routes(shown, access))
    app.mount("/static", _Kept(directory=_STATIC))
    for kind in (*EXPECTED, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answering(shown))
    return Guard(app, access)


def _closing(explorer: Explorer) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        explorer.close()

    return lifespan


class _Kept(StaticFiles):
    """Files that come with the package: a browser may keep them for an hour."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = "private, max-age=3600"
        return answer


def _answering(shown: Pages) -> Callable[[Request, Exception], Response]:
    """What went wrong in one line: as JSON to a program, as a page to a person."""

    def answer(request: Request, error: Exception) -> Response:
        reason, status = _reason(error)
        if request.url.path.startswith(("/api/", "/media/")):
            return JSONResponse({"error": reason}, status)
        return shown.failure(request, reason, status)

    return answer


def _reason(error: Exception) -> tuple[str, int]:
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'][1:]))}: {one_line(first['msg'])}", 422
    if isinstance(error, HTTPException):
        return str(error.detail), error.status_code
    if isinstance(error, NotThere):
        return str(error), 404
    return str(told(error)), 503 if isinstance(error, NotReady | StoreMissing) else 400

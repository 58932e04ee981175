"""The pages: each shows what the explorer answers, and its state stands in its address."""

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from modalweave.serve.answers import Found
from modalweave.serve.explorer import Explorer
from modalweave.serve.language import language_of
from modalweave.serve.media import asked_range
from modalweave.serve.render import Pages
from modalweave.serve.what_if import what_if

Id = Annotated[str, Query(min_length=1, max_length=1000)]
_REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")
_FOREVER = "private, max-age=31536000, immutable"


def routes(explorer: Explorer, pages: Pages) -> APIRouter:
    """Every page, and the media that they show."""
    site = APIRouter(include_in_schema=False)

    @site.get("/")
    def overview(request: Request) -> Response:
        return pages.show(request, "overview.html", found=explorer.overview())

    @site.get("/search")
    def search(
        request: Request,
        q: Annotated[str, Query(max_length=1000)] = "",
        by: Literal["words", "text", "image", "audio"] = "words",
    ) -> Response:
        found = explorer.search(q.strip(), by, 40) if q.strip() else None
        return pages.show(request, "search.html", found=found, q=q, by=by)

    @site.post("/search")
    async def search_file(
        request: Request,
        file: Annotated[UploadFile, File()],
        modality: Annotated[Literal["image", "audio"], Form()],
        seal: Annotated[str, Form(max_length=200)],
    ) -> Response:
        pages.check_seal(seal)
        content = await file.read()
        found = await run_in_threadpool(_of_file, explorer, content, file.filename or "", modality)
        return await run_in_threadpool(pages.show, request, "search.html", found=found, q="", by=modality)

    @site.get("/item")
    def item(request: Request, id: Id) -> Response:
        return pages.show(request, "item.html", found=explorer.item(id), model=explorer.bundle_folder())

    @site.get("/user")
    def user(
        request: Request,
        id: Id,
        add: Annotated[list[str] | None, Query(max_length=50)] = None,
        remove: Annotated[list[str] | None, Query(max_length=50)] = None,
    ) -> Response:
        found = explorer.user(id)
        lists = what_if(explorer, id, [a for a in add or [] if a], remove or []) if found.known else None
        return pages.show(request, "user.html", found=found, lists=lists, model=explorer.bundle_folder())

    @site.get("/why")
    def why(request: Request, user: Id, item: Id) -> Response:
        found = explorer.explain(user, item, limit=20)
        known = explorer.cards([item, *_items(found.model)])
        title = known[item].title or item
        return pages.show(request, "why.html", found=found, cards=known, title=title, drawing=explorer.drawing(found))

    @site.get("/compare")
    def compare(
        request: Request,
        user: Annotated[str, Query(max_length=1000)] = "",
        beside: Annotated[str, Query(alias="with", max_length=1000)] = "",
    ) -> Response:
        other = explorer.beside.get(beside) or next(iter(explorer.beside.values()), None)
        columns = []
        if user and other is not None:
            columns = [(one.name, one.recommend([user], 10)[0].items) for one in (explorer, other)]
        both = set.intersection(*({item.id for item in items} for _, items in columns)) if columns else set()
        names = list(explorer.beside)
        return pages.show(
            request, "compare.html", user=user, beside=beside, others_names=names, columns=columns, both=both
        )

    @site.get("/graph")
    def graph(
        request: Request,
        label: Annotated[str, Query(max_length=100)] = "",
        id: Annotated[str, Query(max_length=1000)] = "",
        type: Annotated[list[str] | None, Query(max_length=20)] = None,
    ) -> Response:
        start = (label, id) if label and id else explorer.somewhere()
        found = explorer.around(*start, type or [], 25) if start else None
        source = (
            "/api/graph?" + urlencode({"label": start[0], "id": start[1], "type": type or []}, doseq=True)
            if start
            else ""
        )
        return pages.show(request, "graph.html", found=found, start=start, types=type or [], source=source)

    @site.get("/runs")
    def runs(request: Request) -> Response:
        return pages.show(request, "runs.html", found=explorer.products(), metrics=explorer.metrics())

    @site.get("/runs/{name}")
    def run(name: str) -> Response:
        return HTMLResponse(explorer.page(name), headers={"Content-Security-Policy": _REPORT_POLICY})

    @site.get("/parts/similar")
    def similar(request: Request, item: Id) -> Response:
        return pages.part(request, "part_cards.html", items=explorer.similar(item, "model", 8))

    @site.get("/parts/reason")
    def reason(request: Request, user: Id, item: Id) -> Response:
        found = explorer.explain(user, item, limit=6)
        return pages.part(request, "part_reason.html", words=found.in_words(language_of(request), "analyst", most=2))

    @site.get("/media/{digest}")
    def media(request: Request, digest: str) -> Response:
        found = explorer.media(digest)
        headers = {"Accept-Ranges": "bytes", "Cache-Control": _FOREVER}
        try:
            wanted = asked_range(request.headers.get("range"), len(found.content))
        except ValueError:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(found.content)}"})
        if wanted is None:
            return Response(found.content, media_type=found.type, headers=headers)
        first, last = wanted
        headers["Content-Range"] = f"bytes {first}-{last}/{len(found.content)}"
        return Response(found.content[first : last + 1], 206, media_type=found.type, headers=headers)

    return site


def _of_file(explorer: Explorer, content: bytes, name: str, modality: Literal["image", "audio"]) -> Found:
    """The search by an uploaded file, whose own name reaches no path."""
    found = _SUFFIX.search(Path(name).suffix)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"query{found.group() if found else ''}"
        path.write_bytes(content)
        return explorer.search_file(path, modality, 40)


def _items(model: Any) -> list[str]:
    return [share.item for share in model.history] if model is not None else []

"""Where a person gives the token once; a cookie that no script reads holds it from then on."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from modalweave.serve.guard import COOKIE, Access, is_token
from modalweave.serve.render import Pages

_DAYS = 30 * 86_400


def routes(pages: Pages, access: Access) -> APIRouter:
    """The form, and what becomes of it."""
    site = APIRouter(include_in_schema=False)

    @site.get("/login")
    def login(request: Request, next: Annotated[str, Query(max_length=4000)] = "/") -> Response:
        return pages.show(request, "login.html", next=_inside(next), wrong=False)

    @site.post("/login")
    async def logged_in(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
        pages.check_seal(form.get("seal", ""))
        to = _inside(form.get("next", "/"))
        if access.token is None or not is_token(form.get("token", "").strip(), access.token):
            return pages.show(request, "login.html", status=401, next=to, wrong=True)
        answer = RedirectResponse(to, 303)
        answer.set_cookie(
            COOKIE, access.token, max_age=_DAYS, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer

    return site


def _inside(address: str) -> str:
    """An address of our own, whatever was asked for."""
    plain = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if plain else "/"

"""The pages in a real browser: drawn, operable, readable for everyone, and asking nobody else."""

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

import modalweave as mw
from encoders.chat import LanguageModelConfig
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access
from tests.chat_server import ChatServer

REQUIRED = "MODALWEAVE_REQUIRE_BROWSER"
PAGES = {
    "overview": "/",
    "search": "/search?q=a",
    "item": "/item?id=i040",
    "hostile item": "/item?id=i012",
    "user": "/user?id=u001",
    "what if": "/user?id=u001&add=i041",
    "why": "/why?user=u001&item=i040",
    "graph": "/graph?label=Item&id=i040",
    "cypher": "/cypher?name=popular-items",
    "cypher graph": "/cypher?query=MATCH (i:Item)-[r:RELATED]->(e:Entity) RETURN i, r, e LIMIT 40&view=graph",
    "compare": "/compare",
    "runs": "/runs",
    "login": "/login",
    "failure": "/item?id=nobody",
}


@pytest.fixture(scope="module")
def address(explorer: Explorer) -> Iterator[str]:
    """Where the explorer is served."""
    with served(explorer, Access()) as address:
        yield address


@contextmanager
def served(explorer: Explorer, access: Access) -> Iterator[str]:
    """An address on this machine."""
    server = uvicorn.Server(uvicorn.Config(make_app(explorer, access), port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            if os.environ.get(REQUIRED):
                raise
            pytest.skip(f"no browser: apt install chromium, or playwright install chromium ({error.message[:100]})")
        yield browser
        browser.close()


def opened(browser: Browser, **how: Any) -> tuple[Page, list[str]]:
    """A page, and what goes wrong in it: errors, refused resources, requests to anywhere else."""
    page = browser.new_context(**how).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: wrong.append(request.url) if "//127.0.0.1:" not in request.url else None)
    return page, wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_used_by_everyone(browser: Browser, address: str, name: str, scheme: str) -> None:
    width = 390 if scheme == "dark" else 1280
    page, wrong = opened(
        browser, color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    )
    page.goto(address + PAGES[name], wait_until="networkidle")
    expected = (
        [] if name not in ("failure",) else ["Failed to load resource: the server responded with a status of 404"]
    )
    assert [line for line in wrong if not any(line.startswith(known) for known in expected)] == []
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    page.context.close()


def test_the_graph_is_drawn_and_grows_by_a_click(browser: Browser, address: str) -> None:
    page, wrong = opened(browser)
    page.goto(f"{address}/graph?label=Entity&id=maker:0")
    canvas = page.locator(".canvas")
    expect(canvas).to_have_attribute("data-drawn", re.compile(r"[1-9]\d*"))
    before = page.evaluate("document.querySelector('.canvas')._cyreg.cy.nodes().length")
    # the first neighbour, where it is drawn
    at = page.evaluate(
        "(() => { const n = document.querySelector('.canvas')._cyreg.cy.nodes('[label = \"Item\"]')[0];"
        " return n.renderedPosition(); })()"
    )
    canvas.click(position=at)
    expect(canvas).not_to_have_attribute("data-drawn", str(before))
    canvas.dblclick(
        position=page.evaluate(
            "document.querySelector('.canvas')._cyreg.cy.nodes('[label = \"Item\"]')[0].renderedPosition()"
        )
    )
    page.wait_for_url("**/item?id=*")
    assert wrong == []
    page.context.close()


def test_a_query_is_written_completed_and_run_by_keyboard(browser: Browser, address: str) -> None:
    page, wrong = opened(browser)
    page.goto(f"{address}/cypher")
    page.locator(".CodeMirror").click()
    page.keyboard.type("MATCH (i:It")
    page.keyboard.press("Control+Space")
    page.locator(".CodeMirror-hint", has_text="Item").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.type(") RETURN i.id AS item LIMIT 3")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**query=**")
    assert page.locator("tbody tr").count() == 3
    page.goto(f"{address}/cypher")
    expect(page.locator(".history a").first).to_contain_text("MATCH (i:Item) RETURN")
    assert wrong == []
    page.context.close()


def test_reasons_and_learned_likeness_come_by_themselves(browser: Browser, address: str) -> None:
    page, wrong = opened(browser)
    page.goto(f"{address}/user?id=u002")
    expect(page.locator(".reason p").first).to_contain_text("u002")
    page.goto(f"{address}/item?id=i040")
    expect(page.locator("#a-model ~ div .card").first).to_be_visible()
    assert wrong == []
    page.context.close()


def test_a_newcomer_finds_the_way_by_keyboard(browser: Browser, address: str) -> None:
    page, _ = opened(browser)
    page.goto(address)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.context.close()


def test_a_sound_plays(browser: Browser, address: str) -> None:
    page, wrong = opened(browser)
    page.goto(f"{address}/item?id=i040")
    seconds = page.evaluate(
        "async () => { const a = document.querySelector('audio'); a.preload = 'auto'; a.load();"
        " await new Promise((done, failed) => { a.oncanplay = done; a.onerror = failed; }); return a.duration; }"
    )
    assert seconds > 0.5 and wrong == []
    page.context.close()


def test_a_picture_of_ones_own_is_searched_by(browser: Browser, address: str, run: mw.Run) -> None:
    page, wrong = opened(browser)
    page.goto(f"{address}/search?by=image")
    picture = next(Path(run.config.source.path).rglob("*.png"))
    page.locator("input[type=file]").set_input_files(picture)
    page.locator("form.upload button").click()
    expect(page.locator("#items")).to_be_visible()
    assert page.locator(".card").count() > 0 and wrong == []
    page.context.close()


def test_a_token_is_given_in_a_form(browser: Browser, explorer: Explorer) -> None:
    with served(explorer, Access(token="let-me-in-please-1234")) as address:
        page, _ = opened(browser)
        page.goto(f"{address}/runs")
        page.locator("input[name=token]").fill("let-me-in-please-1234")
        page.locator("form.login button").click()
        page.wait_for_url("**/runs")
        page.context.close()


def test_a_question_in_plain_words_is_asked_in_a_form(browser: Browser, run: mw.Run) -> None:
    model = ChatServer(lambda asked: {"cypher": "MATCH (i:Item) RETURN i.id AS item ORDER BY item LIMIT 3"})
    settings = LanguageModelConfig.model_validate(model.config)
    explorer = Explorer(run.config.store_address, config=run.config.model_copy(update={"language_model": settings}))
    with served(explorer, Access()) as address:
        page, wrong = opened(browser, viewport={"width": 390, "height": 900})
        page.goto(f"{address}/cypher")
        page.locator("input[name=question]").fill("Which items are there?")
        page.locator("form.ask button").click()
        page.wait_for_url("**query=**")
        assert page.locator("tbody tr").count() == 3 and wrong == []
        found = Axe().run(page)
        assert not found.response["violations"], found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.context.close()
    explorer.close()

"""Who may ask, from where, and how much at once."""

import asyncio
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from modalweave.errors import RunError
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access, Guard
from modalweave.stages.serve import serve
from tests.modalweave.serve.conftest import seal_of

TOKEN = "correct horse battery staple"
CYPHER = {"query": "MATCH (i:Item) RETURN count(*) AS n"}


@pytest.fixture(scope="module")
def closed(explorer: Explorer) -> TestClient:
    """A server that asks for a token."""
    return TestClient(make_app(explorer, Access(token=TOKEN)), base_url="http://127.0.0.1:8420", follow_redirects=False)


class TestWhere:
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "[::1", "", "@"])
    def test_a_host_name_that_is_not_ours_is_refused(self, client: TestClient, host: str) -> None:
        assert client.get("/", headers={"Host": host}).status_code == 421

    @pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:8420", "192.168.0.7"])
    def test_addresses_are_ours(self, client: TestClient, host: str) -> None:
        assert client.get("/runs", headers={"Host": host}).status_code == 200

    def test_a_name_that_was_given_is_ours(self, explorer: Explorer) -> None:
        named = TestClient(make_app(explorer, Access(names=("graph.example",))), base_url="http://graph.example")
        assert named.get("/runs").status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:9999"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_another_site_may_not_post(self, client: TestClient, headers: dict[str, str]) -> None:
        assert client.post("/api/cypher", json=CYPHER, headers=headers).status_code == 403

    def test_our_own_pages_and_programs_may(self, client: TestClient) -> None:
        assert client.post("/api/cypher", json=CYPHER, headers={"Origin": "http://127.0.0.1:8420"}).status_code == 200
        assert client.post("/api/cypher", json=CYPHER).json()["rows"] == [[60]]

    def test_a_form_needs_the_seal_of_our_page(self, client: TestClient, run) -> None:
        picture = next((Path(run.config.source.path) / "images").glob("*.png"))
        for seal, status in (("wrong", 400), (seal_of(client), 200)):
            with picture.open("rb") as file:
                answer = client.post("/search", files={"file": file}, data={"modality": "image", "seal": seal})
            assert answer.status_code == status

    def test_json_has_to_say_so(self, client: TestClient) -> None:
        answer = client.post("/api/cypher", content=str(CYPHER), headers={"Content-Type": "text/plain"})
        assert answer.status_code == 422


class TestToken:
    def test_nothing_is_told_without_it(self, closed: TestClient) -> None:
        for path in ("/api/overview", "/media/" + "0" * 64, "/api/openapi.json"):
            answer = closed.get(path)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert closed.post("/api/cypher", json=CYPHER).status_code == 401
        assert closed.get("/item?id=i001").headers["location"] == "/login?next=/item%3Fid%3Di001"

    def test_whoever_has_none_learns_neither_name_nor_place(self, closed: TestClient, explorer: Explorer) -> None:
        page = closed.get("/login").text
        assert explorer.address not in page and ">pages<" not in page and "Modalweave" in page
        assert Explorer("bolt://me:secret@graph.example").address == "bolt://graph.example"

    @pytest.mark.parametrize("given", ["", "wrong", TOKEN + "x", TOKEN[:-1], "Ünïcode"])
    def test_another_does_not_open(self, closed: TestClient, given: str) -> None:
        headers = {"Authorization": f"Bearer {given}".encode()}
        assert closed.get("/api/overview", headers=headers).status_code == 401

    def test_a_program_sends_it(self, closed: TestClient) -> None:
        assert closed.get("/api/overview", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200

    def test_a_person_gives_it_once(self, explorer: Explorer) -> None:
        browser = TestClient(
            make_app(explorer, Access(token=TOKEN)), base_url="http://127.0.0.1:8420", follow_redirects=False
        )
        form = {"seal": seal_of(browser, "/login"), "token": "wrong", "next": "/runs"}
        assert browser.post("/login", data=form).status_code == 401
        entered = browser.post("/login", data={**form, "token": TOKEN})
        assert entered.status_code == 303 and entered.headers["location"] == "/runs"
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert browser.get("/runs").status_code == 200

    @pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "", "evil"])
    def test_nobody_is_led_elsewhere(self, closed: TestClient, to: str) -> None:
        form = {"seal": seal_of(closed, "/login"), "token": TOKEN, "next": to}
        assert closed.post("/login", data=form).headers["location"] == "/"

    def test_other_machines_are_not_served_without_one(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        how = {"store": "ladybug:x", "bundle": None, "port": 0, "names": (), "at_once": 1}
        monkeypatch.delenv("MODALWEAVE_TOKEN", raising=False)
        with pytest.raises(RunError, match="export MODALWEAVE_TOKEN"):
            serve(None, host="0.0.0.0", **how)
        monkeypatch.setenv("MODALWEAVE_TOKEN", "short")
        with pytest.raises(RunError, match="too short") as caught:
            serve(None, host="127.0.0.1", **how)
        assert "short" not in str(caught.value).replace("too short", "")


class TestHowMuch:
    def test_a_long_request_is_refused(self, explorer: Explorer) -> None:
        small = TestClient(make_app(explorer, Access(body=1000)), base_url="http://127.0.0.1")
        assert small.post("/api/cypher", json={"query": "x" * 2000}).status_code == 413

    def test_one_that_says_it_is_short_is_cut(self) -> None:
        got: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            message = await receive()
            got.append(len(message.get("body", b"")))

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"x" * 5000, "more_body": False}

        async def send(message: object) -> None: ...

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-length", b"5")],
        }
        asyncio.run(Guard(app, Access(body=1000))(scope, receive, send))
        assert got == [0]

    def test_further_ones_are_told_to_come_back(self) -> None:
        statuses: list[int] = []

        async def go() -> None:
            done = asyncio.Event()

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await done.wait()
                await send({"type": "http.response.start", "status": 200, "headers": []})

            async def send(message: dict[str, object]) -> None:
                if "status" in message:
                    statuses.append(int(str(message["status"])))
                    told = dict(message["headers"])
                    assert message["status"] == 200 or told[b"retry-after"] == b"1"

            guard = Guard(app, Access(at_once=2, waiting=3))
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/",
                "query_string": b"",
                "headers": [(b"host", b"localhost")],
            }
            asked = [asyncio.create_task(guard(scope, None, send)) for _ in range(9)]
            await asyncio.sleep(0.05)
            assert statuses == [503] * 4
            done.set()
            await asyncio.gather(*asked)

        asyncio.run(go())
        assert sorted(statuses) == [200] * 5 + [503] * 4


def test_every_answer_carries_the_strict_headers(client: TestClient) -> None:
    for path in ("/", "/item?id=nobody", "/static/explorer.css", "/api/overview", "/login"):
        headers = client.get(path).headers
        assert (
            "unsafe" not in headers["content-security-policy"]
            and "script-src 'self'" in headers["content-security-policy"]
        )
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"  # none, and browsers hide where a form is from
    report = client.get("/runs/report.html").headers["content-security-policy"]
    assert report.startswith("sandbox; default-src 'none'")

"""Media by URL, over a real server: only from listed hosts, bounded, kept by content."""

import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from encoders import DecodeError, DecodeLimits, EncoderError, make_encoder
from encoders.contents import MediaRef
from encoders.downloads import Downloads
from encoders.embedding import embed_media
from encoders.fetch import Host, host_of

LIMITS = DecodeLimits(bytes=5000, timeout=30.0)
HASTY = DecodeLimits(bytes=5000, timeout=1.0)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked[self.path] += 1
        path = self.path.split("?")[0]
        if path in self.server.files:
            self.answer(self.server.files[path])
        elif path == "/moved":
            self.redirect(self.server.target)
        elif path == "/loop":
            self.redirect("/loop")
        elif path == "/announced":
            self.answer(b"x", length=10**9)
        elif path == "/endless":
            self.answer(b"x" * 20_000, length=None)
        elif path == "/short":
            self.answer(b"x" * 10, length=100)
        elif path == "/zipped":
            self.answer(b"x", coding="gzip")
        elif path == "/empty":
            self.answer(b"")
        elif path == "/drip":
            self.answer(b"", length=1000)
            for _ in range(200):
                self.wfile.write(b"x")
                time.sleep(0.1)
        elif path == "/silent":
            time.sleep(20)
        else:
            self.send_error(404)

    def answer(self, body, length=-1, coding=None):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        if coding:
            self.send_header("Content-Encoding", coding)
        self.end_headers()
        self.wfile.write(body)

    def redirect(self, target):
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(**files):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.block_on_close = True, False
        server.files = {f"/{name.replace('__', '.')}": body for name, body in files.items()}
        server.asked, server.target = Counter(), "/"
        server.handle_error = lambda *_: None  # the client hanging up is what is tested
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server, f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_listed_host_is_fetched_once_and_kept_by_content(serve, tmp_path, make_sound):
    server, host = serve(a__wav=make_sound(1), copy__wav=make_sound(1), b__wav=make_sound(2), bad__wav=b"nothing")
    names = ["a.wav", "bad.wav", "copy.wav", "b.wav", "gone.wav", "a.wav?size=1"]
    refs = [MediaRef("audio", uri=f"http://{host}/{name}") for name in names]

    def run():
        downloads = Downloads(tmp_path, [host])
        return embed_media(refs, root=None, encoder=make_encoder("logmel"), downloads=downloads, workers=0)

    first = run()
    assert [bool(r) for r in first.reasons] == [False, True, False, False, True, False]
    assert first.ids[0] == first.ids[2] == first.ids[5]
    assert first.reasons[4] == "HTTP 404 Not Found"
    assert sorted(p.name for p in (tmp_path / "files").iterdir() if p.name in first.ids) == sorted(first.unique_ids)
    second = run()
    assert second.ids == first.ids and second.reasons == first.reasons
    assert server.asked == {f"/{n}": 1 for n in names} | {"/gone.wav": 2}


def test_what_was_kept_is_checked_and_fetched_again(serve, tmp_path):
    server, host = serve(a=b"right")
    url = f"http://{host}/a"
    assert Downloads(tmp_path, [host]).read(url, LIMITS) == b"right"
    next((tmp_path / "files").iterdir()).write_bytes(b"wrong")
    assert Downloads(tmp_path, [host]).read(url, LIMITS) == b"right"
    assert server.asked["/a"] == 2
    with pytest.raises(DecodeError, match="not listed"):  # also what is already here
        Downloads(tmp_path, ["elsewhere.example"]).read(url, LIMITS)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("announced", "file of 1000000000 bytes is over the limit of 5000 bytes"),
        ("endless", "over the limit of 5000 bytes"),
        ("short", "broken answer: only 10 of 100 bytes came"),
        ("zipped", "compressed"),
        ("empty", "empty"),
        ("loop", "redirected more than 5 times"),
    ],
)
def test_bad_answers_have_their_reason_and_leave_nothing(serve, tmp_path, path, reason):
    _, host = serve()
    with pytest.raises(DecodeError, match=reason):
        Downloads(tmp_path, [host]).read(f"http://{host}/{path}", LIMITS)
    assert not list((tmp_path / "files").iterdir()) and not list((tmp_path / "urls").iterdir())


@pytest.mark.parametrize("path", ["drip", "silent"])
def test_a_slow_answer_is_cut_though_bytes_still_come(serve, tmp_path, path):
    _, host = serve()
    began = time.monotonic()
    with pytest.raises(DecodeError, match="took longer than 1 s"):
        Downloads(tmp_path, [host]).read(f"http://{host}/{path}", HASTY)
    assert time.monotonic() - began < 15


def test_redirects_lead_only_to_listed_hosts(serve, tmp_path):
    first, host = serve()
    second, other = serve(a=b"here")
    first.target = f"http://{other}/a"
    with pytest.raises(DecodeError, match=f"host {other} is not listed"):
        Downloads(tmp_path, [host]).read(f"http://{host}/moved", LIMITS)
    assert not second.asked
    assert Downloads(tmp_path, [host, other]).read(f"http://{host}/moved", LIMITS) == b"here"
    first.target = "file:///etc/passwd"
    with pytest.raises(DecodeError, match="only http and https"):
        Downloads(tmp_path, [host]).read(f"http://{host}/moved?again", LIMITS)


def test_a_name_that_leads_to_a_private_address_is_refused_unless_that_is_listed(serve, tmp_path):
    server, host = serve(a=b"here")
    named = host.replace("127.0.0.1", "localhost")
    with pytest.raises(DecodeError, match=r"localhost leads to .* not a public address"):
        Downloads(tmp_path, [named]).read(f"http://{named}/a", LIMITS)
    assert not server.asked
    both = Downloads(tmp_path / "both", [named, "127.0.0.1", "[::1]"])
    assert both.read(f"http://{named}/a", LIMITS) == b"here"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://other.example/a.png", "host other.example is not listed"),
        ("http://cdn.example:8080/a.png", "host cdn.example:8080 is not listed"),
        ("http://cdn.example.evil.example/a.png", "not listed"),
        ("http://cdn.example@evil.example/a.png", "user name"),
        ("http://me:secret@cdn.example/a.png", "user name"),
        ("http://cdn.example:99999/a.png", "not a usable URL"),
        ("http://[cdn.example/a.png", "not a usable URL"),
        ("ftp://cdn.example/a.png", "only http and https"),
        ("http:///a.png", "only http and https"),
    ],
)
def test_urls_that_are_refused_unasked(tmp_path, url, reason):
    with pytest.raises(DecodeError, match=reason) as error:
        Downloads(tmp_path, ["cdn.example"]).read(url, LIMITS)
    assert "secret" not in str(error.value)


def test_hosts_as_users_write_them():
    assert host_of("https://CDN.example./a", {Host.parse("cdn.Example")}) == Host("cdn.example")
    assert host_of("http://cdn.example/a", {Host.parse("cdn.example:80")}) == Host("cdn.example")
    assert host_of("http://[::1]:8000/a", {Host.parse("[::1]:8000")}) == Host("::1", 8000)
    for wrong in ("http://cdn.example", "cdn.example/x", "*.example", "a b", "", "cdn.example:port", "me@cdn.example"):
        with pytest.raises(EncoderError, match="is not a host"):
            Host.parse(wrong)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https_asks_for_a_certificate_that_is_trusted(serve, tmp_path, monkeypatch):
    server, host = serve(a=b"here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-nodes"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *subject]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://{host}/a"
    with pytest.raises(DecodeError, match=r"cannot be reached: .*certificate verify failed"):
        Downloads(tmp_path / "d", [host]).read(url, LIMITS)
    assert not server.asked
    monkeypatch.setattr("encoders.fetch._context", lambda: ssl.create_default_context(cafile=str(certificate)))
    assert Downloads(tmp_path / "d", [host]).read(url, LIMITS) == b"here"


def test_a_host_that_does_not_answer_is_not_asked_for_ever(serve, tmp_path):
    server, host = serve()
    server.shutdown()
    server.server_close()
    downloads = Downloads(tmp_path, [host])
    for n in range(5):
        with pytest.raises(DecodeError, match="cannot be reached"):
            downloads.read(f"http://{host}/{n}", LIMITS)
    with pytest.raises(DecodeError, match="did not answer 5 times in a row"):
        downloads.read(f"http://{host}/6", LIMITS)


def test_without_listed_hosts_no_url_is_fetched(serve):
    server, host = serve(a=b"here")
    encoder = make_encoder("logmel")
    result = embed_media([MediaRef("audio", uri=f"http://{host}/a")], root=None, encoder=encoder, workers=0)
    assert "no folder" in result.reasons[0] or "URLs are not fetched" in result.reasons[0]
    assert not server.asked

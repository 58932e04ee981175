"""The `endpoint` encoder against a real server that speaks the wire format, with its faults."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from common.vectors import unit_rows
from encoders import EncoderError, make_encoder
from encoders.cache import EmbeddingCache
from encoders.contents import MediaRef
from encoders.embedding import embed_media
from tests.embedding_server import DIM, EmbeddingServer, vector_of

TEXTS = [np.array(f"text {n}") for n in range(10)]


@pytest.fixture
def serve():
    servers = []

    def start(*faults, **options):
        servers.append(EmbeddingServer(*faults, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_texts_go_in_batches_at_once_and_come_back_in_their_order(serve):
    server = serve(pause=0.1)
    encoder = make_encoder({**server.spec, "batch": 3, "concurrency": 2, "prompt": "passage: ", "characters": 6})
    assert server.asked == []  # nothing goes out before the first call
    vectors = encoder.encode(TEXTS, "text")
    assert vectors == pytest.approx(unit_rows(np.array([vector_of(f"passage: {t}") for t in TEXTS])), abs=1e-6)
    assert sorted(len(body["input"]) for _, _, body in server.asked) == [1, 3, 3, 3]
    assert server.most_at_once == 2
    path, headers, body = server.asked[0]
    assert (path, body["model"], body["encoding_format"]) == ("/v1/embeddings", "tiny", "float")
    assert "dimensions" not in body
    assert "Authorization" not in headers


def test_a_picture_goes_as_a_message_without_its_metadata(serve, make_picture):
    server = serve()
    encoder = make_encoder({**server.spec, "pixels": 32, "prompt": "Represent the given image."})
    encoder.encode([encoder.prepare(make_picture(0, "JPEG"), "image").array], "image")
    shown, said = server.asked[0][2]["messages"][0]["content"]
    kind, data = shown["image_url"]["url"].split(",")
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (kind, sent.size, sent.info) == ("data:image/png;base64", (32, 32), {})
    assert said == {"type": "text", "text": "Represent the given image."}


def test_shorter_vectors_are_asked_for(serve):
    server = serve()
    assert make_encoder({**server.spec, "dim": 4, "shorten": True}).encode(TEXTS).shape == (10, 4)
    assert server.asked[0][2]["dimensions"] == 4


@pytest.mark.parametrize("fault", [(429, {}, "slow down"), (500, {}, ""), (503, {}, "loading"), "half"])
def test_what_may_pass_is_tried_again(serve, fault):
    server = serve(fault)
    assert make_encoder(server.spec).encode(TEXTS).shape == (10, DIM)
    assert len(server.asked) == 2
    assert server.times[1] - server.times[0] > 0.3


def test_retry_after_is_kept_and_one_that_is_too_long_ends_the_build(serve):
    server = serve((429, {"Retry-After": "1"}, ""), (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, ""))
    make_encoder(server.spec).encode(TEXTS)
    first, second, third = server.times
    assert 1 <= second - first < 1.4
    assert third - second < 0.3  # a date that is past
    late = serve((429, {"Retry-After": "3600"}, "quota"))
    with pytest.raises(EncoderError, match=r"asks to wait 3,600 s \(HTTP 429 quota\)"):
        make_encoder(late.spec).encode(TEXTS)
    assert len(late.asked) == 1


@pytest.mark.parametrize(
    ("faults", "settings", "reason"),
    [
        ([(500, {}, "out of memory")] * 2, {"retries": 1}, "no answer in 2 tries: HTTP 500 out of memory"),
        (["drip"], {"retries": 0, "timeout": 0.3}, r"took longer than 0\.3 s"),
        ([(200, {}, "<html>")], {}, "answered no JSON"),
        ([(200, {}, '{"error": "x"}')], {}, "answered no embeddings: data: Field required"),
        ([(200, {}, '{"data": [{"embedding": "abcd"}]}')], {}, r"no embeddings: data\.0\.embedding"),
        (["fewer"], {}, "answered 9 vectors for 10 pieces of text"),
        (["longer"], {}, "vectors of 9 numbers, not 8; set dim"),
        ([(400, {}, "context length exceeded")], {}, "refused: HTTP 400 context length exceeded"),
        ([(307, {"Location": "http://127.0.0.1:1/"}, "")], {}, "redirects elsewhere, which is not followed"),
    ],
)
def test_what_will_not_pass_is_one_line(serve, faults, settings, reason):
    server = serve(*faults)
    with pytest.raises(EncoderError, match=reason) as error:
        make_encoder({**server.spec, **settings}).encode(TEXTS)
    assert "\n" not in str(error.value)
    assert len(server.asked) == len(faults)


def test_the_key_comes_from_the_environment_and_is_never_shown(serve, monkeypatch):
    secret = "sk-very-secret-1234"
    monkeypatch.setenv("EMBEDDINGS_API_KEY", secret)
    server = serve(None, (401, {}, f"key {secret} has no credit"))
    encoder = make_encoder({**server.spec, "key": "EMBEDDINGS_API_KEY"})
    encoder.encode(TEXTS)
    assert server.asked[0][1]["Authorization"] == f"Bearer {secret}"
    with pytest.raises(EncoderError, match=r"key \*\*\* has no credit") as error:
        encoder.encode(TEXTS)
    with pytest.raises(EncoderError, match="never the key itself") as pasted:
        make_encoder({**server.spec, "key": secret})
    assert secret not in f"{error.value}{pasted.value}{encoder.fingerprint}{encoder.sends_to}"
    with pytest.raises(EncoderError, match="NOT_SET_KEY is not set"):
        make_encoder({**server.spec, "key": "NOT_SET_KEY"}).encode(TEXTS)


@pytest.mark.parametrize(
    "address",
    ["http://example.org/v1", "ftp://127.0.0.1", "http://127.0.0.1.example.org", "https://me:pw@example.org", "x",
     "http://[::1", "http://10.0.0.1/v1", "https://example.org/v1?key=1"],
)  # fmt: skip
def test_only_https_or_this_machine(serve, address):
    with pytest.raises(EncoderError, match="endpoint: address") as error:
        make_encoder({**serve().spec, "address": address})
    assert "pw" not in str(error.value)


def test_a_budget_ends_the_build_and_what_came_is_kept(serve, tmp_path):
    server = serve()
    spec = {**server.spec, "batch": 2, "concurrency": 1}
    refs = [MediaRef("text", content=str(text)) for text in TEXTS]
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(EncoderError, match="max_requests 3; raise it to go on"):
        embed_media(refs, root=None, encoder=make_encoder({**spec, "max_requests": 3}), cache=cache)
    result = embed_media(refs, root=None, encoder=make_encoder(spec), cache=EmbeddingCache(tmp_path))
    assert (result.hits, result.encoded) == (6, 4)
    assert len(server.asked) == 5  # none was paid twice

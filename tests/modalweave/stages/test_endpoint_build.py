"""A build whose texts are embedded by a server: told first, paid once, and the key is nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedding_server import EmbeddingServer


def test_what_goes_out_is_told_and_the_key_is_in_no_file(
    tmp_path: Path, modalweave: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-very-secret-1234"
    monkeypatch.setenv("EMBEDDINGS_API_KEY", secret)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "media.csv").write_text("item_id,modality,content\ni,text,a frog\nj,text,rain\n")
    (tmp_path / "data" / "interactions.csv").write_text("user_id,item_id\nu,i\nu,j\n")
    server = EmbeddingServer((401, {}, f"no credit for {secret}"))
    spec = {**server.spec, "key": "EMBEDDINGS_API_KEY"}
    config = tmp_path / "run.yaml"
    config.write_text(
        f"name: served\nsource: {{path: {tmp_path / 'data'}}}\nworkspace: {tmp_path / 'run'}\n"
        f"encoders: {{text: {json.dumps(spec)}}}\n"
    )
    refused = modalweave("build", config)
    assert refused.code == 1 and "refused: HTTP 401 no credit for ***" in refused.err
    built = modalweave("build", config)
    assert built.code == 0, built.err
    told = f"text: up to 2 pieces, those not yet in the cache, go to {spec['address']}/embeddings (model tiny, with the"
    assert 0 <= built.err.find(told) < built.err.find("Media to embeddings")
    assert modalweave("build", config, "--json").json()["written"] == 0
    assert len(server.asked) == 2  # the refused one and one: the cache serves the third build
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files and not any(secret.encode() in path.read_bytes() for path in files)
    assert secret not in refused.err + refused.out + built.err + built.out
    server.shutdown()
    server.server_close()

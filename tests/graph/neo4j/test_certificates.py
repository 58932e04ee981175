"""A server whose certificate nobody vouches for, or that speaks no TLS: one line with the way out."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from graph import StoreError, open_store


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """A port behind a self-signed certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(client, server_side=True) as talk:
                    talk.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
def test_an_unknown_certificate(tls_port: int, scheme: str) -> None:
    with pytest.raises(StoreError, match=r"certificate is not trusted .*self-signed") as caught:
        open_store(f"{scheme}://localhost:{tls_port}", credentials=("neo4j", "secret-guess"))
    text = str(caught.value)
    assert f"use {scheme}sc:// to take it as it is, or let SSL_CERT_FILE name its authority" in text
    assert "secret-guess" not in text and "\n" not in text

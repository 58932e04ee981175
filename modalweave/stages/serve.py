"""The explorer's server, from its settings to its end."""

import ipaddress
import os
import socket
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from modalweave.config import load_config
from modalweave.errors import RunError
from modalweave.progress import err
from modalweave.stores import address_of

_TOKEN = "MODALWEAVE_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST = 16


def serve(
    config: Path | None,
    *,
    store: str | None,
    bundle: Path | None,
    host: str,
    port: int,
    names: tuple[str, ...] = (),
    at_once: int = 8,
    show: bool = False,
    beside: Sequence[Path] = (),
) -> None:
    """Serve until interrupted; `show` opens the first page in the browser.

    `RunError` where it may not listen there, or what it needs is not installed.
    """
    try:
        import uvicorn

        from modalweave.serve.app import make_app
    except ModuleNotFoundError as error:
        raise RunError(f"{error.name} is not installed; pip install 'modalweave[serve]'") from error
    from modalweave.serve.explorer import Explorer
    from modalweave.serve.guard import Access

    token = _token(host)
    settings = load_config(config) if config is not None else None
    others = [Explorer(other.store_address, config=other) for other in map(load_config, beside)]
    explorer = Explorer(address_of(store, config), config=settings, bundle=bundle, beside=others)
    if len({explorer.name, *explorer.beside}) != len(others) + 1:
        raise RunError(
            f"--beside: two runs are called {explorer.name!r} or alike; give each its own name in its config"
        )
    app = make_app(explorer, Access(token=token, names=names, at_once=at_once, waiting=8 * at_once))
    with _listening(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        first = f"http://{shown}:{listening.getsockname()[1]}/"
        err.print(f"{first} ({explorer.address}); Ctrl-C ends it", markup=False)
        if show:  # the socket listens already: a browser that comes first waits
            listening.listen()
            webbrowser.open(first)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
        server.run(sockets=[listening])


def _token(host: str) -> str | None:
    """What readers have to give. Raises `RunError` for an address that others reach without one."""
    token = os.environ.get(_TOKEN, "").strip() or None
    if token is None and not _is_here(host):
        raise RunError(
            f"--host {host} is reached from other machines; export {_TOKEN}=... (e.g. from `openssl rand -hex 32`), "
            "which readers will be asked for, or leave --host out"
        )
    if token is not None and (len(token) < _SHORTEST or not token.isascii() or not token.isprintable()):
        raise RunError(
            f"{_TOKEN} is too short or no plain text; take {_SHORTEST} characters or more, e.g. `openssl rand -hex 32`"
        )
    return token


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only on sockets that say they are TCP
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise RunError(f"--host {host} --port {port} cannot be listened on: {error.strerror}; give another") from error
    return found

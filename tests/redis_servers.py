"""A real Redis for a test: Debian's server on a free port, with nothing kept on disk."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from tests.debian import need
from tests.ports import free_port

STARTED_WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class RedisServer:
    """A Redis that was started here."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> "Redis":
        return Redis(port=self.port)

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run one while the block lasts."""
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": "/tmp"}
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    program = need("redis-server", package="redis-server")
    process = subprocess.Popen(
        [program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = RedisServer(port, process)
    try:
        _wait(server)
        yield server
    finally:
        server.kill()


def _wait(server: RedisServer) -> None:
    give_up = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < give_up and server.process.poll() is None:
        try:
            server.client.ping()
        except RedisError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("redis-server was not ready in time")

"""Asks applications of each kind as their servers would, and reads what they answer."""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.body)
        return members


Ask = Callable[..., Answer]


def ask_wsgi(application: Any, headers: dict[str, str], body: bytes = b"") -> Answer:
    environ: dict[str, Any] = {
        "HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()
    }
    if "content-length" in headers:
        environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
    environ["wsgi.input"] = io.BytesIO(body)
    started: list[Any] = []
    content = b"".join(application(environ, lambda *args: started.extend(args)))
    return Answer(int(started[0][:3]), dict(started[1]), content)


def ask_asgi(application: Any, headers: dict[str, str], body: bytes = b"") -> Answer:
    sent: list[Any] = []
    pieces = [body[:10], body[10:]]

    async def receive() -> Any:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    asyncio.run(application({"type": "http", "headers": raw}, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, sent[1]["body"])


def of_django(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)

"""Calls a WSGI application as a server does, without one."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

BEARER = {"authorization": "Bearer alices-access-token"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        return str(self.json["code"])


def call(
    application: WSGIApplication,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    **environ: Any,
) -> Answer:
    answers: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, sent: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        answers.append((status, sent))
        return io.BytesIO().write

    names = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()
    }
    request = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **names,
        **environ,
    }
    content = b"".join(application(request, start_response))
    [(status, sent)] = answers
    return Answer(int(status[:3]), dict(sent), content)

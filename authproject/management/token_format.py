"""Fills the examples of docs/token-format.md with published vectors; the prose stays as it is.

A region is `<!-- vector: PART FILE/NAME -->` … `<!-- end -->`; PART is one of PARTS.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings

PAGE = "docs/token-format.md"
WIDTH = 96
_REGION = re.compile(
    r"(<!-- vector: (\w+) ([\w-]+)(?:/([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def token_format_document() -> str:
    """Return the page with its examples as the vectors have them."""
    text = (settings.BASE_DIR / PAGE).read_text("utf-8")
    return _REGION.sub(_filled, text)


def _filled(region: re.Match[str]) -> str:
    begin, part, file, name, end = region.groups()
    return f"{begin}{PARTS[part](file, name)}\n{end}"


@cache
def _document(file: str) -> dict[str, Any]:
    path = settings.BASE_DIR / "docs" / "vectors" / f"{file}.json"
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def _vector(file: str, name: str) -> dict[str, Any]:
    return next(one for one in _document(file)["vectors"] if one["name"] == name)


def _token(file: str, name: str) -> str:
    token = _vector(file, name)["token"]
    lines = [token[start : start + WIDTH] for start in range(0, len(token), WIDTH)]
    return "\n".join(["```text", *lines, "```"])


def _decoded(file: str, name: str, segment: int) -> str:
    vector = _vector(file, name)
    # A list belongs to the token beside it.
    part = vector.get("status_list", vector["token"]).split(".")[segment]
    members = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return f"```json\n{json.dumps(members, indent=1, ensure_ascii=False)}\n```"


def _verdicts(file: str, _: str) -> str:
    rows = [f"| {one['name']} | {_verdict(one)} |" for one in _document(file)["vectors"]]
    return "\n".join(["| vector | verdict |", "|---|---|", *rows])


def _verdict(vector: dict[str, Any]) -> str:
    return f"`{vector['code']}`" if vector["code"] else vector.get("assurance", "accepted")


PARTS: dict[str, Callable[[str, str], str]] = {
    "token": _token,
    "header": lambda file, name: _decoded(file, name, 0),
    "claims": lambda file, name: _decoded(file, name, 1),
    "verdicts": _verdicts,
}

"""Runs where nothing but the wheel and its dependencies is installed: no Django, no tests.

It reads a JSON document: {readme, headers, body, jwks, answer, secret}.
"""

import importlib.util
import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import httpx


def main(arguments: dict[str, Any]) -> int:
    assert importlib.util.find_spec("django") is None
    asked: list[str] = []

    def authority(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("jwks.json"):
            return httpx.Response(200, json=arguments["jwks"])
        asked.append(request.url.path)
        return httpx.Response(200, json=arguments["answer"])

    class Pretended(httpx.Client):
        def __init__(self) -> None:
            super().__init__(transport=httpx.MockTransport(authority))

    httpx.Client = Pretended  # type: ignore[misc,assignment]  # the sample makes its own
    text = Path(arguments["readme"]).read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("\n".join(blocks), "README.md", "exec"), names)
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE transfers (account, minor)")
    database.execute(names["effects"].schema)
    names["take_delivery"](arguments["headers"], arguments["body"].encode(), database)
    rows = database.execute("SELECT account, minor FROM transfers").fetchall()
    sys.stdout.write(json.dumps({"rows": rows, "asked": asked}))
    return 0


if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))

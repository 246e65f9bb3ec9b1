"""One exchange with the authority takes no more than it was told to."""

import asyncio
import gzip

import httpx
import pytest

from batchtokens_verifier.errors import AuthorityUnavailable
from batchtokens_verifier.transport import Answer, Request, exchange, exchange_async

URL = "https://id.example/a"
BOMB = gzip.compress(bytes(10**8), mtime=0)


def asked(reply: httpx.Response, kind: str) -> Answer:
    source, request = httpx.MockTransport(lambda _: reply), Request("GET", URL, max_bytes=200_000)
    if kind == "thread":
        return exchange(httpx.Client(transport=source), request)
    return asyncio.run(exchange_async(httpx.AsyncClient(transport=source), request))


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_longest_answer_is_read_and_one_byte_more_is_not(kind: str) -> None:
    assert len(asked(httpx.Response(200, content=bytes(200_000)), kind).body) == 200_000
    with pytest.raises(AuthorityUnavailable):
        asked(httpx.Response(200, content=bytes(200_001)), kind)


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("body", [gzip.compress(b"{}", mtime=0), BOMB], ids=["small", "bomb"])
def test_compressed_answer_is_not_unpacked(kind: str, body: bytes) -> None:
    reply = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(body))

    with pytest.raises(AuthorityUnavailable):
        asked(reply, kind)

"""Judges published vectors with the verifier alone: the same program runs from the installed wheel.

`python judge.py docs/vectors` prints how many verdicts are right, and ends with 1 where one is not.
"""

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from batchtokens_verifier.checkpoints import (
    verify_checkpoint,
    verify_entry_included,
    verify_heads_consistent,
)
from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.introspections import verify_introspection
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.middleware.guards import Deliveries
from batchtokens_verifier.policy import ExecutorPolicy, authenticate_access_token
from batchtokens_verifier.receipts import verify_cancellation, verify_receipt
from batchtokens_verifier.status_cache import StatusListCache
from batchtokens_verifier.verifier import Verifier

Document = dict[str, Any]
Verdict = tuple[str | None, str | None]  # code and assurance


def judge_operation(document: Document, vector: Document) -> str:
    """Return the assurance of the verdict."""
    operation = vector.get("operation")
    verifier = verifier_of(document, vector)
    return verifier.verify(vector["token"], now=moment(vector), operation=operation).assurance


def verifier_of(document: Document, vector: Document) -> Verifier:
    """Return a verifier whose source answers with the vector's own list."""

    def source(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/jwks.json":
            return httpx.Response(200, json=document["jwks"])
        found = "status_list" in vector
        return httpx.Response(200 if found else 404, text=vector.get("status_list", ""))

    http = httpx.Client(transport=httpx.MockTransport(source))
    keys = JwksCache(f"{document['issuer']}/.well-known/jwks.json", http=http)
    asked = vector.get("policy", {}).get("require_status", False)
    lists = asked or "status_list" in vector
    return Verifier(
        ExecutorPolicy(
            document["issuer"],
            document["audience"],
            frozenset(document["operation_types"]),
            require_status=asked,
        ),
        keys,
        StatusListCache(document["issuer"], keys=keys, http=http) if lists else None,
    )


def judge_access(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    authenticate_access_token(
        vector["token"], keys=keys_of(document), now=moment(vector), **parties
    )


def judge_receipt(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    verify_receipt(vector["token"], keys=keys_of(document), **parties)


def judge_cancellation(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    verify_cancellation(vector["token"], keys=keys_of(document), **parties)


def judge_introspection(document: Document, vector: Document) -> None:
    parties = {"issuer": document["issuer"], "audience": document["audience"]}
    verify_introspection(vector["token"], keys=keys_of(document), now=moment(vector), **parties)


def judge_delivery(document: Document, vector: Document) -> None:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]  # mypy wants Self
            return moment(vector)

    guard = Deliveries(document["secret"], verifier_of(document, vector), lambda: moment(vector))
    with mock.patch("standardwebhooks.webhooks.datetime", Clock):
        guard.check(vector["headers"], vector["body"].encode())


def judge_checkpoint(document: Document, vector: Document) -> None:
    found = verify_checkpoint(vector["token"], keys=keys_of(document), issuer=document["issuer"])
    if "entry" in vector:
        place = {"index": vector["index"], "proof": vector["proof"]}
        verify_entry_included(vector["entry"].encode(), head=found.head, **place)
    if "earlier" in vector:
        parties = {"keys": keys_of(document), "issuer": document["issuer"]}
        earlier = verify_checkpoint(vector["earlier"], **parties)
        verify_heads_consistent(earlier.head, found.head, proof=vector["proof"])


JUDGES: dict[str, Callable[[Document, Document], str | None]] = {
    "operation-tokens": judge_operation,
    "status-lists": judge_operation,
    "access-tokens": judge_access,
    "receipts": judge_receipt,
    "cancellations": judge_cancellation,
    "introspections": judge_introspection,
    "deliveries": judge_delivery,
    "checkpoints": judge_checkpoint,
}


def moment(vector: Document) -> dt.datetime:
    return dt.datetime.fromisoformat(vector["now"])


def keys_of(document: Document) -> KeySet:
    return KeySet.from_jwks(document["jwks"])


def verdict(name: str, document: Document, vector: Document) -> Verdict:
    try:
        return None, JUDGES[name](document, vector)
    except ProblemError as refusal:
        return refusal.code, None


def wrong(name: str, document: Document) -> dict[str, tuple[Verdict, Verdict]]:
    """Return by name what was said and what should have been, where they differ."""
    said = {one["name"]: verdict(name, document, one) for one in document["vectors"]}
    right = {one["name"]: (one["code"], one.get("assurance")) for one in document["vectors"]}
    return {each: (said[each], right[each]) for each in said if said[each] != right[each]}


def main(folder: Path) -> int:
    failed = count = 0
    for name in JUDGES:
        document = json.loads((folder / f"{name}.json").read_text("utf-8"))
        failed += len(wrong(name, document))
        count += len(document["vectors"])
    sys.stdout.write(f"{count - failed} passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A secret that was sent in a name's place does not come back, in whatever form it was sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests import mandates, oauth
from tests.rest import OPERATIONS, QUEUE, REDEMPTIONS, Caller, operation_body

pytestmark = pytest.mark.django_db

SECRET = "correct_horse_4711"
BAD = {SECRET: 1}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "beside the members": (OPERATIONS, operation_body(**BAD)),
    "in the operation": (OPERATIONS, operation_body(operation=mandates.OPERATION | BAD)),
    "deep in the operation": (
        OPERATIONS,
        operation_body(operation=mandates.OPERATION | {"reference": {"x": [BAD]}}),
    ),
    "in the schema's place": (
        OPERATIONS,
        operation_body(operation=mandates.OPERATION | {SECRET: "text"}),
    ),
    "in the constraints": (OPERATIONS, operation_body(constraints=BAD)),
    "in a limit": (OPERATIONS, operation_body(constraints={"periodic_limits": [BAD]})),
    "in an amount": (OPERATIONS, operation_body(constraints={"max_total": BAD})),
    "with a NUL": (OPERATIONS, {SECRET: {"x": "\0"}}),
    "to the queue": (QUEUE, {"operation_token": "x", "operation": BAD, **BAD}),
    "to a redemption": (REDEMPTIONS, {"operation_token": "x", "operation": BAD, **BAD}),
    "to sign in": ("/api/v1/auth/token", {"username": BAD, SECRET: SECRET}),
}


@pytest.mark.parametrize(("path", "body"), BODIES.values(), ids=BODIES.keys())
def test_json_names_do_not_come_back(
    alice: Caller, executor: Caller, trigger: Caller, path: str, body: dict[str, Any]
) -> None:
    caller = {QUEUE: trigger, REDEMPTIONS: executor}.get(path, alice)

    answer = caller.post(path, body, key="run-1")

    assert answer.status_code == 400, answer.content
    assert SECRET not in answer.content.decode()


def test_filters_do_not_come_back(alice: Caller) -> None:
    answer = alice.get(OPERATIONS, **{SECRET: "x"})

    assert answer.status_code == 400
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("url", ["/oauth/token", "/token", "/token/refresh"])
def test_parameters_that_are_there_twice_do_not_come_back(url: str) -> None:
    answer = oauth.send({SECRET: ["a", "b"]}, url=url)

    assert answer.status_code == 400
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("place", ["operation", "periodic_limits", SECRET])
def test_authorization_details_do_not_come_back(world: mandates.Savings, place: str) -> None:
    value = [BAD] if place == "periodic_limits" else BAD

    answer = oauth.buy(world, authorization_details=oauth.details(**{place: value}))

    assert answer.status_code == 400
    assert SECRET not in answer.content.decode()

"""Errors as they are answered."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.test import RequestFactory
from rest_framework import exceptions as drf

from accounts.errors import (
    AuthenticationTooOld,
    InsufficientScope,
    InvalidClient,
    InvalidCredentials,
    RateLimited,
)
from authproject.problems import problem_of, respond, server_error
from batchtokens_verifier.errors import (
    InvalidConstraints,
    InvalidOperation,
    OperationTokenNotValid,
    ProblemError,
    SlotAlreadyRedeemed,
)


def answer(error: Exception, path: str = "/api/v1/x") -> HttpResponse:
    problem = problem_of(error)
    assert problem is not None
    return respond(RequestFactory().get(path), problem)


def body(response: HttpResponse) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(response.content)
    return parsed


def test_a_domain_error_is_a_problem_document() -> None:
    response = answer(InvalidConstraints("Too long.", pointer="/valid_to"))
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert body(response) == {
        "type": "urn:authproject:problem:invalid_constraints",
        "title": "The constraints are not valid",
        "status": 400,
        "detail": "Too long.",
        "code": "invalid_constraints",
        "request_id": "",
        "errors": [{"pointer": "/valid_to", "code": "invalid_constraints", "detail": "Too long."}],
    }


def test_an_error_adds_its_own_members() -> None:
    document = body(answer(SlotAlreadyRedeemed(redemption_id="rdm_1")))
    assert (document["status"], document["redemption_id"]) == (409, "rdm_1")


def test_the_reason_of_a_refused_token_stays_in_the_log() -> None:
    response = answer(OperationTokenNotValid("bad signature"))
    assert response.status_code == 403
    assert b"signature" not in response.content


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (drf.NotAuthenticated(), 'Bearer realm="authproject"'),
        (drf.AuthenticationFailed(), 'Bearer realm="authproject", error="invalid_token"'),
        (InvalidCredentials(), 'Bearer realm="authproject"'),
        (
            InsufficientScope("account"),
            'Bearer realm="authproject", error="insufficient_scope", scope="account"',
        ),
    ],
)
@pytest.mark.spec("RFC 6750", "3")
def test_challenges_as_rfc_6750_says(error: Exception, challenge: str) -> None:
    assert answer(error)["WWW-Authenticate"] == challenge


@pytest.mark.spec("RFC 9470", "3")
def test_a_stale_sign_in_is_told_how_to_sign_in_again() -> None:
    error = AuthenticationTooOld(60)
    asked = 'error="insufficient_user_authentication", acr_values="aal1", max_age="60"'
    assert answer(error)["WWW-Authenticate"] == f'Bearer realm="authproject", {asked}'
    document = body(answer(error, "/oauth/token"))
    assert (document["acr_values"], document["max_age"]) == ("aal1", 60)


def test_a_rate_limit_says_when_to_come_back() -> None:
    response = answer(RateLimited(policy="sign-in", limit=5, window=60, retry_after=7))
    assert response.status_code == 429
    assert response["Retry-After"] == "7"
    assert response["RateLimit"] == '"sign-in";r=0;t=7'
    assert response["RateLimit-Policy"] == '"sign-in";q=5;w=60'


def test_nested_field_errors_become_pointers() -> None:
    error = drf.ValidationError(
        {"a/b": [{"c": ["Wrong."]}, {}], "non_field_errors": ["Both are missing."]}
    )
    document = body(answer(error))
    assert document["code"] == "invalid"
    assert [item["pointer"] for item in document["errors"]] == ["/a~1b/0/c", ""]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (drf.ParseError(), 400, "invalid"),
        (SuspiciousOperation(), 400, "invalid"),
        (drf.PermissionDenied(), 403, "permission_denied"),
        (PermissionDenied(), 403, "permission_denied"),
        (drf.NotFound(), 404, "not_found"),
        (Http404(), 404, "not_found"),
        (drf.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (drf.NotAcceptable(), 406, "not_acceptable"),
        (drf.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
    ],
)
def test_what_the_frameworks_raise_has_a_code(error: Exception, status: int, code: str) -> None:
    response = answer(error)
    assert (response.status_code, body(response)["code"]) == (status, code)


def test_a_database_that_does_not_answer_is_503_with_retry_after() -> None:
    response = answer(OperationalError("canceling statement due to lock timeout"))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert b"statement" not in response.content


def test_nobody_expected_this() -> None:
    assert problem_of(ZeroDivisionError()) is None


@pytest.mark.parametrize("path", ["/api/v1/x", "/oauth/token", "/"])
def test_an_unexpected_error_shows_nothing_of_the_inside(path: str) -> None:
    try:
        raise ZeroDivisionError("the inside")
    except ZeroDivisionError:
        response = server_error(RequestFactory().get(path))
    assert response.status_code == 500
    assert b"inside" not in response.content
    assert b"Traceback" not in response.content


@pytest.mark.spec("RFC 6749", "5.2")
def test_an_unknown_client_is_401_at_oauth() -> None:
    response = answer(InvalidClient(), "/oauth/token")
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Basic ")
    assert response["Cache-Control"] == "no-store"
    assert body(response)["error"] == "invalid_client"


@pytest.mark.spec("RFC 6749", "5.2")
def test_refusals_at_oauth_are_400_in_plain_ascii() -> None:
    error = InvalidOperation('It says "é\\".', pointer="/x")
    response = answer(error, "/oauth/token")
    assert response.status_code == 400
    assert body(response) == {
        "error": "invalid_authorization_details",
        "error_description": "/x: It says '?/'.",
    }


def test_a_person_gets_a_page_with_the_request_id() -> None:
    response = answer(ProblemError(), "/somewhere")
    assert response["Content-Type"].startswith("text/html")
    assert b"name this request" in response.content

"""/api/v1/me/totp and /api/v1/me/recovery-codes: who may, and what is shown."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django_otp.oath import totp

from accounts.models import RecoveryCode, TotpDevice, User
from tests import factories
from tests.rest import Caller, code_of, person

pytestmark = pytest.mark.django_db
TOTP = "/api/v1/me/totp"
CONFIRM = f"{TOTP}/confirm"
CODES = "/api/v1/me/recovery-codes"
SIGN_IN = "/api/v1/auth/token"
TWO_FACTORS = ("pwd", "otp", "mfa")
NOON = 1_800_000_000  # a step of 30 s begins here


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    """Let no step end between the drawing of a code and its judging."""
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def user() -> User:
    return factories.alice()


@pytest.fixture
def alice(user: User) -> Caller:
    return person(user, scope="profile account")


def caller(user: User, **how: Any) -> Caller:
    return Caller(factories.bearer(factories.access_token_for(user, **how)))


def delete(who: Caller, path: str) -> Any:
    return who.client.delete(path, headers=who.headers)


def code_for(setup: dict[str, str], steps: int = 0) -> str:
    """Return what an app shows that was given the typed secret."""
    key = base64.b32decode(setup["secret"].replace(" ", ""))
    return f"{totp(key, drift=steps):06}"


def enrol(who: Caller) -> tuple[dict[str, str], list[str]]:
    setup = who.post(TOTP).json()
    answer = who.post(CONFIRM, {"otp": code_for(setup)})
    assert answer.status_code == 200, answer.content
    return setup, answer.json()["recovery_codes"]


def sign_in(**body: str) -> Any:
    return Client().post(
        SIGN_IN, {"username": "alice", "password": factories.PASSWORD, **body}, "application/json"
    )


def test_is_off_at_first(alice: Caller) -> None:
    answer = alice.get(TOTP)

    assert answer.json() == {"enabled": False, "enabled_at": None, "being_set_up": False}
    assert alice.get(CODES).json() == {"left": 0, "total": 0}


def test_shows_what_an_app_needs(alice: Caller) -> None:
    answer = alice.post(TOTP)

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    setup = answer.json()
    groups = setup["secret"].split(" ")
    assert [len(group) for group in groups] == [4] * 8
    uri = urlsplit(setup["uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/127.0.0.1:alice"
    assert parse_qs(uri.query) == {
        "secret": ["".join(groups)],
        "issuer": ["127.0.0.1"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_draws_a_code_that_a_strict_page_may_hold(alice: Caller) -> None:
    svg = alice.post(TOTP).json()["qr_svg"]

    drawing = ET.fromstring(svg)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert drawing.get("role") == "img"
    assert drawing.findtext("{http://www.w3.org/2000/svg}title")
    names = {name for element in drawing.iter() for name in element.attrib}
    assert not [name for name in names if name == "style" or name.startswith("on")]
    tags = {element.tag.rpartition("}")[2] for element in drawing.iter()}
    assert tags == {"svg", "title", "g", "path"}


def test_is_on_once_a_code_was_shown(alice: Caller) -> None:
    _, codes = enrol(alice)

    assert len(set(codes)) == 10
    assert {len(code) for code in codes} == {19}
    answer = alice.get(TOTP).json()
    assert answer["enabled"]
    assert answer["enabled_at"]
    assert not answer["being_set_up"]
    assert alice.get(CODES).json() == {"left": 10, "total": 10}


def test_asks_for_no_code_before_one_was_shown(alice: Caller) -> None:
    setup = alice.post(TOTP).json()

    assert sign_in().status_code == 200
    assert alice.get(TOTP).json()["being_set_up"]
    assert code_of(alice.post(CONFIRM, {"otp": wrong(setup)})) == (401, "invalid_otp")
    assert sign_in().status_code == 200


def wrong(setup: dict[str, str]) -> str:
    near = {code_for(setup, steps) for steps in range(-2, 3)}
    return next(
        code
        for code in ("000000", "111111", "222222", "3" * 6, "4" * 6, "5" * 6)
        if code not in near
    )


def test_confirms_nothing_that_was_not_begun(alice: Caller) -> None:
    assert code_of(alice.post(CONFIRM, {"otp": "123456"})) == (409, "totp_not_pending")


def test_begins_nothing_beside_what_is_on(alice: Caller, user: User) -> None:
    enrol(alice)

    again = caller(user, amr=TWO_FACTORS).post(TOTP)

    assert code_of(again) == (409, "totp_already_on")


def test_gives_no_recovery_codes_to_who_has_no_app(alice: Caller) -> None:
    assert code_of(alice.post(CODES)) == (409, "totp_not_on")


def test_turns_it_off_after_two_factors_alone(alice: Caller, user: User) -> None:
    enrol(alice)

    assert code_of(delete(alice, TOTP)) == (401, "insufficient_user_authentication")
    assert delete(caller(user, amr=TWO_FACTORS), TOTP).status_code == 204

    assert sign_in().status_code == 200
    assert not TotpDevice.objects.exists()
    assert not RecoveryCode.objects.exists()


def test_turns_nothing_off_that_is_not_on(alice: Caller) -> None:
    alice.post(TOTP)

    assert code_of(delete(alice, TOTP)) == (409, "totp_not_on")
    assert TotpDevice.objects.unconfirmed().exists()


@pytest.mark.parametrize(("method", "path"), [("post", TOTP), ("delete", TOTP), ("post", CODES)])
@pytest.mark.parametrize("amr", [("pwd",), TWO_FACTORS])
def test_wants_a_recent_sign_in(user: User, method: str, path: str, amr: tuple[str, ...]) -> None:
    old = caller(user, ago=timedelta(minutes=5), amr=amr)

    answer = getattr(old.client, method)(path, headers=old.headers)

    assert code_of(answer) == (401, "insufficient_user_authentication")
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    assert 'max_age="300"' in answer.headers["WWW-Authenticate"]


def test_lets_an_old_session_stay_at_one_factor(alice: Caller) -> None:
    enrol(alice)

    assert alice.get("/api/v1/me").status_code == 200
    assert code_of(alice.post(CODES)) == (401, "insufficient_user_authentication")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", TOTP),
        ("post", TOTP),
        ("delete", TOTP),
        ("post", CONFIRM),
        ("get", CODES),
        ("post", CODES),
    ],
)
def test_wants_the_scope_account(user: User, method: str, path: str) -> None:
    narrow = caller(user, scope="profile")

    answer = getattr(narrow.client, method)(path, headers=narrow.headers)

    assert code_of(answer) == (403, "insufficient_scope")
    assert Client().get(path).status_code == 401


def test_is_closed_to_machines() -> None:
    client = factories.service_client("gateway", scopes=["introspect"])
    who = Caller(factories.basic(client.client, client.secret))

    assert who.get(TOTP).status_code == 401
    assert who.post(TOTP).status_code == 401


@pytest.mark.parametrize("otp", [None, 123456, "", "1" * 33, ["123456"]])
def test_refuses_what_is_no_text(alice: Caller, otp: object) -> None:
    alice.post(TOTP)

    assert code_of(alice.post(CONFIRM, {"otp": otp}))[0] == 400


def test_shows_the_pending_secret_once(alice: Caller) -> None:
    setup = alice.post(TOTP).json()

    secret = setup["secret"].replace(" ", "")
    assert secret not in alice.get(TOTP).content.decode().replace(" ", "")
    assert alice.post(TOTP).json()["secret"] != setup["secret"]


def test_is_described_without_a_warning(tmp_path: Any) -> None:
    file = tmp_path / "schema.yaml"

    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)

    assert "/api/v1/me/totp/confirm" in file.read_text()


def test_asks_for_a_code_from_then_on(alice: Caller) -> None:
    setup, _ = enrol(alice)

    assert code_of(sign_in()) == (401, "mfa_required")
    assert sign_in(otp=code_for(setup, 1)).status_code == 200


def test_takes_no_code_that_confirmed(alice: Caller) -> None:
    setup = alice.post(TOTP).json()
    code = code_for(setup)
    alice.post(CONFIRM, {"otp": code})

    assert code_of(sign_in(otp=code)) == (401, "invalid_otp")


def test_opens_with_a_recovery_code_once(alice: Caller) -> None:
    _, codes = enrol(alice)

    assert sign_in(otp=codes[0].lower()).status_code == 200
    assert code_of(sign_in(otp=codes[0])) == (401, "invalid_otp")
    assert alice.get(CODES).json() == {"left": 9, "total": 10}


def test_replaces_all_recovery_codes(alice: Caller, user: User) -> None:
    _, old = enrol(alice)

    answer = caller(user, amr=TWO_FACTORS).post(CODES)

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert code_of(sign_in(otp=old[0])) == (401, "invalid_otp")
    assert sign_in(otp=answer.json()["recovery_codes"][0]).status_code == 200

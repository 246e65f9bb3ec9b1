"""POST /api/v1/auth/token of people with an authenticator app, and /api/v1/auth/token/totp."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import Authenticator, SecurityEvent, SessionFamily, SignInChallenge, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories, meta_scopes
from tests.rest import code_of
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db
SIGN_IN = "/api/v1/auth/token"
FINISH = "/api/v1/auth/token/totp"
NOON = 1_800_000_000  # a step of 30 s begins here
WRONG = "000000"
FORM = "application/x-www-form-urlencoded"
Code = Callable[..., str]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        ensure_signing_keys()
        yield traveller


@pytest.fixture
def alice() -> User:
    return factories.alice(may_ask_for=["savings"])


@pytest.fixture
def code(alice: User) -> Code:
    """What Alice's app shows."""
    return factories.totp_device(alice)[1]


def sign_in(client: Client, **members: str) -> Any:
    body = {"username": "alice", "password": factories.PASSWORD, **members}
    return client.post(SIGN_IN, body, content_type="application/json")


def finish(client: Client, mfa_token: str, otp: str) -> Any:
    body = {"mfa_token": mfa_token, "otp": otp}
    return client.post(FINISH, body, content_type="application/json")


def mfa_token_of(client: Client, **members: str) -> str:
    answer = sign_in(client, **members)
    assert code_of(answer) == (401, "mfa_required")
    return str(answer.json()["mfa_token"])


def assurance_of(answer: Any) -> tuple[str, list[str]]:
    claims = claims_of(answer.json()["access"])
    return claims["acr"], claims["amr"]


def test_who_has_no_app_signs_in_with_one_factor(client: Client, alice: User) -> None:
    answer = sign_in(client, otp=WRONG)

    assert assurance_of(answer) == ("aal1", ["pwd"])


def test_asks_for_a_code(client: Client, code: Code) -> None:
    answer = sign_in(client)

    problem = answer.json()
    assert code_of(answer) == (401, "mfa_required")
    assert problem["expires_in"] == 300
    assert len(problem["mfa_token"]) >= 22  # 128 bits in base64url
    assert not SessionFamily.objects.exists()


def test_an_app_that_is_being_set_up_is_not_asked(client: Client, alice: User) -> None:
    device, _ = factories.totp_device(alice)
    type(device).objects.update(confirmed=False)

    assert sign_in(client).status_code == 200


def test_tells_nothing_of_the_app_behind_a_wrong_password(client: Client, code: Code) -> None:
    for otp in ("", WRONG, code()):
        answer = sign_in(client, password="another passphrase", otp=otp)

        assert code_of(answer) == (401, "invalid_credentials")
    assert not Authenticator.objects.filter(kind="second_factor", failures__gt=0).exists()


def test_takes_a_code_beside_the_password(client: Client, code: Code) -> None:
    assert assurance_of(sign_in(client, otp=code())) == ("aal2", ["pwd", "otp", "mfa"])


def test_takes_a_recovery_code_beside_the_password(client: Client, alice: User, code: Code) -> None:
    recovery = factories.recovery_code(alice)

    answer = sign_in(client, otp=recovery.lower())

    assert assurance_of(answer) == ("aal2", ["pwd", "rc", "mfa"])


def test_refuses_a_wrong_code_beside_the_password(client: Client, code: Code) -> None:
    assert code_of(sign_in(client, otp=WRONG)) == (401, "invalid_otp")
    assert not SignInChallenge.objects.exists()


def test_finishes_with_a_code(client: Client, code: Code) -> None:
    answer = finish(client, mfa_token_of(client), code())

    assert answer.json().keys() == {"access", "refresh", "token_type", "expires_in", "scope"}
    assert assurance_of(answer) == ("aal2", ["pwd", "otp", "mfa"])
    family = SessionFamily.objects.get()
    assert (family.acr, family.amr) == ("aal2", ["pwd", "otp", "mfa"])


def test_finishes_with_a_recovery_code(client: Client, alice: User, code: Code) -> None:
    answer = finish(client, mfa_token_of(client), factories.recovery_code(alice))

    assert assurance_of(answer) == ("aal2", ["pwd", "rc", "mfa"])


def test_opens_what_the_first_step_asked_for(client: Client, code: Code) -> None:
    audience = "https://savings.example/trigger"
    factories.service_client("trigger", audience=audience)
    with meta_scopes.of("savings"):
        mfa_token = mfa_token_of(client, scope="savings", resource=audience)

    answer = finish(client, mfa_token, code())

    assert answer.json()["scope"] == "profile savings"
    assert claims_of(answer.json()["access"])["aud"] == audience


def test_a_challenge_opens_once(client: Client, code: Code) -> None:
    mfa_token = mfa_token_of(client)
    finish(client, mfa_token, code())

    assert code_of(finish(client, mfa_token, code(1))) == (401, "mfa_token_not_valid")
    assert SessionFamily.objects.count() == 1


def test_five_wrong_codes_end_a_challenge(client: Client, code: Code) -> None:
    mfa_token = mfa_token_of(client)

    answers = [code_of(finish(client, mfa_token, WRONG)) for _ in range(5)]

    assert answers == [(401, "invalid_otp")] * 5
    assert code_of(finish(client, mfa_token, code())) == (401, "mfa_token_not_valid")


def test_takes_a_right_code_after_four_wrong_ones(client: Client, code: Code) -> None:
    mfa_token = mfa_token_of(client)
    for _ in range(4):
        finish(client, mfa_token, WRONG)

    assert finish(client, mfa_token, code()).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (300, 401)])
def test_a_challenge_lasts_five_minutes(
    client: Client, code: Code, clock: time_machine.Traveller, seconds: int, status: int
) -> None:
    mfa_token = mfa_token_of(client)
    clock.shift(timedelta(seconds=seconds))

    assert finish(client, mfa_token, code()).status_code == status


def test_a_challenge_is_its_persons_own(client: Client, code: Code) -> None:
    bob = factories.bob()
    factories.totp_device(bob)
    recovery = factories.recovery_code(bob)
    mfa_token = mfa_token_of(client)

    assert code_of(finish(client, mfa_token, recovery)) == (401, "invalid_otp")


def test_who_was_disabled_meanwhile_does_not_come_in(client: Client, code: Code) -> None:
    mfa_token = mfa_token_of(client)
    User.objects.update(is_active=False)

    assert code_of(finish(client, mfa_token, code())) == (401, "mfa_token_not_valid")


@pytest.mark.parametrize("mfa_token", ["unknown", "x" * 43, "\u2026"])
def test_refuses_tokens_that_it_never_gave(client: Client, code: Code, mfa_token: str) -> None:
    assert code_of(finish(client, mfa_token, code())) == (401, "mfa_token_not_valid")
    assert SecurityEvent.objects.get(code="sign_in_refused").data == {"reason": "mfa_token"}


def test_keeps_no_token(client: Client, code: Code) -> None:
    mfa_token = mfa_token_of(client)

    assert mfa_token not in str(SignInChallenge.objects.values())


def test_failures_count_across_challenges_and_doors(client: Client, code: Code) -> None:
    finish(client, mfa_token_of(client), WRONG)
    finish(client, mfa_token_of(client), WRONG)
    sign_in(client, otp=WRONG)
    client.post("/token", f"username=alice&password={factories.PASSWORD}&otp={WRONG}", FORM)

    assert Authenticator.objects.get(kind="second_factor").failures == 4


def test_a_right_password_forgives_no_wrong_codes(client: Client, code: Code) -> None:
    finish(client, mfa_token_of(client), WRONG)

    sign_in(client)

    assert Authenticator.objects.get(kind="second_factor").failures == 1


def test_the_form_asks_for_a_code(client: Client, code: Code) -> None:
    form = f"username=alice&password={factories.PASSWORD}"

    answer = client.post("/token", form, FORM)

    assert code_of(answer) == (401, "mfa_required")
    assert finish(client, answer.json()["mfa_token"], code()).status_code == 200


def test_the_form_takes_a_code(client: Client, code: Code) -> None:
    form = f"username=alice&password={factories.PASSWORD}&otp={code()}"

    answer = client.post("/token", form, FORM)

    assert claims_of(answer.json()["access_token"])["acr"] == "aal2"


def test_a_step_opens_one_door(client: Client, code: Code) -> None:
    """A code that was used at one address is used up at all of them."""
    mfa_token = mfa_token_of(client)
    access = sign_in(client, otp=code()).json()["access"]

    assert code_of(sign_in(client, otp=code())) == (401, "invalid_otp")
    assert code_of(finish(client, mfa_token, code())) == (401, "invalid_otp")
    answer = client.post(
        "/api/v1/auth/step-up",
        {"otp": code()},
        content_type="application/json",
        headers=factories.bearer(access),
    )
    assert code_of(answer) == (401, "invalid_otp")

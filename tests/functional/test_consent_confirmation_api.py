"""/api/v1/operations/consents/{id}/confirm: a code is spent on what was shown, and buys that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.models import Amr, SecurityEvent, TotpDevice
from batchtokens.models import Consent, OperationToken
from batchtokens_verifier.canonical import canonicalize
from tests import factories, mandates
from tests.oauth import buy, exchange_form, send
from tests.rest import (
    CONSENTS,
    OPERATIONS,
    Caller,
    code_of,
    confirm,
    machine,
    operation_body,
    person,
    pointers_of,
    show_consent,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


def code_for(world: mandates.Savings) -> Any:
    return factories.totp_device(world.alice)[1]


def is_confirmed() -> bool:
    return Consent.objects.get().confirmed_at is not None


class TestConfirm:
    def test_spends_a_code_on_it(self, alice: Caller, world: mandates.Savings) -> None:
        otp, told = code_for(world)(), show_consent(alice)

        answer = confirm(alice, told, otp)

        assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
        assert Consent.objects.get().confirmed_with == Amr.OTP
        other = show_consent(alice)
        assert code_of(confirm(alice, other, otp)) == (401, "invalid_otp")

    def test_takes_a_recovery_code(self, alice: Caller, world: mandates.Savings) -> None:
        code_for(world)

        answer = confirm(alice, show_consent(alice), factories.recovery_code(world.alice))

        assert answer.status_code == 200
        assert Consent.objects.get().confirmed_with == Amr.RECOVERY_CODE

    def test_is_noted_once(self, alice: Caller, world: mandates.Savings) -> None:
        code, told = code_for(world), show_consent(alice)
        otp = code()

        first, again = (confirm(alice, told, otp) for _ in range(2))

        assert first.json() == again.json()
        event = SecurityEvent.objects.get(code="consent_confirmed")
        assert event.data["mandate_digest"] == told["mandate_digest"]

    def test_wants_a_right_code(self, alice: Caller, world: mandates.Savings) -> None:
        code_for(world)
        told = show_consent(alice)

        assert code_of(confirm(alice, told, "000000")) == (401, "invalid_otp")
        assert not is_confirmed()

    def test_wants_a_second_factor(self, alice: Caller) -> None:
        answer = confirm(alice, show_consent(alice), "000000")

        assert code_of(answer) == (401, "insufficient_user_authentication")
        assert answer.json()["acr_values"] == "aal2"
        assert 'acr_values="aal2"' in answer.headers["WWW-Authenticate"]
        assert not is_confirmed()

    def test_a_fresh_sign_in_with_a_code_is_not_enough(self, world: mandates.Savings) -> None:
        alice = person(world.alice, amr=["pwd", "otp", "mfa"])
        code_for(world)

        assert code_of(confirm(alice, show_consent(alice), "123")) == (401, "invalid_otp")
        assert not is_confirmed()

    def test_wants_the_digest_that_was_shown(self, alice: Caller, world: mandates.Savings) -> None:
        code = code_for(world)
        dear = {"amount": {"amount": "9000.00", "currency": "USD"}}
        told = show_consent(alice)
        other = show_consent(alice, operation=mandates.OPERATION | dear)

        answer = confirm(alice, other, code(), mandate_digest=told["mandate_digest"])

        assert code_of(answer) == (400, "consent_mismatch")
        assert pointers_of(answer) == ["/mandate_digest"]
        assert confirm(alice, told, code()).status_code == 200  # the code was not spent
        assert Consent.objects.filter(confirmed_at=None).count() == 1

    def test_is_over_after_a_quarter_of_an_hour(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        code, told = code_for(world), show_consent(alice)
        late = timedelta(minutes=15)
        Consent.objects.update(created_at=F("created_at") - late, expires_at=F("expires_at") - late)

        assert code_of(confirm(alice, told, code())) == (400, "consent_not_valid")
        assert alice.get(f"{CONSENTS}/{told['id']}").json()["status"] == "expired"
        assert TotpDevice.objects.get().last_step < 10  # nor was the code spent

    def test_does_nothing_once_it_is_spent(self, alice: Caller, world: mandates.Savings) -> None:
        code = code_for(world)
        body = operation_body()
        told = show_consent(alice, **body)
        confirm(alice, told, code())
        answer = alice.post(OPERATIONS, body | {"consent_id": told["id"]})
        assert answer.status_code == 201, answer.content

        assert code_of(confirm(alice, told, code(1))) == (400, "consent_not_valid")

    def test_takes_no_api_key(self, alice: Caller, trigger: Caller) -> None:
        assert code_of(confirm(trigger, show_consent(alice), "000000")) == (
            403,
            "permission_denied",
        )

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"otp": 123456}, "/otp"),
            ({"otp": "1" * 33}, "/otp"),
            ({"mandate_digest": None}, "/mandate_digest"),
            ({"mandate_digest": ["x"]}, "/mandate_digest"),
        ],
        ids=str,
    )
    def test_is_told_what_is_wrong(self, alice: Caller, body: dict[str, Any], pointer: str) -> None:
        answer = confirm(alice, show_consent(alice), "000000", **body)

        assert code_of(answer) == (400, "invalid")
        assert pointers_of(answer) == [pointer]

    def test_five_wrong_codes_are_counted_with_all_others(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        code_for(world)
        told = show_consent(alice)

        codes = {code_of(confirm(alice, told, "000000"))[1] for _ in range(12)}

        assert "invalid_otp" in codes
        assert not is_confirmed()
        assert SecurityEvent.objects.filter(code="second_factor_refused").exists()


class TestIssue:
    def test_the_person_confirms_and_the_trigger_gets_it(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        body = operation_body(client="trigger")
        told = show_consent(alice, **body)
        confirm(alice, told, code_for(world)())
        details = {"type": body["type"], "operation": body["operation"], **body["constraints"]}
        request = mandates.exchange_request(world)
        form = {
            **exchange_form(request),
            "authorization_details": canonicalize([details]).decode(),
            "consent_id": told["id"],
        }

        answer = send(form, by=world.trigger)

        assert answer.status_code == 200, answer.content
        assert answer.json()["authorization_details"][0]["valid_from"]
        token = OperationToken.objects.get()
        assert token.consent is not None
        assert alice.get(f"{OPERATIONS}/{token.public_id}").json()["consent_id"] == told["id"]
        assert alice.get(f"{CONSENTS}/{told['id']}").json()["status"] == "spent"

    def test_without_one_the_trigger_is_told(self, world: mandates.Savings) -> None:
        answer = buy(world)

        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_authorization_details"

    def test_without_one_the_person_is_told(self, alice: Caller) -> None:
        answer = alice.post(OPERATIONS, operation_body())

        assert code_of(answer) == (403, "consent_required")
        assert pointers_of(answer) == ["/consent_id"]

    def test_a_machine_cannot_ask_by_itself(self, world: mandates.Savings) -> None:
        assert machine(world.trigger).post(OPERATIONS, operation_body()).status_code == 403

    def test_an_edit_after_the_confirmation_is_refused(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        body = operation_body()
        told = show_consent(alice, **body)
        confirm(alice, told, code_for(world)())
        dear = {**mandates.OPERATION, "amount": {"amount": "51.00", "currency": "USD"}}

        answer = alice.post(OPERATIONS, {**body, "operation": dear, "consent_id": told["id"]})

        assert code_of(answer)[1] in {"consent_mismatch", "invalid_constraints"}
        assert not OperationToken.objects.exists()

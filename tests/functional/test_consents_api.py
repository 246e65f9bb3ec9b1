"""/api/v1/operations/{preview,consents}: see, be shown, confirm with a code; and nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Amr, SecurityEvent, TotpDevice
from batchtokens.models import Consent, OperationToken
from batchtokens.services.request_consent import MOST_OPEN
from batchtokens_verifier.canonical import canonicalize, digest
from tests import factories, mandates
from tests.oauth import buy, exchange_form, send
from tests.rest import (
    OPERATIONS,
    Caller,
    code_of,
    machine,
    operation_body,
    person,
    pointers_of,
    same_words,
)

pytestmark = pytest.mark.django_db

DIGEST = "sha-256:hCjL5d8Qmhn8lzFf-BvGcIk96bpt1ADjPJ3kwnzYpSY"
PREVIEW, CONSENTS = f"{OPERATIONS}/preview", f"{OPERATIONS}/consents"


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


def code_for(world: mandates.Savings) -> Any:
    return factories.totp_device(world.alice)[1]


def shown(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = caller.post(CONSENTS, operation_body(**changes))
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def confirm(caller: Caller, consent: dict[str, Any], code: str, **changes: Any) -> Any:
    body = {"otp": code, "mandate_digest": consent["mandate_digest"]} | changes
    return caller.post(f"{CONSENTS}/{consent['id']}/confirm", body)


def is_confirmed() -> bool:
    return Consent.objects.get().confirmed_at is not None


class TestPreview:
    def test_shows_what_would_be_signed(self, alice: Caller, world: mandates.Savings) -> None:
        answer = alice.post(PREVIEW, operation_body(client="trigger"))

        told = answer.json()
        assert answer.status_code == 200
        assert told["summary"].startswith("Deposit 50.00 USD from “chk-1042” into “sav-7781”")
        assert told["canonical_operation"] == canonicalize(mandates.OPERATION).decode()
        assert told["parameter_digest"] == DIGEST
        assert digest(told["canonical_operation"].encode()) == told["parameter_digest"]
        assert (told["language"], told["template_version"]) == ("en", 1)
        mandate = {
            "sub": world.alice.public_id,
            "client_id": "trigger",
            "aud": mandates.EXECUTOR_AUDIENCE,
            "authorization_details": [told["mandate"]],
        }
        assert told["mandate_digest"] == digest(canonicalize(mandate))

    def test_stores_nothing(self, alice: Caller) -> None:
        alice.post(PREVIEW, operation_body())

        assert not Consent.objects.exists()
        assert not OperationToken.objects.exists()

    def test_is_the_built_in_triggers_where_none_is_named(self, alice: Caller) -> None:
        named, unnamed = (
            alice.post(PREVIEW, operation_body(**client)).json()["client_id"]
            for client in ({"client": "first-party"}, {})
        )

        assert named == unnamed == "first-party"

    def test_shows_types_in_scope_mode_too(self) -> None:
        alice = person(mandates.savings().alice)

        assert alice.post(PREVIEW, operation_body()).json()["consent"] == "scope"


@pytest.mark.parametrize("path", [PREVIEW, CONSENTS])
class TestWhoAsks:
    @pytest.mark.parametrize("scope", [mandates.META_SCOPE, "account"])
    def test_may_with_the_meta_scope_or_the_account(
        self, world: mandates.Savings, path: str, scope: str
    ) -> None:
        answer = person(world.alice, scope=scope).post(path, operation_body())

        assert answer.status_code in {200, 201}

    def test_needs_more_than_the_profile(self, world: mandates.Savings, path: str) -> None:
        answer = person(world.alice, scope="profile").post(path, operation_body())

        assert code_of(answer) == (403, "insufficient_scope")

    def test_is_no_machine(self, trigger: Caller, path: str) -> None:
        assert code_of(trigger.post(path, operation_body())) == (403, "permission_denied")

    def test_needs_a_token_for_here(self, world: mandates.Savings, path: str) -> None:
        gateway = Caller(factories.bearer(mandates.subject_token(world)))

        assert code_of(gateway.post(path, operation_body())) == (401, "token_not_valid")

    @pytest.mark.parametrize("client", ["savings", "nobody", "x y", "…"])
    def test_finds_no_other_trigger(self, alice: Caller, path: str, client: str) -> None:
        answer = alice.post(path, operation_body(client=client))

        assert code_of(answer) == (403, "trigger_not_allowed")
        assert pointers_of(answer) == ["/client"]

    def test_finds_no_trigger_that_is_switched_off(
        self, alice: Caller, world: mandates.Savings, path: str
    ) -> None:
        type(world.trigger.client).objects.filter(client_id="trigger").update(is_active=False)

        answer = alice.post(path, operation_body(client="trigger"))

        assert code_of(answer) == (403, "trigger_not_allowed")

    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"type": "savings.other"}, "operation_type_unknown", "/type"),
            ({"operation": {}}, "invalid_operation", "/operation"),
            ({"operation": mandates.OPERATION | {"x": 1}}, "invalid_operation", "/operation"),
            ({"constraints": {}}, "invalid_constraints", "/constraints/valid_to"),
            ({"constraints": {"surprise": 1}}, "invalid_constraints", "/constraints"),
            ({"operation": []}, "invalid", "/operation"),
            ({"client": 7}, "invalid", "/client"),
            ({"consent_id": "cns_"}, "invalid", ""),
        ],
        ids=str,
    )
    def test_is_told_what_is_wrong(
        self, alice: Caller, path: str, change: dict[str, Any], code: str, pointer: str
    ) -> None:
        answer = alice.post(path, operation_body(**change))

        assert code_of(answer) == (400, code)
        assert pointers_of(answer)[0].startswith(pointer)
        assert not Consent.objects.exists()


class TestConsents:
    def test_are_stored_as_shown(self, alice: Caller) -> None:
        told = shown(alice, client="trigger")

        consent = Consent.objects.get()
        assert (told["id"], told["status"]) == (consent.public_id, "open")
        assert told["summary"] == consent.summary
        assert consent.expires_at - consent.created_at == timedelta(minutes=15)
        assert alice.get(f"{CONSENTS}/{told['id']}").json() == told

    def test_are_ones_own(self, alice: Caller) -> None:
        told, bob = shown(alice), person(factories.bob())
        path = f"{CONSENTS}/{told['id']}"

        assert code_of(bob.get(path)) == (404, "not_found")
        assert code_of(confirm(bob, told, "000000")) == (404, "not_found")
        unknown = bob.get(f"{CONSENTS}/cns_{'0' * 32}").json()
        assert same_words(unknown) == same_words(bob.get(path).json())

    @pytest.mark.parametrize("name", ["cns_1", "op_" + "0" * 32, "x"])
    def test_have_one_spelling(self, alice: Caller, name: str) -> None:
        assert code_of(alice.get(f"{CONSENTS}/{name}")) == (404, "not_found")

    def test_are_not_for_types_in_scope_mode(self) -> None:
        answer = person(mandates.savings().alice).post(CONSENTS, operation_body())

        assert code_of(answer) == (400, "consent_mode_not_supported")

    def test_are_bounded(self, alice: Caller) -> None:
        for _ in range(MOST_OPEN):
            shown(alice)

        assert code_of(alice.post(CONSENTS, operation_body())) == (409, "too_many_consents")
        past = timezone.now() - timedelta(minutes=16)
        Consent.objects.update(created_at=past, expires_at=past + timedelta(minutes=15))
        shown(alice)


class TestConfirm:
    def test_spends_a_code_on_it(self, alice: Caller, world: mandates.Savings) -> None:
        code, told = code_for(world), shown(alice)

        answer = confirm(alice, told, code())

        assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
        assert Consent.objects.get().confirmed_with == Amr.OTP
        other = shown(alice)
        assert code_of(confirm(alice, other, code())) == (401, "invalid_otp")

    def test_takes_a_recovery_code(self, alice: Caller, world: mandates.Savings) -> None:
        code_for(world)

        answer = confirm(alice, shown(alice), factories.recovery_code(world.alice))

        assert answer.status_code == 200
        assert Consent.objects.get().confirmed_with == Amr.RECOVERY_CODE

    def test_is_noted_once(self, alice: Caller, world: mandates.Savings) -> None:
        code, told = code_for(world), shown(alice)
        otp = code()

        first, again = (confirm(alice, told, otp) for _ in range(2))

        assert first.json() == again.json()
        event = SecurityEvent.objects.get(code="consent_confirmed")
        assert event.data["mandate_digest"] == told["mandate_digest"]

    def test_wants_a_right_code(self, alice: Caller, world: mandates.Savings) -> None:
        code_for(world)
        told = shown(alice)

        assert code_of(confirm(alice, told, "000000")) == (401, "invalid_otp")
        assert not is_confirmed()

    def test_wants_a_second_factor(self, alice: Caller) -> None:
        answer = confirm(alice, shown(alice), "000000")

        assert code_of(answer) == (401, "insufficient_user_authentication")
        assert answer.json()["acr_values"] == "aal2"
        assert 'acr_values="aal2"' in answer.headers["WWW-Authenticate"]
        assert not is_confirmed()

    def test_a_fresh_sign_in_with_a_code_is_not_enough(self, world: mandates.Savings) -> None:
        alice = person(world.alice, amr=["pwd", "otp", "mfa"])
        code_for(world)

        assert code_of(confirm(alice, shown(alice), "123")) == (401, "invalid_otp")
        assert not is_confirmed()

    def test_wants_the_digest_that_was_shown(self, alice: Caller, world: mandates.Savings) -> None:
        code = code_for(world)
        dear = {"amount": {"amount": "9000.00", "currency": "USD"}}
        told = shown(alice)
        other = shown(alice, operation=mandates.OPERATION | dear)

        answer = confirm(alice, other, code(), mandate_digest=told["mandate_digest"])

        assert code_of(answer) == (400, "consent_mismatch")
        assert pointers_of(answer) == ["/mandate_digest"]
        assert confirm(alice, told, code()).status_code == 200  # the code was not spent
        assert Consent.objects.filter(confirmed_at=None).count() == 1

    def test_is_over_after_a_quarter_of_an_hour(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        code, told = code_for(world), shown(alice)
        late = timedelta(minutes=15)
        Consent.objects.update(created_at=F("created_at") - late, expires_at=F("expires_at") - late)

        assert code_of(confirm(alice, told, code())) == (400, "consent_not_valid")
        assert alice.get(f"{CONSENTS}/{told['id']}").json()["status"] == "expired"
        assert TotpDevice.objects.get().last_step < 10  # nor was the code spent

    def test_does_nothing_once_it_is_spent(self, alice: Caller, world: mandates.Savings) -> None:
        code = code_for(world)
        body = operation_body()
        told = shown(alice, **body)
        confirm(alice, told, code())
        answer = alice.post(OPERATIONS, body | {"consent_id": told["id"]})
        assert answer.status_code == 201, answer.content

        assert code_of(confirm(alice, told, code(1))) == (400, "consent_not_valid")

    def test_takes_no_api_key(self, alice: Caller, trigger: Caller) -> None:
        assert code_of(confirm(trigger, shown(alice), "000000")) == (403, "permission_denied")

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
        answer = confirm(alice, shown(alice), "000000", **body)

        assert code_of(answer) == (400, "invalid")
        assert pointers_of(answer) == [pointer]

    def test_five_wrong_codes_are_counted_with_all_others(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        code_for(world)
        told = shown(alice)

        codes = {code_of(confirm(alice, told, "000000"))[1] for _ in range(12)}

        assert "invalid_otp" in codes
        assert not is_confirmed()
        assert SecurityEvent.objects.filter(code="second_factor_refused").exists()


class TestIssue:
    def test_the_person_confirms_and_the_trigger_gets_it(
        self, alice: Caller, world: mandates.Savings
    ) -> None:
        body = operation_body(client="trigger")
        told = shown(alice, **body)
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
        told = shown(alice, **body)
        confirm(alice, told, code_for(world)())
        dear = {**mandates.OPERATION, "amount": {"amount": "51.00", "currency": "USD"}}

        answer = alice.post(OPERATIONS, {**body, "operation": dear, "consent_id": told["id"]})

        assert code_of(answer)[1] in {"consent_mismatch", "invalid_constraints"}
        assert not OperationToken.objects.exists()

"""/api/v1/operations/{preview,consents}: see, be shown, confirm with a code; and nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from batchtokens.models import Consent, OperationToken
from batchtokens.services.consent.request_consent import MOST_OPEN
from batchtokens_verifier.canonical import canonicalize, digest
from tests import factories, mandates
from tests.rest import (
    CONSENTS,
    OPERATIONS,
    Caller,
    code_of,
    confirm,
    operation_body,
    person,
    pointers_of,
    same_words,
    show_consent,
)

pytestmark = pytest.mark.django_db

DIGEST = "sha-256:hCjL5d8Qmhn8lzFf-BvGcIk96bpt1ADjPJ3kwnzYpSY"
PREVIEW = f"{OPERATIONS}/preview"


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.exact()


class TestPreview:
    def test_shows_what_would_be_signed(self, alice: Caller, world: mandates.Savings) -> None:
        answer = alice.post(PREVIEW, operation_body(client="trigger"))

        told = answer.json()
        assert answer.status_code == 200
        assert told["summary"].startswith("Deposit 50.00 USD from “chk-1042” into “sav-7781”")
        carried_out = "carried out by “savings” (“https://savings.example/”)."
        assert told["summary"].endswith(f"Given to “trigger”, {carried_out}")
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
        told = show_consent(alice, client="trigger")

        consent = Consent.objects.get()
        assert (told["id"], told["status"]) == (consent.public_id, "open")
        assert told["summary"] == consent.summary
        assert consent.expires_at - consent.created_at == timedelta(minutes=15)
        assert alice.get(f"{CONSENTS}/{told['id']}").json() == told

    def test_are_ones_own(self, alice: Caller) -> None:
        told, bob = show_consent(alice), person(factories.bob())
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
            show_consent(alice)

        assert code_of(alice.post(CONSENTS, operation_body())) == (409, "too_many_consents")
        past = timezone.now() - timedelta(minutes=16)
        Consent.objects.update(created_at=past, expires_at=past + timedelta(minutes=15))
        show_consent(alice)

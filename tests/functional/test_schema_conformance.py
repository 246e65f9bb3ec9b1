"""The server keeps to its own description, whatever is sent (schemathesis, in process)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from django.db import connection
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from authproject.wsgi import application
from batchtokens.api.ndjson import MEDIA_TYPE
from batchtokens.models import Consent, OperationType
from batchtokens.services.issuing.issue import Issued
from tests import mandates
from tests.federation import configure
from tests.identity_providers import GITHUB_ENTRY
from tests.rest import Caller, redeem

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 20


@pytest.fixture
def document(db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the description; requests keep the test's connection and its transaction."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
    return schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", application)


@pytest.fixture
def callers(alice: Caller, trigger: Caller, executor: Caller) -> Mapping[str, Caller]:
    """Return who may call the addresses that begin so."""
    return {
        "/api/v1/queue": trigger,
        "/api/v1/redemptions": executor,
        "/api/v1/auth": Caller({}),
        "/token": Caller({}),
        "/": alice,
    }


@pytest.fixture
def provider(settings: Any) -> str:
    """Return the name of a provider that is spoken to only by who comes back from it."""
    configure(settings, GITHUB_ENTRY)
    return "github"


@pytest.fixture
def consent(world: mandates.Savings, issued: Issued) -> Consent:
    """Return a confirmed one: to confirm it again answers without a code."""
    types = OperationType.objects.filter(pk=world.kind.pk)
    types.update(consent="exact")
    confirmed = mandates.consent(world)
    types.update(consent="scope")
    return confirmed


@pytest.fixture
def ids(
    world: mandates.Savings, executor: Caller, issued: Issued, provider: str
) -> Mapping[str, str]:
    """Return ids that exist, by the name of their place in a path."""
    redemption = redeem(executor, issued, "first").json()["redemption_id"]
    ids = {"public_id": issued.row.public_id, "redemption_id": redemption}
    return ids | {"provider": provider, "name": provider}


schemathesis.serializer.alias(MEDIA_TYPE, "text/plain")  # a batch's lines are one text to it
schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_conforms(
    case: Case[Any], callers: Mapping[str, Caller], ids: Mapping[str, str], consent: Consent
) -> None:
    caller = next(who for prefix, who in callers.items() if case.path.startswith(prefix))
    if case.path.startswith("/api/v1/operations/consents/"):
        ids = {"public_id": consent.public_id}
        if isinstance(case.body, dict) and "mandate_digest" in case.body:
            case.body["mandate_digest"] = consent.mandate_digest
    case.path_parameters = {name: ids[name] for name in case.path_parameters or {}}

    case.call_and_validate(headers=dict(caller.headers), checks=CHECKS)

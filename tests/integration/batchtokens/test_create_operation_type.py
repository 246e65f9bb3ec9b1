"""Operation types: closed schemas, sentences that show every leaf, versions that never change."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batchtokens.errors import OperationTypeNotValid
from batchtokens.models import Consent, OperationType
from batchtokens.services.operation_types.create_operation_type import create_operation_type
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from tests import factories, mandates

pytestmark = pytest.mark.django_db

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def _clients() -> None:
    factories.service_client("trigger", scopes=["token_exchange"])
    factories.service_client("savings", scopes=["redeem"], audience=mandates.EXECUTOR_AUDIENCE)


def changed(change: Change) -> dict[str, Any]:
    definition = copy.deepcopy(mandates.savings_definition())
    change(definition)
    return definition


def test_creates_the_first_version() -> None:
    kind = create_operation_type(definition=mandates.savings_definition())

    assert (kind.name, kind.version, kind.is_current) == ("savings.deposit", 1, True)
    assert [client.client_id for client in kind.trigger_clients.all()] == ["trigger"]


def test_the_same_definition_changes_nothing() -> None:
    first, second = (
        create_operation_type(definition=mandates.savings_definition()) for _ in range(2)
    )

    assert first == second
    assert OperationType.objects.count() == 1


def test_a_version_that_has_not_issued_is_corrected_in_place() -> None:
    create_operation_type(definition=mandates.savings_definition())
    kind = create_operation_type(definition=mandates.savings_definition(max_lifetime_days=30))

    assert (kind.version, kind.max_lifetime_days) == (1, 30)


@pytest.mark.parametrize("level", ["aal1", "aal2"])
def test_a_type_may_want_a_level(level: str) -> None:
    kind = create_operation_type(definition=mandates.savings_definition(required_acr=level))

    assert kind.required_acr == level


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda d: d.pop("schema"), "/schema"),
        (lambda d: d.update(required_acr="aal3"), "/required_acr"),
        (lambda d: d.update(required_acr=""), "/required_acr"),
        (lambda d: d.update(required_acr=["aal2"]), "/required_acr"),
        (lambda d: d.update(surprise=1), "/surprise"),
        (lambda d: d.update(consent="none"), "/consent"),
        (lambda d: d.update(consent=["exact"]), "/consent"),
        (lambda d: d.update(name="Not A Name"), "/name"),
        (lambda d: d.update(name=7), "/name"),
        (lambda d: d.update(executor="nobody"), "/executor"),
        (lambda d: d.update(executor="trigger"), "/executor"),
        (lambda d: d.update(trigger_clients=["savings"]), "/trigger_clients/0"),
        (lambda d: d.update(trigger_clients="trigger"), "/trigger_clients"),
        (lambda d: d.update(max_lifetime_days=0), "/max_lifetime_days"),
        (lambda d: d.update(max_lifetime_days=True), "/max_lifetime_days"),
        (lambda d: d["schema"].update(additionalProperties=True), "/schema"),
        (lambda d: d["schema"].update(type="array"), "/schema"),
        (lambda d: d["schema"].update(required="action"), "/schema"),
        (lambda d: d["schema"]["required"].remove("action"), "/schema/required"),
        (lambda d: d["schema"]["properties"].update(n={"type": "number"}), "/schema/n"),
        (lambda d: d["schema"]["properties"].update(n=True), "/schema/n"),
        (lambda d: d["schema"]["properties"].update(n={"const": 7}), "/schema/n"),
        (lambda d: d["schema"]["properties"].update(n={"type": ["string"]}), "/schema/n"),
        (lambda d: d["schema"]["properties"].update(n={"$ref": "#/x"}), "/schema/n"),
        (
            lambda d: d["schema"]["properties"].update(n={"type": "array", "items": True}),
            "/schema/n",
        ),
        (lambda d: d["schema"].update(patternProperties={".*": {"type": "string"}}), "/schema"),
        (lambda d: d.update(meta_scope="profile"), "/meta_scope"),
        (lambda d: d.update(meta_scope="a b"), "/meta_scope"),
        (lambda d: d.update(scope="redeem"), "/scope"),
        (lambda d: d.update(scope=d["meta_scope"]), "/scope"),
        (lambda d: d.update(max_lifetime_days=367), "/max_lifetime_days"),
        (lambda d: d.update(max_live_mandates=2**40), "/max_live_mandates"),
        (lambda d: d.update(summary=d["summary"] + "\0"), "/summary"),
        (lambda d: d.update(summary="Deposit {amount}."), "/summary"),
        (lambda d: d.update(summary=d["summary"] + " {secret}"), "/summary"),
    ],
)
def test_a_bad_definition_is_refused_with_a_pointer(change: Change, pointer: str) -> None:
    with pytest.raises(OperationTypeNotValid) as refusal:
        create_operation_type(definition=changed(change))

    assert refusal.value.pointer == pointer
    assert not OperationType.objects.exists()


@pytest.mark.parametrize("said", [{}, {"consent": "exact"}], ids=str)
def test_exact_is_the_default_mode(said: dict[str, Any]) -> None:
    definition = mandates.savings_definition()
    del definition["consent"]

    assert create_operation_type(definition=definition | said).consent == "exact"


def test_a_version_that_was_shown_never_changes() -> None:
    kind = create_operation_type(definition=mandates.savings_definition(consent="exact"))
    now = datetime.now(UTC)
    Consent.objects.create(
        user=factories.alice(),
        operation_type=kind,
        details={},
        template_version=1,
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )

    definition = mandates.savings_definition(consent="exact", max_lifetime_days=9)
    assert create_operation_type(definition=definition).version == 2


STRING = {"type": "string"}


def member(name: str, schema: Any) -> Change:
    return lambda d: d["schema"]["properties"].update({name: schema})


def closed(required: list[str], **members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": members,
    }


@pytest.mark.parametrize(
    "change",
    [
        member("memo", STRING),  # optional
        member("memo", {"type": "boolean"}),
        member("memo", {"type": "array", "items": STRING}),
        member("memo", {"const": "always"}),
        member("memo", {"enum": ["a", "b"]}),
        member("fee", closed(["amount"], amount=STRING)),
        lambda d: d["schema"]["properties"].update(action=STRING),
        lambda d: d.update(summary=d["summary"].replace("{amount}", "")),
        lambda d: d.update(summary=d["summary"].replace("{amount}", "{amount.amount}")),
        lambda d: d.update(summary=d["summary"].replace("{amount}", "{ amount }")),
        lambda d: d.update(summary=d["summary"] + " {"),
        lambda d: d.update(summary=d["summary"] + " {Reference}"),
    ],
    ids=range(12),
)
def test_a_sentence_that_omits_a_leaf_is_refused(change: Change) -> None:
    with pytest.raises(OperationTypeNotValid) as refusal:
        create_operation_type(definition=changed(change))

    assert refusal.value.pointer == "/summary"


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("amount.hidden", STRING),  # it would pass for a part of the amount
        ("debtor_account.x", STRING),
        ("Memo", STRING),
        ("memo", closed([], note=STRING)),  # there and empty, it would read as absent
        ("memo", closed([])),
        ("memo", closed(["absent"], note=STRING)),
        ("memo", closed(["note"], note=STRING) | {"const": {"note": "x"}}),
        ("memo", {"type": "array", "items": closed(["note"], note=STRING)}),
        ("memo", {"type": "array"}),
        ("amount", STRING),
        ("amount", closed(["amount"], amount=STRING)),
        ("amount", closed(["amount"], amount=STRING, currency={"type": "boolean"})),
        ("amount", closed(["amount"], amount=STRING, currency=STRING, memo=STRING)),
    ],
    ids=range(13),
)
def test_a_schema_whose_leaves_no_sentence_shows_is_refused(name: str, schema: Any) -> None:
    with pytest.raises(OperationTypeNotValid) as refusal:
        create_operation_type(definition=changed(member(name, schema)))

    assert refusal.value.pointer.startswith("/schema")


def test_optional_members_arrays_and_booleans_are_shown() -> None:
    definition = changed(member("tags", {"type": "array", "items": STRING}))
    definition["schema"]["properties"]["urgent"] = {"type": "boolean"}
    definition["summary"] += " Tags {tags}, urgent {urgent}."

    assert create_operation_type(definition=definition).version == 1


def test_a_switch_is_for_every_version() -> None:
    create_operation_type(definition=mandates.savings_definition())

    assert switch_operation_type(name="savings.deposit", is_active=False) == 1
    assert not OperationType.objects.active().exists()

"""The evidence of one mandate: it verifies without the service, and no edit of it does."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.services.retire_signing_key import retire_signing_key
from accounts.tokens.keyring import current_key_ring
from batchtokens.errors import EvidenceNotReady
from batchtokens.models import HoldKind, LedgerEntry, OperationToken
from batchtokens.services.keys.reissue import reissuable, reissue_operations
from batchtokens.services.ledger.seal import Sealing
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.reports.collect_evidence import collect_evidence
from batchtokens_verifier.errors import EvidenceNotValid
from batchtokens_verifier.evidence import WARNING, verify_evidence
from batchtokens_verifier.jws import KeySet
from tests import mandates

pytestmark = pytest.mark.django_db(transaction=True)
Path = tuple[str | int, ...]
both_modes = pytest.mark.parametrize("world", ["scope", "exact"], indirect=True)


@pytest.fixture(autouse=True)
def _own_sink(settings: Any, tmp_path: Any) -> None:
    settings.LEDGER_SINK = tmp_path / "checkpoints"


@pytest.fixture
def row(world: mandates.Savings) -> OperationToken:
    """Run a mandate, and another one beside it: released, redeemed again, settled, held, lifted."""
    issued = mandates.issue(world)
    for attempt in (1, 2):
        answer = mandates.redeem(world, issued, f"run-{attempt}")
        closing = Closing(answer.redemption.pk, attempt, "bank reference")
        close = settle_redemption if attempt == 2 else release_redemption
        close(by=world.redeemer, closing=closing)
    for change in (hold_operation, resume_operation):
        change(operation_id=issued.row.pk, by=HoldKind.STAFF, words=Words("usr_1", "a call"))
    mandates.issue(world)
    return OperationToken.objects.select_related("user", "client", "executor", "consent").get(
        pk=issued.row.pk
    )


@pytest.fixture
def world(request: pytest.FixtureRequest) -> mandates.Savings:
    return mandates.savings(consent=getattr(request, "param", "exact"))


@pytest.fixture
def pack(row: OperationToken) -> Any:
    """Return the sealed pack as somebody reads it from a file."""
    Sealing().look()
    return json.loads(json.dumps(collect_evidence(row)))


def trusted() -> KeySet:
    return KeySet.from_jwks(current_key_ring().jwks())


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield where each string, number, boolean and null is."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, child in items:
            yield from leaves(child, (*path, name))
    else:
        yield path


def at(pack: Any, path: Path) -> tuple[Any, Any]:
    """Return the container of a place, and the place's name in it."""
    for step in path[:-1]:
        pack = pack[step]
    return pack, path[-1]


def edited(value: Any) -> Any:
    match value:
        case bool() | None:
            return "x"
        case int():
            return value + 1
        case str() if value:
            middle = len(value) // 2
            return value[:middle] + ("B" if value[middle] != "B" else "C") + value[middle + 1 :]
    return "x"


def refused_at(pack: Any, keys: KeySet | None = None) -> str:
    with pytest.raises(EvidenceNotValid) as refusal:
        verify_evidence(pack, keys=keys)
    assert refusal.value.code == "evidence_not_valid"
    return refusal.value.pointer


@pytest.mark.parametrize("believed", [True, False], ids=["trusted", "own"])
def test_a_pack_verifies_without_a_database(believed: bool, pack: Any, row: OperationToken) -> None:
    evidence = verify_evidence(pack, keys=trusted() if believed else None)
    assert evidence.operation_id == row.public_id
    assert evidence.operation == mandates.OPERATION
    assert evidence.entries == row.seq
    assert evidence.redemptions == {"p0": "settled"}
    assert evidence.keys_trusted is believed


@both_modes
def test_no_leaf_can_be_edited(pack: Any) -> None:
    places = list(leaves(pack))
    keys = trusted()
    accepted = []
    for path in places:
        tampered = copy.deepcopy(pack)
        container, name = at(tampered, path)
        container[name] = edited(container[name])
        for believed in (None, keys):
            try:
                verify_evidence(tampered, keys=believed)
            except EvidenceNotValid:
                continue
            accepted.append(path)
    assert len(places) > 100
    assert accepted == []


def test_no_part_can_be_taken_out_or_put_twice(pack: Any) -> None:
    for name in ("receipts", "entries"):
        for index in range(len(pack[name])):
            rest = [part for place, part in enumerate(pack[name]) if place != index]
            if pack[name][index] != pack["entries"][-1]:
                assert refused_at({**pack, name: rest}).startswith(f"/{name}")
            twice = [*pack[name], pack[name][index]]
            assert refused_at({**pack, name: twice}).startswith(f"/{name}")
    for name in pack:
        assert refused_at({key: part for key, part in pack.items() if key != name}) == ""


def test_a_pack_ends_with_its_last_entry(pack: Any) -> None:
    """What came later cannot be missed offline, unless a receipt tells of it."""
    earlier = verify_evidence({**pack, "entries": pack["entries"][:-1]})
    assert earlier.entries == len(pack["entries"]) - 1
    assert refused_at({**pack, "entries": pack["entries"][:-3]}).startswith("/receipts")


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("salt",), "/salt"),
        (("entries", -1, "note"), "/entries/6/note"),
        (("mandate", "summary"), "/mandate/summary"),
        (("mandate", "user"), "/mandate/user"),
        (("mandate", "details", "operation", "creditor_account"), "/mandate/details"),
        (("claims", "exp"), "/claims"),
        (("payload",), "/payload"),
        (("entries", 1, "entry"), "/entries/1"),
        (("entries", 1, "index"), "/entries/1"),
        (("entries", 2, "proof", 0), "/entries/2"),
        (("receipts", 0), "/receipts/0"),
        (("checkpoint",), "/checkpoint"),
        (("keys", "keys", 0, "x"), "/keys"),
        (("warning",), "/warning"),
    ],
    ids=str,
)
def test_a_refusal_says_where(path: Path, where: str, pack: Any) -> None:
    container, name = at(pack, path)
    container[name] = edited(container[name])
    assert refused_at(pack).startswith(where)


@pytest.mark.parametrize("rubbish", [None, [], {}, "pack", 1, {"v": 1}], ids=repr)
def test_rubbish_is_refused_without_tripping(rubbish: Any) -> None:
    assert refused_at(rubbish) == ""


def test_each_member_of_a_wrong_type_is_refused_without_tripping(pack: Any) -> None:
    values: list[Any] = [None, 0, [], {}, "", [None], [{}], {"keys": None}, {"keys": [1]}]
    for name in pack:
        for value in values:
            if pack[name] != value:
                refused_at({**pack, name: value})


def test_keys_of_somebody_else_are_not_believed(pack: Any) -> None:
    assert refused_at(pack, keys=KeySet.of([])).startswith("/keys")


@both_modes
def test_the_consent_is_proved_as_it_was_shown(pack: Any, world: mandates.Savings) -> None:
    consent = pack["consent"]
    if world.kind.consent == "scope":
        assert consent is None
        return
    assert (consent["language"], consent["confirmed_with"]) == ("en", "otp")
    assert (consent["template_version"], consent["summary"]) == (1, pack["mandate"]["summary"])


def test_a_mandate_that_was_signed_anew_is_proved_with_both_keys(
    row: OperationToken, world: mandates.Savings
) -> None:
    former = row.kid
    retire_signing_key(kid=former, reason="found in a backup", compromised=True)
    assert [page.signed for page in reissue_operations(among=reissuable(), reason="honest")]
    Sealing().look()
    token = OperationToken.objects.get(pk=row.pk)
    pack = collect_evidence(token)
    assert token.kid != former
    assert {former, token.kid} <= {key["kid"] for key in pack["keys"]["keys"]}
    assert verify_evidence(pack, keys=trusted()).entries == token.seq
    assert former not in trusted().by_kid


def test_another_mandates_receipt_proves_nothing_here(pack: Any, world: mandates.Savings) -> None:
    other = mandates.redeem(world, mandates.issue(world), "other").attempt.receipt
    assert refused_at({**pack, "receipts": [other, *pack["receipts"][1:]]}) == "/receipts/0"


def test_no_key_is_put_in_anothers_place_or_beside(pack: Any) -> None:
    keys = pack["keys"]["keys"]
    spare = next(k for k in current_key_ring().jwks()["keys"] if k["purpose"] == "access")
    assert refused_at({**pack, "keys": {"keys": [*keys, spare]}}) == "/keys"
    for place, key in enumerate(keys):
        forged = [*keys[:place], {**key, "x": spare["x"], "y": spare["y"]}, *keys[place + 1 :]]
        assert refused_at({**pack, "keys": {"keys": forged}}) == f"/keys/keys/{place}"


def test_what_is_not_sealed_is_refused(row: OperationToken) -> None:
    with pytest.raises(EvidenceNotReady, match="sealer"):
        collect_evidence(row)
    Sealing().look()
    assert collect_evidence(row)["warning"] == WARNING
    hold_operation(operation_id=row.pk, by=HoldKind.STAFF)
    with pytest.raises(EvidenceNotReady, match="sealer"):
        collect_evidence(row)


def test_holds_the_salt_but_no_bearer_token(pack: Any, world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    Sealing().look()
    row = OperationToken.objects.get(pk=issued.row.pk)
    text = json.dumps(collect_evidence(row))
    head, payload, signature = issued.token.split(".")
    assert payload in text
    assert signature not in text
    assert head not in text


def test_a_changed_row_gives_no_pack(row: OperationToken) -> None:
    Sealing().look()
    row.summary = "Another sentence"
    with pytest.raises(EvidenceNotValid):
        collect_evidence(row)
    assert LedgerEntry.objects.filter(operation_token=row).count() == row.seq

"""Verifies the evidence of one mandate: what was agreed, signed, redeemed and recorded, offline.

A pack is JSON with the members of `MEMBERS`; every leaf of it is bound to the checkpoint that the
authority signed, to the salt's digests in the ledger, or to a key. It holds no bearer token.
Format, append-only: a new member comes with a new `v`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batchtokens_verifier.canonical import (
    b64url,
    b64url_decode,
    canonicalize,
    digest,
    mandate_digest,
    parameter_digest,
    parse_json,
)
from batchtokens_verifier.checkpoints import TreeHead, verify_checkpoint, verify_entry_included
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.errors import EvidenceNotValid, ProblemError
from batchtokens_verifier.jws import KeySet, Purpose, VerificationKey, decode_object, unverified_kid
from batchtokens_verifier.receipts import Receipt, verify_receipt

VERSION = 1
WARNING = (
    "The salt opens the digests of personal values in the ledger: whoever has this pack can prove"
    " what its person agreed to. Keep it as confidential as what it says."
)
MEMBERS = frozenset(
    {"v", "warning", "issuer", "salt", "mandate", "claims", "payload", "consent"}
    | {"entries", "receipts", "checkpoint", "keys"}
)
_MANDATE = frozenset({"user", "client", "executor", "type", "summary", "details"})
_CONSENT = frozenset(
    {"id", "mandate_digest", "summary", "language", "template_version", "shown_at"}
    | {"confirmed_at", "confirmed_with"}
)
_ENTRY = frozenset({"entry", "index", "proof", "note"})
_JWK = frozenset({"kty", "crv", "x", "y", "kid", "alg", "use", "purpose"})
_MOVES = frozenset({"reserved", "settled", "released"})
_SIGNATURES = frozenset({"issued", "reissued"})
# What is no pack makes Python raise.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ProblemError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry of the pack, as its exact text says."""

    hash: str
    token: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a pack proves, up to the last entry in it.

    keys_trusted: whether the caller's keys vouched for the pack's own; else it only agrees with
    itself. What came later is in no pack: compare `entries` with the authority's count.
    """

    operation_id: str
    operation: dict[str, Any]
    entries: int
    redemptions: dict[str, str]
    head: TreeHead
    keys_trusted: bool


def verify_evidence(pack: object, *, keys: KeySet | None = None) -> Evidence:
    """Return what `pack`, as parsed from JSON, proves.

    keys: the authority's, from where the caller trusts; None: only the pack's own.
    Raises EvidenceNotValid, whose pointer says where.
    """
    with _at(""):
        members = _members(pack, MEMBERS)
    with _at("/v"):
        _check(members["v"] == VERSION and members["v"] is not True, "this version is not known")
    with _at("/warning"):
        _check(members["warning"] == WARNING, "the warning is another one")
    own = _keys(members["keys"], keys)
    with _at("/checkpoint"):
        head = verify_checkpoint(members["checkpoint"], keys=own, issuer=members["issuer"]).head
    entries = _entries(members["entries"], head)
    issued = entries[0].data
    salt = _salt(members, issued)
    _check_notes(members["entries"], entries, salt)
    _check_mandate(members["mandate"], issued, salt)
    _check_claims(members, entries[0], salt)
    _check_consent(members, issued, salt)
    _check_receipts(members, own, entries)
    _check_keys_used(members, own, entries)
    return Evidence(
        operation_id=members["mandate"]["details"]["identifier"],
        operation=members["mandate"]["details"]["operation"],
        entries=len(entries),
        redemptions={e.data["slot"]: e.kind for e in entries if e.kind in _MOVES},
        head=head,
        keys_trusted=keys is not None,
    )


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Let whatever is wrong inside be wrong there."""
    try:
        yield
    except EvidenceNotValid as refusal:
        raise EvidenceNotValid(refusal.detail, pointer=pointer + refusal.pointer) from None
    except _UNREADABLE as error:
        why = str(error) if isinstance(error, ProblemError) else "it cannot be read"
        raise EvidenceNotValid(why, pointer=pointer) from None


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise EvidenceNotValid(problem)


def _members(value: object, names: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != names:
        raise EvidenceNotValid("the members are not as expected")
    return value


def _keys(jwks: Any, trusted: KeySet | None) -> KeySet:
    with _at("/keys"):
        listed = _members(jwks, frozenset({"keys"}))["keys"]
        found = KeySet.from_jwks(jwks)
        _check(len(found.by_kid) == len(listed), "a key is not of the authority's kind")
    for index, jwk in enumerate(listed):
        with _at(f"/keys/keys/{index}"):
            _check(set(jwk) <= _JWK and jwk["use"] == "sig", "the members are not as expected")
            # RFC 7638: a key's id is the digest of the key.
            own = found.by_kid[jwk["kid"]]
            _check(own.key.thumbprint() == own.kid, "the key id is another key's")
            if trusted is not None:
                _check(_is_known(own, trusted), "the authority's keys do not have it")
    return found


def _is_known(own: VerificationKey, trusted: KeySet) -> bool:
    # An operation key is published only while its tokens live; nothing here rests on its signature,
    # so the ledger's word on its id is enough.
    known = trusted.get(own.kid)
    if known is None:
        return own.purpose is Purpose.OPERATION
    return (known.purpose, known.alg) == (own.purpose, own.alg)


def _entries(listed: Any, head: TreeHead) -> list[Entry]:
    """Read the chain, each entry of which is in the checkpoint's tree."""
    with _at("/entries"):
        _check(isinstance(listed, list) and bool(listed), "there is no entry")
    entries: list[Entry] = []
    for number, each in enumerate(listed, start=1):
        with _at(f"/entries/{number - 1}"):
            text = _members(each, _ENTRY)["entry"]
            body = parse_json(text, max_bytes=len(text))
            _check(type(each["index"]) is int, "the index is not a number")
            verify_entry_included(
                text.encode(), index=each["index"], proof=each["proof"], head=head
            )
            previous = entries[-1].hash if entries else ""
            token = entries[0].token if entries else body["token"]
            linked = (body["seq"], body["prev"], body["token"]) == (number, previous, token)
            begun = (body["kind"] == "issued") == (number == 1)
            _check(linked and begun, "the entry is not the next one of this chain")
            hash_ = b64url(hashlib.sha256(text.encode()).digest())
            entries.append(Entry(hash_, token, body["kind"], body["data"]))
    return entries


def _salt(members: Mapping[str, Any], issued: Mapping[str, Any]) -> bytes:
    with _at("/mandate"):
        mandate = _members(members["mandate"], _MANDATE)
    with _at("/salt"):
        salt = b64url_decode(members["salt"])
        opened = (_salted(salt, mandate[name]) == issued[name] for name in ("user", "summary"))
        _check(any(opened), "it opens none of the digests")
        return salt


def _check_notes(listed: Any, entries: list[Entry], salt: bytes) -> None:
    for index, (each, entry) in enumerate(zip(listed, entries, strict=True)):
        with _at(f"/entries/{index}/note"):
            note = each["note"]
            # An erased note is no lie; one that the ledger has no digest of is.
            told = note == "" or _salted(salt, note) == entry.data.get("note")
            _check(told, "the note is not the one that was recorded")


def _check_mandate(mandate: Any, issued: Mapping[str, Any], salt: bytes) -> None:
    for name in ("client", "executor", "type"):
        with _at(f"/mandate/{name}"):
            _check(mandate[name] == issued[name], "it is not what was recorded")
    for name in ("user", "summary"):
        with _at(f"/mandate/{name}"):
            _check(_salted(salt, mandate[name]) == issued[name], "it is not what was recorded")
    with _at("/mandate/details"):
        details = canonicalize(mandate["details"]).decode()
        _check(_salted(salt, details) == issued["details"], "they are not what was recorded")
        found = parameter_digest(mandate["details"]["operation"])
        _check(found == issued["parameter_digest"], "the operation's digest is another one")


def _check_claims(members: Mapping[str, Any], first: Entry, salt: bytes) -> None:
    """Compare the claims with the signed payload, and that with the ledger."""
    payload, claims, mandate = members["payload"], members["claims"], members["mandate"]
    with _at("/payload"):
        _check(_salted(salt, payload) == first.data["claims"], "it is not what was signed")
    with _at("/claims"):
        signed = decode_object(payload)
        _check(canonicalize(claims) == canonicalize(signed), "they are not what was signed")
        _check(token_hash(signed["jti"]) == first.token, "the ledger is another token's")
        _check(signed["authorization_details"] == [mandate["details"]], "the details differ")
        parties = (signed["iss"], signed["sub"], signed["client_id"])
        known = (members["issuer"], mandate["user"], mandate["client"])
        _check(parties == known, "the parties differ")
        _check(signed["consent"]["mode"] == first.data["consent"], "the consent's mode differs")


def _check_consent(members: Mapping[str, Any], issued: Mapping[str, Any], salt: bytes) -> None:
    consent = members["consent"]
    with _at("/consent"):
        if issued["consent"] != "exact":
            _check(consent is None, "none was needed")
            return
        record = canonicalize(_members(consent, _CONSENT)).decode()
        _check(_salted(salt, record) == issued["consent_record"], "it is not what was recorded")
        _check(consent["mandate_digest"] == _mandate_digest(members), "it is for another mandate")
        same = consent["summary"] == members["mandate"]["summary"]
        _check(same, "another text was shown than was recorded")


def _mandate_digest(members: Mapping[str, Any]) -> str:
    mandate = members["mandate"]
    sub, client_id, detail = mandate["user"], mandate["client"], mandate["details"]
    aud = detail["locations"][0]
    return mandate_digest(sub=sub, client_id=client_id, aud=aud, detail=detail)


def _check_receipts(members: Mapping[str, Any], keys: KeySet, entries: list[Entry]) -> None:
    """Let each receipt be told by its entry, and each entry that has one show it."""
    amounts = {e.data["redemption"]: e.data["amount"] for e in entries if e.kind == "reserved"}
    shown = []
    with _at("/receipts"):
        _check(isinstance(members["receipts"], list), "it is not a list")
    for index, token in enumerate(members["receipts"]):
        with _at(f"/receipts/{index}"):
            executor = entries[0].data["executor"]
            receipt = verify_receipt(token, keys=keys, issuer=members["issuer"], audience=executor)
            entry = entries[receipt.seq - 1]
            _check(_told(receipt) == _telling(entry, entries[0], amounts), "no entry tells it")
            shown.append(entry.hash)
    with _at("/receipts"):
        _check(sorted(shown) == sorted(_receipted(entries)), "one is missing, or there twice")


def _told(receipt: Receipt) -> tuple[Any, ...]:
    amount, digest_ = receipt.amount.as_json(), receipt.parameter_digest
    names = (receipt.jti, receipt.slot, receipt.attempt, receipt.status)
    return (receipt.entry_hash, receipt.token, *names, amount, digest_)


def _telling(entry: Entry, first: Entry, amounts: Mapping[str, Any]) -> tuple[Any, ...]:
    data = entry.data
    names = (data["redemption"], data["slot"], data["attempt"], entry.kind)
    amount = amounts[data["redemption"]]
    return (entry.hash, entry.token, *names, amount, first.data["parameter_digest"])


def _receipted(entries: list[Entry]) -> list[str]:
    """Return the entries of which the authority keeps a receipt: all attempts, last closings."""
    last = {entry.data["redemption"]: entry for entry in entries if entry.kind in _MOVES}
    closed = [entry.hash for entry in last.values() if entry.kind != "reserved"]
    return closed + [entry.hash for entry in entries if entry.kind == "reserved"]


def _check_keys_used(members: Mapping[str, Any], keys: KeySet, entries: list[Entry]) -> None:
    with _at("/keys"):
        signing = {entry.data["kid"] for entry in entries if entry.kind in _SIGNATURES}
        purposes = {keys.by_kid[kid].purpose for kid in signing}
        _check(purposes == {Purpose.OPERATION}, "the token's key is for something else")
        proofs = [members["checkpoint"], *members["receipts"]]
        used = signing | {unverified_kid(token) for token in proofs}
        _check(used == keys.by_kid.keys(), "a key is there that signed nothing")


def _salted(salt: bytes, value: str) -> str:
    return digest(salt + value.encode())

"""Operation tokens drawn at random, right or wrong in one way, with what should become of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.unit.verifier.minting import (
    AUDIENCE,
    ISSUER,
    NOW,
    OPERATION,
    SIGNING_KEYS,
    detail,
    digest_of,
    mint,
    operation_claims,
)

SKEW = 10


@dataclass
class Draft:
    """What is about to be signed, and how."""

    claims: dict[str, Any]
    key: str = "operation"
    header: dict[str, Any] | None = None
    typ: str = "at+jwt"

    @property
    def detail(self) -> dict[str, Any]:
        details: dict[str, Any] = self.claims["authorization_details"][0]
        return details


@dataclass(frozen=True)
class DrawnToken:
    """A signed token. genuine: whether every claim of it is right; its times are another matter."""

    token: str
    what: str
    genuine: bool
    iat: int
    valid_from: int
    valid_to: int

    def moments(self, random: Random) -> datetime:
        """Draw an instant at, right before or right after one of its boundaries."""
        boundary = random.choice([self.iat - SKEW, self.valid_from - SKEW, self.valid_to, self.iat])
        return datetime.fromtimestamp(boundary + random.choice([-1, 0, 1, 3600, -3600]), UTC)

    def passes_at(self, now: datetime) -> bool:
        """Say whether a verifier with a right clock takes it; its clock may be 10 s behind."""
        at = now.timestamp()
        ahead = self.iat <= at + SKEW and self.valid_from <= at + SKEW
        return self.genuine and ahead and at < self.valid_to


def wire(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def good(random: Random) -> Draft:
    """Draw a good token: fixed or variable, with a schedule, limits, both or neither."""
    start = NOW + timedelta(seconds=random.randrange(-86_400, 86_400))
    end = start + timedelta(days=random.randrange(40, 366))
    issued = start - timedelta(seconds=random.choice([0, 1, 59, 300]))
    operation = dict(OPERATION)
    changes: dict[str, Any] = {"valid_from": wire(start), "valid_to": wire(end)}
    changes |= {"max_occurrences": None, "schedule": "FREQ=DAILY;COUNT=12"}
    if random.random() < 0.4:
        changes |= {"schedule": None, "due_window": None}
    if random.random() < 0.3:
        changes |= {"periodic_limits": None}
    if random.random() < 0.3:
        del operation["amount"]
    elif random.random() < 0.5:
        changes |= {"max_individual_amount": None}
    if random.random() < 0.3:
        changes |= {"max_total": None}
    details = [detail(operation=operation, **changes)]
    claims = operation_claims(
        authorization_details=details,
        parameter_digest=digest_of(operation),
        iat=int(issued.timestamp()),
        nbf=int(start.timestamp()),
        exp=int(end.timestamp()),
        jti=f"opt_{random.getrandbits(128):032x}",
    )
    return Draft(claims)


def claim(name: str, *values: Any) -> Callable[[Draft, Random], None]:
    """Return a fault: the claim has another value, or is not there (None)."""

    def change(draft: Draft, random: Random) -> None:
        draft.claims[name] = random.choice(values)
        if draft.claims[name] is None:
            del draft.claims[name]

    return change


def member(name: str, *values: Any) -> Callable[[Draft, Random], None]:
    """Return a fault in the authorization_details."""

    def change(draft: Draft, random: Random) -> None:
        draft.detail[name] = random.choice(values)
        if draft.detail[name] is None:
            del draft.detail[name]

    return change


def in_limit(**members: Any) -> Callable[[Draft, Random], None]:
    limit = {"period_type": "month", "period_alignment": "consent", "time_zone": "UTC"}
    return member("periodic_limits", [limit | {"max_count": 1} | members])


def shifted(name: str) -> Callable[[Draft, Random], None]:
    def change(draft: Draft, random: Random) -> None:
        draft.claims[name] += random.choice([-3600, -1, 1, 3600])

    return change


def signed_by(key: str, typ: str = "at+jwt") -> Callable[[Draft, Random], None]:
    def change(draft: Draft, random: Random) -> None:
        draft.key, draft.typ = key, typ

    return change


def headed(**changes: Any) -> Callable[[Draft, Random], None]:
    def change(draft: Draft, random: Random) -> None:
        key = SIGNING_KEYS[draft.key]
        header = {"alg": key["alg"], "kid": key["kid"], "typ": draft.typ} | changes
        draft.header = {name: value for name, value in header.items() if value is not None}

    return change


def edited_operation(draft: Draft, random: Random) -> None:
    draft.detail["operation"] = {**draft.detail["operation"], "reference": random.choice(["", "x"])}


def without_money(draft: Draft, random: Random) -> None:
    draft.detail["operation"].pop("amount", None)
    draft.detail.pop("max_individual_amount", None)
    draft.claims["parameter_digest"] = digest_of(draft.detail["operation"])


def two_details(draft: Draft, random: Random) -> None:
    draft.claims["authorization_details"] = random.choice([[draft.detail] * 2, [], draft.detail])


def first_party(draft: Draft, random: Random) -> None:
    draft.claims["client_id"] = "first-party"
    del draft.claims["act"]


EUR = {"amount": "50.00", "currency": "EUR"}
HARMLESS: dict[str, Callable[[Draft, Random], None]] = {
    "nothing": lambda draft, random: None,
    "an unknown claim": claim("nonce", "x", 1, [], {}),
    "first-party": first_party,
    "exact consent": claim("consent", {"mode": "exact"}),
    "EdDSA": signed_by("operation_eddsa"),
}
FAULTS: dict[str, Callable[[Draft, Random], None]] = {
    "iss": claim("iss", f"{ISSUER}/", ISSUER.upper(), "https://evil.example", "", 1, None),
    "aud": claim("aud", AUDIENCE[:-1], [AUDIENCE], "https://other.example/", "", None),
    "sub": claim("sub", "", 1, None),
    "client_id": claim("client_id", "other", "first-party", "", None),
    "act": claim("act", {"sub": "other"}, {"sub": "trigger", "act": {}}, "trigger", {}, None),
    "scope": claim("scope", "savings.withdraw", "savings.deposit profile", "", None),
    "txn": claim("txn", "", 1, None),
    "jti": claim("jti", "opt_short", "acc_" + "A" * 22, "opt_" + "A" * 21 + "!", "", 1, None),
    "iat": claim("iat", "1", 1.5, True, -1, 2**53, None),
    "nbf": shifted("nbf"),
    "exp": shifted("exp"),
    "nbf of another type": claim("nbf", "1", 1.5, True, None),
    "exp of another type": claim("exp", "1", 1.5, True, None),
    "parameter_digest": claim("parameter_digest", "sha-256:" + "A" * 43, "", 1, None),
    "consent": claim("consent", {}, "scope", {"mode": "none"}, {"mode": ["scope"]}, None),
    "another operation": edited_operation,
    "no money": without_money,
    "details": two_details,
    "type": member("type", "", 1, None),
    "actions": member("actions", ["savings.withdraw"], [], "savings.deposit", None),
    "locations": member("locations", ["https://other.example/"], [], AUDIENCE, None),
    "identifier": member("identifier", "rdm_1", "op_", "op_!", 1, None),
    "redemption": member(
        "redemption", {}, {"mode": "none", "uri": "x"}, {"mode": "issuer", "uri": ""}, None
    ),
    "an unknown member": member("max_speed", 1, "1", [], {}),
    "valid_from": member("valid_from", "2026-12-01T08:00:00+00:00", "2026-12-01", "", 1, None),
    "valid_to": member("valid_to", "2026-12-01T08:00:00+00:00", "9999-12-31T23:59:59Z", 1, None),
    "schedule": member("schedule", "FREQ=DAILY", "FREQ=DAILY;COUNT=1000000", "often", "", 1),
    "due_window": member("due_window", "P1M", "PT0S", "", 3, "P367D"),
    "cap": member("max_individual_amount", {"amount": "0.00", "currency": "USD"}, EUR, 50.0, "50"),
    "total": member("max_total", {"amount": "600.0", "currency": "USD"}, EUR, 600, {}),
    "occurrences": member("max_occurrences", 0, 13.0, "12", True, 10**7),
    "limits": member("periodic_limits", {}, "month", [1], [{}], [{"max_count": 1}]),
    "period": in_limit(period_type="fortnight"),
    "alignment": in_limit(period_alignment="fiscal"),
    "zone": in_limit(time_zone="Mars/Olympus"),
    "count": in_limit(max_count=1.0),
    "another currency": in_limit(**EUR),
    "a member of a limit": in_limit(max_speed=1),
    "access key": signed_by("access"),
    "receipt key": signed_by("receipt"),
    "status key": signed_by("status"),
    "a stranger's key": signed_by("stranger"),
    "typ of a receipt": signed_by("operation", "receipt+jwt"),
    "typ of a refresh token": signed_by("operation", "rt+jwt"),
    "typ JWT": signed_by("operation", "JWT"),
    "alg none": headed(alg="none"),
    "alg of a MAC": headed(alg="HS256"),
    "kid unknown": headed(kid="unknown"),
    "no kid": headed(kid=None),
    "an embedded key": headed(jwk={"kty": "EC"}),
    "critical": headed(crit=["exp"]),
}


def drawn_tokens(random: Random) -> Iterator[DrawnToken]:
    """Yield tokens without end: one in four is genuine."""
    while True:
        genuine = random.random() < 0.25
        what, change = random.choice(list((HARMLESS if genuine else FAULTS).items()))
        draft = deepcopy(good(random))
        start, end = (draft.detail[name] for name in ("valid_from", "valid_to"))
        iat = draft.claims["iat"]
        change(draft, random)
        token = mint(draft.claims, key=draft.key, header=draft.header, typ=draft.typ)
        yield DrawnToken(token, what, genuine, iat, seconds(start), seconds(end))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())

"""Operation tokens: good ones at their boundaries, and every way in which one is not."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.conformance.authorization_details import authorization_details
from tests.conformance.minted import doing, having, token
from tests.conformance.vectors import Vector, at, header, raw, vector
from tests.unit.verifier.minting import (
    ISSUER,
    NOW,
    OPERATION,
    SIGNING_KEYS,
    access_claims,
    b64,
    consented,
    detail,
    digest_of,
    mint,
    operation_claims,
)

NOT_VALID = "operation_token_not_valid"
MISMATCH = "operation_mismatch"
END = datetime(2027, 12, 1, 8, 0, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
DIGEST = f"sha-256:{'A' * 43}"


def operation_tokens() -> Iterator[Vector]:
    """Judge without any status list."""
    for each in _each():
        yield each if each["code"] else each | {"assurance": "signature, constraints"}


def _each() -> Iterator[Vector]:
    yield from _accepted()
    yield from _times()
    yield from _copies()
    yield from _headers()
    yield from _keys()
    yield from _encodings()
    yield from _claims()
    yield from authorization_details()


def _accepted() -> Iterator[Vector]:
    variable = {name: value for name, value in OPERATION.items() if name != "amount"}
    good = {
        "good": token(),
        "EdDSA key": mint(operation_claims(), key="operation_eddsa"),
        "first-party without act": token(client_id="first-party", act=None),
        "an unknown claim": token(later={"a": 1}),
        "exact consent, named": mint(consented()),
        "exact consent, from before it was named": token(consent={"mode": "exact"}),
        "an unknown member of consent": token(consent={"mode": "scope", "later": "x"}),
        "a status that this verifier is not asked about": token(
            status={"status_list": {"idx": 7, "uri": f"{ISSUER}/oauth/status/a"}}
        ),
        "a variable operation with a cap": doing(variable),
        "no schedule": having(schedule=None, due_window=None),
        "a schedule in a zone with summer time": having(
            periodic_limits=[detail()["periodic_limits"][0] | {"time_zone": "Europe/Madrid"}]
        ),
    }
    for name, text in good.items():
        yield vector(name, None, token=text)
    yield vector("with its operation", None, token=token(), operation=OPERATION)
    turned = dict(reversed(OPERATION.items()))
    yield vector("with its operation in another order", None, token=token(), operation=turned)


def _times() -> Iterator[Vector]:
    for seconds, code in ((-11, NOT_VALID), (-10, None), (-1, None), (1, None)):
        yield vector(f"{seconds:+} s from its issue", code, token=token(), now=at(seconds))
    for seconds, code in ((-1, None), (0, "outside_validity"), (1, "outside_validity")):
        now = at(seconds, start=END)
        yield vector(f"{seconds:+} s from valid_to", code, token=token(), now=now)
    later = "2026-12-02T08:00:00Z"
    text = token(nbf=AT + 86400, authorization_details=[detail(valid_from=later)])
    cases = ((-11, "outside_validity"), (-10, None), (0, None), (1, None))
    for seconds, code in cases:
        yield vector(f"{seconds:+} s from valid_from", code, token=text, now=at(86400 + seconds))


def _copies() -> Iterator[Vector]:
    amount = OPERATION["amount"]
    copies: dict[str, Any] = {
        "amount": OPERATION | {"amount": amount | {"amount": "50.01"}},
        "currency": OPERATION | {"amount": amount | {"currency": "EUR"}},
        "fewer decimals": OPERATION | {"amount": amount | {"amount": "50.0"}},
        "a number for the amount": OPERATION | {"amount": amount | {"amount": 50}},
        "payee": OPERATION | {"creditor_account": "sav-7782"},
        "payer": OPERATION | {"debtor_account": "chk-1043"},
        "action": OPERATION | {"action": "savings.withdraw"},
        "reference in capitals": OPERATION | {"reference": "Monthly savings"},
        "a trailing space": OPERATION | {"reference": "monthly savings "},
        "a zero-width space": OPERATION | {"reference": "monthly\u200bsavings"},
        "a look-alike letter": OPERATION | {"reference": "monthly s\u0430vings"},
        "an added member": OPERATION | {"note": "x"},
        "a missing member": {n: v for n, v in OPERATION.items() if n != "reference"},
        "a null": OPERATION | {"reference": None},
        "nothing": {},
        "a list": [OPERATION],
    }
    for name, copy in copies.items():
        yield vector(f"copy: {name}", MISMATCH, token=token(), operation=copy)
    urgent = OPERATION | {"urgent": True}
    yield vector("copy: true for true", None, token=doing(urgent), operation=urgent)
    for name, value in {"1": 1, "a text": "true", "false": False}.items():
        copy, text = OPERATION | {"urgent": value}, doing(urgent)
        yield vector(f"copy: {name} for true", MISMATCH, token=text, operation=copy)


def _headers() -> Iterator[Vector]:
    claims = operation_claims()
    stranger = {name: SIGNING_KEYS["stranger"][name] for name in ("kty", "crv", "x", "y")}
    headers: dict[str, Any] = {
        "alg none": header(alg="none"),
        "alg in lower case": header(alg="es256"),
        "alg ES384": header(alg="ES384"),
        "alg EdDSA with an ES256 key": header(alg="EdDSA"),
        "no alg": header(alg=None),
        "no kid": header(kid=None),
        "no typ": header() | {"typ": None},
        "unknown kid": header(kid="unknown"),
        "kid is a path": header(kid="../../etc/passwd"),
        "typ JWT": header(typ="JWT"),
        "typ in capitals": header(typ="AT+JWT"),
        "typ with application/": header(typ="application/at+jwt"),
        "typ of a receipt": header(typ="receipt+jwt"),
        "typ of a refresh token": header(typ="rt+jwt"),
        "typ of a status list": header(typ="statuslist+jwt"),
        "crit": header(crit=["exp"]),
        "crit, empty": header(crit=[]),
        "b64 false": header(b64=False),
        "jwk": header(jwk=stranger),
        "jku": header(jku="https://evil.example/jwks.json"),
        "x5u": header(x5u="https://evil.example/cert.pem"),
        "x5c": header(x5c=["AAAA"]),
        "zip": header(zip="DEF"),
        "cty": header(cty="JWT"),
    }
    for name, changed in headers.items():
        yield vector(f"header: {name}", NOT_VALID, token=mint(claims, header=changed))


def _keys() -> Iterator[Vector]:
    claims = operation_claims()
    stranger = {name: SIGNING_KEYS["stranger"][name] for name in ("kty", "crv", "x", "y")}
    for key in ("access", "refresh", "receipt", "status", "introspection", "checkpoint"):
        yield vector(f"signed with the {key} key", NOT_VALID, token=mint(claims, key=key))
    kid = SIGNING_KEYS["operation"]["kid"]
    forged = mint(claims, key="stranger", kid=kid)
    yield vector("a stranger's signature under a known kid", NOT_VALID, token=forged)
    own = header(key="stranger", jwk=stranger)
    text = mint(claims, key="stranger", header=own)
    yield vector("header: jwk, signed with it", NOT_VALID, token=text)
    yield vector("HS256 keyed with the public key", NOT_VALID, token=_confused(claims))
    unsigned = f"{mint(claims, header=header(alg='none')).rpartition('.')[0]}."
    yield vector("alg none, no signature", NOT_VALID, token=unsigned)


def _confused(claims: dict[str, Any]) -> str:
    """Sign as if the published key were a shared secret."""
    message = mint(claims, header=header(alg="HS256")).rpartition(".")[0]
    public = json.dumps(
        {n: SIGNING_KEYS["operation"][n] for n in ("crv", "kty", "x", "y")}
    ).encode()
    return f"{message}.{b64(hmac.new(public, message.encode(), hashlib.sha256).digest())}"


def _encodings() -> Iterator[Vector]:
    good, body = token(), json.dumps(operation_claims()).encode()
    head = json.dumps(header()).encode()
    message, _, signed = good.rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(good[-1]) ^ 1]
    twice = body.replace(b'"action"', b'"action":"b","action"', 1)
    deep = b'{"a":' * 1500 + b"1" + b"}" * 1500
    texts = {
        "header member twice": raw(head[:-1] + b',"alg":"none"}', body),
        "header is an array": raw(b"[" + head + b"]", body),
        "header is not UTF-8": raw(head.replace(b"at+jwt", b"\xff"), body),
        "claim twice": raw(head, body[:-1] + b',"exp":4102444800}'),
        "claim twice, one of them escaped": raw(head, body[:-1] + b',"e\\u0078p":4102444800}'),
        "member of the operation twice": raw(head, twice),
        "claims nested 1500 deep": raw(head, deep),
        "claims are an array": raw(head, b"[" + body + b"]"),
        "claims are not JSON": raw(head, body[:-1]),
        "claims with NaN": raw(head, body[:-1] + b',"a":NaN}'),
        "claims with a lone surrogate": raw(head, body[:-1] + b',"a":"\\ud800"}'),
        "claims followed by more": raw(head, body + b"{}"),
        "claims with a byte order mark": raw(head, b"\xef\xbb\xbf" + body),
        "signature in non-canonical base64url": good[:-1] + twin,
        "padding": good + "=",
        "base64 alphabet": message + "." + signed.replace("-", "+").replace("_", "/") + "+",
        "a space before": f" {good}",
        "a line feed after": f"{good}\n",
        "a byte after": f"{good}A",
        "four parts": f"{good}.{signed}",
        "two parts": message,
        "empty": "",
        "a bit of the payload changed": good.replace(".eyJ", ".eyK", 1),
        "signature of zeros": f"{message}.{b64(bytes(64))}",
        "signature cut": good[:-2],
        "larger than 16 KiB": token(later="a" * 16384),
    }
    for name, text in texts.items():
        yield vector(f"encoding: {name}", NOT_VALID, token=text)


def _claims() -> Iterator[Vector]:
    changed: dict[str, dict[str, Any]] = {
        "aud is a list": {"aud": [operation_claims()["aud"]]},
        "aud is another executor": _for("https://other.example/"),
        "aud without its slash": _for("https://savings.example"),
        "aud with more behind it": _for("https://savings.example/other"),
        "aud in capitals": _for("https://SAVINGS.example/"),
        "aud is not the location": {"aud": "https://other.example/"},
        "no aud": {"aud": None},
        "another issuer": {"iss": "https://evil.example"},
        "issuer with a slash": {"iss": f"{ISSUER}/"},
        "no parameter_digest": {"parameter_digest": None},
        "a digest cut short": {"parameter_digest": digest_of(OPERATION)[:-1]},
        "a digest with more behind it": {"parameter_digest": f"{digest_of(OPERATION)}A"},
        "a digest of no named kind": {"parameter_digest": digest_of(OPERATION)[8:]},
        "a digest of a kind in capitals": {"parameter_digest": f"SHA{digest_of(OPERATION)[3:]}"},
        "another operation's digest": {"parameter_digest": DIGEST},
        "exp is not valid_to": {"exp": operation_claims()["exp"] + 1},
        "exp is a float": {"exp": float(operation_claims()["exp"])},
        "exp is a string": {"exp": str(operation_claims()["exp"])},
        "exp is a boolean": {"exp": True},
        "nbf is not max(iat, valid_from)": {"nbf": AT - 1},
        "no iat": {"iat": None},
        "two scopes": {"scope": "savings.deposit savings.withdraw"},
        "another action's scope": {"scope": "savings.withdraw"},
        "scope is a list": {"scope": ["savings.deposit"]},
        "a chain of actors": {"act": {"sub": "trigger", "act": {"sub": "other"}}},
        "another actor": {"act": {"sub": "other"}},
        "no actor": {"act": None},
        "first-party with an actor": {"client_id": "first-party"},
    }
    for name, changes in (changed | _claims_of_this_product()).items():
        yield vector(f"claim: {name}", NOT_VALID, token=token(**changes))
    text = mint(access_claims())
    yield vector("claim: those of an access token", NOT_VALID, token=text)


def _claims_of_this_product() -> dict[str, dict[str, Any]]:
    return {
        "no consent": {"consent": None},
        "unknown consent mode": {"consent": {"mode": "implied"}},
        "consent with a malformed digest": {"consent": {"mode": "exact", "mandate_digest": "x"}},
        "consent to another mandate": {"consent": {"mode": "exact", "mandate_digest": DIGEST}},
        "consent of another person": {"consent": consented(sub="usr_bob")["consent"]},
        "consent for another client": {"consent": consented(client_id="first-party")["consent"]},
        "consent for another executor": {"consent": consented(aud="https://a.example/")["consent"]},
        "consent to other limits": {"consent": consented()["consent"], **_less()},
        "scope consent with another mandate's digest": {
            "consent": {"mode": "scope", "mandate_digest": DIGEST}
        },
        "an access token's jti": {"jti": access_claims()["jti"]},
        "empty sub": {"sub": ""},
        "no txn": {"txn": None},
        "status of an unknown kind": {"status": {"later": {}}},
        "status without an index": {"status": {"status_list": {"uri": f"{ISSUER}/a"}}},
        "status with a negative index": {"status": {"status_list": {"uri": "a", "idx": -1}}},
        "no authorization_details": {"authorization_details": None},
        "empty authorization_details": {"authorization_details": []},
        "two authorization_details": {"authorization_details": [detail(), detail()]},
        "authorization_details is an object": {"authorization_details": detail()},
    }


def _less() -> dict[str, Any]:
    return {"authorization_details": [detail(max_total=None)]}


def _for(audience: str) -> dict[str, Any]:
    return {"aud": audience, "authorization_details": [detail(locations=[audience])]}

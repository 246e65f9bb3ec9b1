"""FEDERATED_PROVIDERS as the operator writes it."""

import json
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.federation.providers import ProviderKind, is_endpoint, parse_providers
from authproject.env import Environment

SECRET = "never-shown-3f9a"
CORP: dict[str, Any] = {
    "name": "corp",
    "kind": "oidc",
    "issuer": "https://id.corp.example/tenant",
    "client_id": "authproject",
    "client_secret": SECRET,
}
GITHUB: dict[str, Any] = {
    "name": "github",
    "kind": "github",
    "client_id": "Iv1.0123",
    "client_secret": SECRET,
}


def parse(*entries: Any, production: bool = True) -> Any:
    return parse_providers(json.dumps(entries), production=production)


def test_no_setting_is_no_provider() -> None:
    assert parse_providers("", production=True) == parse() == {}


def test_reads_both_kinds_in_their_order() -> None:
    providers = parse(GITHUB, CORP | {"label": "Corp", "sign_up": True, "scope": "openid"})

    assert list(providers) == ["github", "corp"]
    github, corp = providers.values()
    assert (github.kind, github.issuer, github.label) == (
        ProviderKind.GITHUB,
        "https://github.com",
        "github",
    )
    assert (corp.kind, corp.issuer, corp.label) == (ProviderKind.OIDC, CORP["issuer"], "Corp")
    assert (corp.scope, corp.sign_up, github.sign_up) == ("openid", True, False)
    assert "email" in github.scope


def test_is_read_from_a_file(tmp_path: Any) -> None:
    (tmp_path / "providers").write_text(json.dumps([CORP]))
    env = Environment({"FEDERATED_PROVIDERS_FILE": str(tmp_path / "providers")})

    providers = parse_providers(env.text("FEDERATED_PROVIDERS"), production=True)

    assert list(providers) == ["corp"]


def test_shows_no_secret() -> None:
    assert SECRET not in repr(parse(CORP))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ("{", "must be JSON"),
        ("{}", "must be a list"),
        (json.dumps([CORP] * 21), "at most 20"),
        ("[7]", "entry 1: must be an object"),
        (
            json.dumps([CORP, GITHUB | {"kind": "saml"}]),
            "entry 2: kind must be one of oidc, github",
        ),
        (json.dumps([CORP | {"kind": ["oidc"]}]), "kind must be"),
        (json.dumps([{k: v for k, v in CORP.items() if k != "issuer"}]), "issuer is missing"),
        (json.dumps([GITHUB | {"issuer": "https://x.example"}]), "knows only"),
        (json.dumps([CORP | {"secret": SECRET}]), "knows only"),
        (json.dumps([CORP | {"name": "Corp"}]), "name must be"),
        (json.dumps([CORP | {"name": "idn_1"}]), "name must be"),
        (json.dumps([CORP | {"name": ""}]), "name must be a text"),
        (json.dumps([CORP | {"client_secret": 7}]), "client_secret must be a text"),
        (json.dumps([CORP | {"client_secret": f"{SECRET}\n"}]), "client_secret must be a text"),
        (json.dumps([CORP | {"client_id": " "}]), "client_id must be a text"),
        (json.dumps([CORP | {"sign_up": "true"}]), "sign_up must be true or false"),
        (json.dumps([CORP | {"scope": "email"}]), "scope must hold openid"),
        (json.dumps([CORP | {"label": "x" * 61}]), "label must have at most 60"),
        (json.dumps([CORP, CORP | {"issuer": "https://b.example"}]), "the same name"),
        (json.dumps([CORP, CORP | {"name": "b"}]), "the same issuer"),
        (json.dumps([GITHUB, GITHUB | {"name": "b"}]), "the same issuer"),
    ],
)
def test_refuses_in_a_sentence_without_the_secret(entries: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        parse_providers(entries, production=True)

    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith("FEDERATED_PROVIDERS")
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.corp.example",
        "http://127.0.0.1:9000",
        "https://id.corp.example?tenant=1",
        "https://id.corp.example#x",
        f"https://user:{SECRET}@id.corp.example",
        "https://",
        "https:///x",
        "https://id.corp.example:99999",
        "https://id.corp.example:0",
        "https://id.corp.example\\@evil.example",
        "https://id.corp.example/ x",
        "https://íd.corp.example",
        "ftp://id.corp.example",
        "id.corp.example",
    ],
)
def test_refuses_issuers_in_production(issuer: str) -> None:
    for entry in (CORP | {"issuer": issuer}, GITHUB | {"base_url": issuer}):
        with pytest.raises(ImproperlyConfigured, match="must be an https address"):
            parse(entry)


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000"])
def test_takes_this_machine_outside_production(host: str) -> None:
    assert parse(CORP | {"issuer": f"http://{host}"}, production=False)


@pytest.mark.parametrize("host", ["id.example", "127.0.0.1.example", "10.0.0.1", "0.0.0.0"])
def test_takes_plain_http_to_nobody_else(host: str) -> None:
    assert not is_endpoint(f"http://{host}/", loopback=True)

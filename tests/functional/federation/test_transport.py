"""What is said to providers, and how long and how much is listened to."""

import time
from typing import Any

import httpx
import pytest
from django.db import connection

from accounts.errors import FederationRefused
from accounts.federation import kept, transport
from accounts.federation.connections import forget_connections
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.federation import Browser, configure, refused
from tests.identity_providers import ABSENT, OidcProvider, ec_key, serving
from tests.loopback import Said
from tests.tokens import forge

pytestmark = pytest.mark.django_db
SHORT = 0.4
DRIPS = 1000  # in 20 seconds: however busy the machine is, who waits for all of it is found out


def drip(file: Any) -> None:
    """Send a header every now and then, each well within a step's time."""
    file.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(DRIPS):
        file.write(f"X-{number}: x\r\n".encode())
        file.flush()
        time.sleep(0.02)


def drip_body(file: Any) -> None:
    file.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    for _ in range(DRIPS):
        file.write(b" ")
        file.flush()
        time.sleep(0.02)


def pour(file: Any) -> None:
    """Send without end."""
    file.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        file.write(b" " * 65_536)


def pour_headers(file: Any) -> None:
    file.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        file.write(b"X-Header: " + b"x" * 65_536 + b"\r\n")


def hang(file: Any) -> None:
    time.sleep(DRIPS * 0.02)


@pytest.mark.parametrize("raw", [drip, drip_body, pour, pour_headers, hang])
@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.usefixtures("alice")
def test_gives_up(
    browser: Browser,
    corp: OidcProvider,
    monkeypatch: pytest.MonkeyPatch,
    raw: Any,
    path: str,
) -> None:
    query = corp.approve(browser.begin().json()["authorization_url"])
    monkeypatch.setattr(transport, "TOTAL_SECONDS", SHORT)
    corp.routes[path] = lambda _: Said(raw=raw)

    started = time.monotonic()
    assert refused(browser.finish(query))
    assert time.monotonic() - started < DRIPS * 0.02 / 2


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://rogue.example"},
        {"issuer": ABSENT},
        {"token_endpoint": ABSENT},
        {"token_endpoint": "http://rogue.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://user:secret@rogue.example/token"},
        {"token_endpoint": "https://rogue.example/token#x"},
        {"token_endpoint": "https://rogue.example:99999/"},
        {"token_endpoint": "/token"},
        {"token_endpoint": ["https://rogue.example/token"]},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://rogue.example/"},
        {"jwks_uri": "http://192.168.0.1/jwks"},
        {"jwks_uri": ABSENT},
        {"userinfo_endpoint": "http://rogue.example/"},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
    ],
    ids=str,
)
def test_refuses_what_a_provider_says_of_itself(
    browser: Browser, corp: OidcProvider, document: dict[str, Any]
) -> None:
    corp.document = document

    answer = browser.begin()

    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")


def test_an_issuer_differs_by_a_slash(browser: Browser, corp: OidcProvider, settings: Any) -> None:
    configure(settings, corp.entry("corp", issuer=f"{corp.url}/"))

    assert browser.begin().status_code == 503
    corp.issuer = f"{corp.url}/"
    forget_connections()
    assert browser.begin().status_code == 200


def test_asks_seldom(browser: Browser, corp: OidcProvider, alice: object) -> None:
    for _ in range(3):
        assert browser.sign_in(corp).status_code == 200

    assert corp.paths().count("/jwks") == 1
    assert corp.paths().count("/.well-known/openid-configuration") == 1


def test_unknown_keys_make_no_flood(browser: Browser, corp: OidcProvider, alice: object) -> None:
    corp.header = {"kid": "unknown"}

    for _ in range(5):
        assert refused(browser.sign_in(corp))

    assert corp.paths().count("/jwks") <= 2


def test_learns_a_new_key(
    browser: Browser, corp: OidcProvider, alice: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert browser.sign_in(corp).status_code == 200
    corp.jwks.append(ec_key().as_dict(private=False) | {"kid": "new"})
    corp.header = {"alg": "ES256", "kid": "new"}
    corp.sign = lambda header, claims: forge(header, claims, ec_key())
    assert browser.sign_in(corp).status_code == 401, "the keys were fetched a moment ago"

    monkeypatch.setattr(kept, "COOL_DOWN", 0.0)
    assert browser.sign_in(corp).status_code == 200


def test_sends_no_secret_where_it_does_not_belong(
    browser: Browser, corp: OidcProvider, alice: object
) -> None:
    browser.sign_in(corp)

    for asked in corp.asked:
        if asked.path != "/token":
            assert "secret" not in str(asked)
        assert "state" not in asked.form
        assert "Cookie" not in asked.headers
        assert asked.headers["Accept-Encoding"] == "identity"


def test_follows_no_proxy_of_the_environment(
    browser: Browser, corp: OidcProvider, alice: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert browser.sign_in(corp).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.example/",
        "https://a..example/",
        "https://xn--/",
        "https://[::1/",
        "https://a:b/",
        "http://127.0.0.1:1/",
    ],
)
def test_an_address_of_nobody_is_no_answer(url: str) -> None:
    with pytest.raises(FederationRefused, match="provider's answer"):
        transport.exchange("GET", url)


class TestPrivateAddresses:
    """A provider on the public network sends nobody into the operator's own."""

    def test_are_refused_to_who_must_be_public(self, corp: OidcProvider) -> None:
        with pytest.raises(FederationRefused):
            transport.exchange("GET", f"{corp.url}/jwks", public_only=True)

        assert corp.paths() == []

    @pytest.mark.parametrize("heard", [1, 2, 3])
    def test_are_never_spoken_to_for_a_public_provider(
        self,
        browser: Browser,
        corp: OidcProvider,
        alice: object,
        monkeypatch: pytest.MonkeyPatch,
        heard: int,
    ) -> None:
        """So many connections seem to be public ones: discovery, token, keys; then userinfo."""
        seen = iter([True] * heard + [False] * 9)
        monkeypatch.setattr(transport, "is_public", lambda address: next(seen))

        assert refused(browser.sign_in(corp))
        assert len(corp.paths()) == heard

    def test_are_told_of_an_answer(self, corp: OidcProvider) -> None:
        assert transport.exchange("GET", f"{corp.url}/jwks").from_public is False

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            ("127.0.0.1", False),
            ("10.0.0.1", False),
            ("169.254.169.254", False),
            ("100.64.0.1", False),
            ("::1", False),
            ("fe80::1%eth0", False),
            ("fd00::1", False),
            ("::ffff:10.0.0.1", False),
            ("2002:a00:1::", False),
            ("64:ff9b::a00:1", False),
            ("64:ff9b:1::a9fe:a9fe", False),
            ("::10.0.0.1", False),
            ("64:ff9b::8c52:7904", True),
            ("224.0.0.1", False),
            ("140.82.121.4", True),
            ("2606:50c0:8000::153", True),
        ],
    )
    def test_are_known(self, address: str, public: bool) -> None:
        assert transport.is_public(address) is public


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_it_speaks(settings: Any) -> None:
    """Ask it of the process itself, at each request."""
    ensure_signing_keys()
    corp = OidcProvider()
    configure(settings, corp.entry("corp", sign_up=True))
    corp.claims = {"email": "new@example.org", "email_verified": True}
    open_ones: list[str] = []
    stream = httpx.Client.stream

    def watched(client: httpx.Client, method: str, url: str, **how: Any) -> Any:
        open_ones.extend([url] * connection.in_atomic_block)
        return stream(client, method, url, **how)

    with serving(corp), pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "stream", watched)
        browser = Browser()
        assert browser.sign_in(corp).status_code == 200
        linked = browser.begin_linking(factories.access_token_for(factories.bob()))
        taken = browser.finish(corp.approve(linked.json()["authorization_url"]))

    assert taken.json()["code"] == "identity_taken"
    assert len(corp.asked) == 4  # two tokens; discovery and keys once
    assert open_ones == []

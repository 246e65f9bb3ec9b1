"""Somebody comes in from another provider, over HTTP, rightly and wrongly; see `plays`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

from tests.federation import FEDERATION, IDENTITIES
from tests.identity_providers import CLIENT_SECRET, OidcProvider
from tests.plays import Play, bearer

CALLBACK = f"{FEDERATION}/corp/callback"


def carol_comes_from_a_provider(play: Play, corp: OidcProvider) -> None:
    """Sign up, come back with what was used, be led astray, and try to link once more."""
    corp.claims = {"email": "carol@example.org", "email_verified": True}
    query = there_and_back(
        play, corp, "first", play.ask("POST", f"{FEDERATION}/corp", 200, json={})
    )
    page = {"Sec-Fetch-Mode": "navigate"}
    play.ask("GET", CALLBACK, 403, params=query, headers=page)
    pair = play.ask("GET", CALLBACK, 200, params=query).json()
    access, _ = play.keep_pair("carol's", pair)
    play.ask("GET", CALLBACK, 401, params=query)

    query = there_and_back(
        play, corp, "astray", play.ask("POST", f"{FEDERATION}/corp", 200, json={})
    )
    play.ask("GET", CALLBACK, 401, params=query | {"iss": "https://rogue.example"})

    begun = play.ask("POST", f"{IDENTITIES}/corp", 200, headers=bearer(access))
    query = there_and_back(play, corp, "linking", begun)
    play.ask("GET", CALLBACK, 409, params=query)
    keep_what_the_provider_saw(play, corp)
    play.http.cookies.clear()


def there_and_back(play: Play, corp: OidcProvider, name: str, begun: Any) -> dict[str, str]:
    """Return what the browser comes back with."""
    url = begun.json()["authorization_url"]
    query = corp.approve(url)
    play.keep(f"{name} state", query["state"])
    play.keep(f"{name} code", query["code"])
    play.keep(f"{name} nonce", parse_qs(urlsplit(url).query)["nonce"][0])
    for cookie in play.http.cookies.jar:
        play.keep(f"{name} {cookie.name} cookie", str(cookie.value))
    return query


def keep_what_the_provider_saw(play: Play, corp: OidcProvider) -> None:
    redeemed = [asked.form["code_verifier"] for asked in corp.asked if asked.path == "/token"]
    assert len(redeemed) == len(corp.access_tokens) == 2
    for number, verifier in enumerate(redeemed):
        play.keep(f"verifier {number}", verifier)
    for number, token in enumerate(sorted(corp.access_tokens)):
        play.keep(f"provider's token {number}", token)
    play.keep("our secret at the provider", CLIENT_SECRET)
    play.keep("our secret at the provider, as it is sent", quote_plus(CLIENT_SECRET))

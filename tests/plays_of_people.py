"""People and machines over HTTP with all that lets them in, rightly and wrongly; see `plays`.

Every password, seed, code, key and link that comes up is kept, to be searched for afterwards. Six
digits of an authenticator app are not: so few turn up anywhere by chance.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_otp.oath import totp

from accounts.models.totp_device import STEP
from tests import assertions, factories
from tests.plays import Play, bearer

BOB = "bob"
FIRST, SECOND, THIRD = (f"the {word} passphrase of bob's" for word in ("first", "second", "third"))
STAFFS_CODE = "WXYZ-2345-WXYZ-2345"
_CODE = re.compile(rb"^    ([\w-]{43})\r?$", re.MULTILINE)
_BETWEEN_MAILS = re.compile(rb"^-{79}$", re.MULTILINE)  # Django's: a file may hold several
_PATIENCE = 120.0  # seconds


def people_use_every_way_in(play: Play) -> None:
    """Do everything once that a person can do to get in, back in, and out."""
    for name, password in {"first": FIRST, "second": SECOND, "third": THIRD}.items():
        play.keep(f"bob's {name} password", password)
    bob_registers(play)
    bob_resets_his_password(play)
    codes = bob_sets_an_app_up(play)
    fresh = bob_signs_in_with_codes(play, codes)
    bob_uses_api_keys(play, fresh)
    bob_changes_everything(play, fresh)
    staff_use_a_browser(play)
    a_client_signs_assertions(play)


def link_in_mail(play: Play, name: str, subject: str) -> str:
    """Wait until the worker has sent a message; return its link's code, which is kept."""
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        for mail in mails(play):
            if f"Subject: {subject}".encode() in mail and (found := _CODE.search(mail)):
                code = found[1].decode()
                if code.encode() not in play.secrets.values():
                    return play.keep(name, code)
        time.sleep(0.1)
    raise AssertionError(f"no message of the subject {subject!r} came")


def mails(play: Play) -> Iterator[bytes]:
    """Give each whole message that the worker has written so far."""
    for path in sorted((play.folder / "mail").glob("*.log")):
        *whole, _unfinished = _BETWEEN_MAILS.split(path.read_bytes())
        yield from whole


def auth(play: Play, address: str, expect: int, *, access: str = "", **members: str) -> Any:
    headers = bearer(access) if access else {}
    return play.ask("POST", f"/api/v1/auth/{address}", expect, json=members, headers=headers)


def bob_registers(play: Play) -> None:
    auth(play, "register", 201, username=BOB, email="bob@example.org", password=FIRST)
    auth(play, "register", 400, username=BOB, email="bob@example.org", password=FIRST[:7])
    token = link_in_mail(play, "verification link", "Verify your e-mail address")
    auth(play, "email/verify", 204, token=token)
    auth(play, "email/verify", 400, token=token)


def bob_resets_his_password(play: Play) -> None:
    auth(play, "password/reset", 202, email="bob@example.org")
    token = link_in_mail(play, "reset link", "Reset your password")
    reset = "password/reset/confirm"
    auth(play, reset, 400, token=token, new_password=SECOND[:7])
    auth(play, reset, 204, token=token, new_password=SECOND)
    auth(play, reset, 400, token=token, new_password=SECOND)


def sign_in(play: Play, expect: int = 200, **members: str) -> Any:
    body = {"username": BOB, "password": SECOND, **members}
    return play.post("/api/v1/auth/token", expect, json=body)


def bob_sets_an_app_up(play: Play) -> list[str]:
    access, _ = play.keep_pair("bob's", sign_in(play))
    setup = play.post("/api/v1/me/totp", 201, headers=bearer(access))
    grouped = play.keep("seed in groups", setup["secret"])
    seed = play.keep("seed in base32", grouped.replace(" ", ""))
    key = base64.b32decode(seed)
    play.secrets["seed"] = key
    confirm = "/api/v1/me/totp/confirm"
    play.post(confirm, 401, json={"otp": "abcdef"}, headers=bearer(access))
    begin_a_step()
    code = f"{totp(key):06}"
    answer = play.post(confirm, 200, json={"otp": code}, headers=bearer(access))
    play.post("/api/v1/auth/token", 401, json={"username": BOB, "password": SECOND, "otp": code})
    for number, recovery in enumerate(answer["recovery_codes"]):
        play.keep(f"recovery code {number}", recovery)
        play.keep(f"recovery code {number} without dashes", recovery.replace("-", ""))
    sign_in(play, otp=f"{totp(key, drift=1):06}")
    return list(answer["recovery_codes"])


def begin_a_step() -> None:
    """Wait for the next step where this one ends before a code of it could be judged.

    Judged late, it puts the app's clock back, and the next step's code is too far ahead.
    """
    left = STEP - time.time() % STEP
    time.sleep(left if left < STEP / 2 else 0)


def bob_signs_in_with_codes(play: Play, codes: list[str]) -> str:
    """Return an access token with two recent factors."""
    # This refusal hands the token out, so it is not among the answers that are searched.
    asked = play.http.post(
        f"{play.url}/api/v1/auth/token", json={"username": BOB, "password": SECOND}
    )
    mfa_token = play.keep("mfa token", asked.json()["mfa_token"])
    auth(play, "token/totp", 401, mfa_token=mfa_token, otp="ABCD-EFGH-ABCD-EFGH")
    pair = auth(play, "token/totp", 200, mfa_token=mfa_token, otp=codes[0]).json()
    access, refresh = play.keep_pair("bob's second step", pair)
    auth(play, "token/totp", 401, mfa_token=mfa_token, otp=codes[0])
    auth(play, "step-up", 401, access=access, otp=codes[0])
    narrow = auth(play, "token/refresh", 200, refresh=refresh, scope="profile").json()
    play.keep_pair("narrow", narrow)
    stepped_up = auth(play, "step-up", 200, access=access, otp=codes[1]).json()
    return play.keep("stepped up", stepped_up["access"])


def bob_uses_api_keys(play: Play, fresh: str) -> None:
    keys = "/api/v1/me/api-keys"
    expires_at = (timezone.now() + timedelta(days=30)).isoformat()
    body = {"name": "script", "scopes": ["profile"], "expires_at": expires_at}
    made = play.post(keys, 201, json=body, headers=bearer(fresh))
    key = play.keep("bob's key", made["key"])
    play.ask("GET", "/api/v1/me", 200, headers={"X-API-Key": key})
    play.ask("GET", "/api/v1/me", 401, headers={"X-API-Key": f"{key[:-1]}!"})
    rotated = play.post(f"{keys}/{made['id']}/rotate", 201, json={}, headers=bearer(fresh))
    play.keep("bob's next key", rotated["key"])
    play.ask("GET", "/api/v1/me", 200, headers={"X-API-Key": rotated["key"]})
    play.ask("DELETE", f"{keys}/{rotated['id']}", 204, headers=bearer(fresh))
    play.ask("GET", "/api/v1/me", 401, headers={"X-API-Key": rotated["key"]})


def bob_changes_everything(play: Play, fresh: str) -> None:
    auth(play, "email/change", 202, access=fresh, email="bob@example.net")
    token = link_in_mail(play, "change link", "Confirm your new e-mail address")
    auth(play, "email/change/confirm", 204, token=token)
    auth(play, "email/change/confirm", 400, token=token)
    passwords = {"current_password": FIRST, "new_password": THIRD}
    auth(play, "password/change", 401, access=fresh, **passwords)
    auth(play, "password/change", 204, access=fresh, **passwords | {"current_password": SECOND})
    token = link_in_mail(play, "link of what wasn't me", "Your password was changed")
    play.ask("GET", f"/accounts/links/not-me?token={token[:10]}", 200)
    auth(play, "not-me", 200, token=token)
    auth(play, "token", 401, username=BOB, password=THIRD)


def staff_use_a_browser(play: Play) -> None:
    staff = factories.staff()
    factories.totp_device(staff)
    play.keep("staff's code", factories.recovery_code(staff, STAFFS_CODE))
    play.keep("staff's password", factories.PASSWORD)
    page = "/admin/login/?next=/admin/"
    play.ask("GET", page, 200)
    before = cookies(play, "before")
    form = {"username": "staff", "password": factories.PASSWORD, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = before["csrf"]
    play.ask("POST", page, 200, data=form | {"password": f"{factories.PASSWORD}!"})
    play.ask("POST", page, 200, data=form)  # it asks for a code
    halfway = cookies(play, "halfway")
    answer = play.ask(
        "POST", page, 302, data={"otp": STAFFS_CODE, "csrfmiddlewaretoken": halfway["csrf"]}
    )
    assert answer.headers["Location"] == "/admin/"
    assert "session" in cookies(play, "signed in")
    play.ask("GET", "/admin/", 200)
    play.http.cookies.clear()


def cookies(play: Play, when: str) -> Mapping[str, str]:
    """Return the browser's cookies, which are kept."""
    found = {cookie.name: str(cookie.value) for cookie in play.http.cookies.jar}
    for name, value in found.items():
        play.keep(f"{name} cookie {when}", value)
    return found


def a_client_signs_assertions(play: Play) -> None:
    key = assertions.new_key()
    assertions.client_with(key, client_id="signer")
    claims = assertions.claims(iss="signer", sub="signer")
    assertion = play.keep("assertion", assertions.sign(key, claims))
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": assertions.ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    answer = play.post("/oauth/token", 200, data=form)
    play.keep("signer's access", answer["access_token"])
    play.post("/oauth/token", 401, data=form)
    play.ask("GET", "/api/v1/me", 401, headers=bearer(assertion))

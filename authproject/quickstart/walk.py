"""The main job, performed once over HTTP in front of the newcomer: a line for each step.

It plays johndoe's app, and looks on with the credentials of the example's services.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from accounts.management.base import Stop
from accounts.services.seed_users import DEMO_PASSWORD, DEMO_USERNAME
from authproject.quickstart.demo import Credentials, Example
from authproject.quickstart.insider import Answer, Insider
from authproject.quickstart.output import Output
from batchtokens_verifier.canonical import parameter_digest
from batchtokens_verifier.constraints import format_instant
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.receipts import Receipt, verify_receipt

META_SCOPE = "trigger_continuous_savings"
RUNS = 3
RUNS_WITHIN = 60.0  # seconds: the due window of each run
LOOK_EVERY = 0.2
LONGEST_WAIT = 60  # seconds, for a limit by the minute


def mandate_constraints() -> dict[str, Any]:
    """Return the limits of three deposits, three seconds apart."""
    limit = {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "amount": "150.00",
        "currency": "USD",
        "max_count": RUNS,
    }
    return {
        "valid_to": format_instant(datetime.now(UTC) + timedelta(hours=1)),
        "schedule": f"FREQ=SECONDLY;INTERVAL=3;COUNT={RUNS}",
        "due_window": "PT1M",
        "periodic_limits": [limit],
    }


class Walk:
    """One performance. `other`: the id of another queued operation at the same executor.

    `alive` raises when the services that it speaks to have died.
    """

    def __init__(
        self,
        *,
        issuer: str,
        example: Example,
        other: str,
        http: httpx.Client,
        output: Output,
        alive: Callable[[], None],
    ) -> None:
        self._issuer, self._example, self._other = issuer, example, other
        self._http, self._output, self._alive = http, output, alive
        self._operation = {
            "action": "savings.deposit",
            "amount": {"amount": "50.00", "currency": "USD"},
            # A new account each time, so that its balance tells what this walk moved.
            "creditor_account": f"sav-{secrets.randbelow(9 * 10**5) + 10**5}",
            "debtor_account": "chk-1042",
            "reference": "monthly savings",
        }

    def perform(self) -> None:
        """Go through all steps. Raises Stop where one does not end as it should."""
        mandate = self._ask(self._sign_in())
        for transfer in self._settled_transfers(mandate):
            self._show_run(transfer)
        self._tamper(mandate)
        self._show_balance()

    def _sign_in(self) -> str:
        audience = self._example.trigger_audience
        person = {"username": DEMO_USERNAME, "password": DEMO_PASSWORD}
        wanted = {"scope": META_SCOPE, "resource": audience}
        pair = self._json("POST", f"{self._issuer}/api/v1/auth/token", json=person | wanted)
        self._output.step(
            "Sign in",
            f"{DEMO_USERNAME} gets an access token for {pair['expires_in'] // 60} minutes",
            f"scope {META_SCOPE}, for {audience} alone",
        )
        return str(pair["access"])

    def _ask(self, access_token: str) -> str:
        """Ask the gateway for a mandate; return its id. Its token is nowhere to be seen."""
        self._introspect(access_token)
        answer = self._json(
            "POST",
            f"{self._example.url}/gateway/savings",
            headers={"Authorization": f"Bearer {access_token}"},
            json={"operation": self._operation, "constraints": mandate_constraints()},
        )
        details = answer["authorization_details"][0]
        self._output.step(
            "Trigger",
            f"exchanges it for an operation token, {answer['grant_id']}",
            f"for one operation: {parameter_digest(details['operation'])}",
            f"good until {details['valid_to']}, at {details['locations'][0]} alone",
        )
        self._output.step("Queue", f"holds {answer['queued']} runs, sealed: {details['schedule']}")
        return str(answer["grant_id"])

    def _introspect(self, access_token: str) -> None:
        claims = self._json(
            "POST",
            f"{self._issuer}/oauth/introspect",
            auth=_pair(self._example.gateway),
            data={"token": access_token},
        )
        state = "active" if claims.get("active") else "not active"
        self._output.step("Gateway", f"introspects it ({state}) and passes it on to the trigger")

    def _settled_transfers(self, mandate: str) -> Iterator[Mapping[str, Any]]:
        """Yield each transfer of the mandate as soon as it is settled. Raises Stop."""
        seen: set[str] = set()
        give_up = time.monotonic() + RUNS_WITHIN
        while len(seen) < RUNS:
            if time.monotonic() > give_up:
                raise Stop(f"Only {len(seen)} of {RUNS} runs came back in time: see the logs.")
            self._alive()
            time.sleep(LOOK_EVERY)
            moved = self._json("GET", f"{self._example.url}/executor/transfers")["results"]
            for transfer in sorted(moved, key=lambda transfer: str(transfer["moved_at"])):
                settled = transfer["operation_id"] == mandate and transfer["settled_at"]
                if settled and transfer["slot"] not in seen:
                    seen.add(transfer["slot"])
                    yield transfer

    def _show_run(self, transfer: Mapping[str, Any]) -> None:
        receipt = self._receipt(transfer["redemption_id"])
        amount, at = receipt.amount.as_json(), datetime.fromisoformat(transfer["moved_at"])
        self._output.step(
            f"Run {receipt.slot}",
            f"{amount['amount']} {amount['currency']} moved at {at:%H:%M:%S} UTC",
            f"receipt {receipt.redemption_id}",
            f"{receipt.status}, ledger entry {receipt.seq}, hash {receipt.entry_hash[:12]}…",
        )

    def _receipt(self, redemption_id: str) -> Receipt:
        """Fetch a receipt as the executor, and verify it with nothing but the public keys."""
        executor = self._example.executor
        url = f"{self._issuer}/api/v1/redemptions/{redemption_id}"
        signed = self._json("GET", url, auth=_pair(executor))["receipt"]
        keys = KeySet.from_jwks(self._json("GET", f"{self._issuer}/.well-known/jwks.json"))
        return verify_receipt(signed, keys=keys, issuer=self._issuer, audience=executor.client_id)

    def _tamper(self, mandate: str) -> None:
        insider = Insider(self._example, self._http)
        job, other = insider.open_job(mandate), insider.open_job(self._other)
        edited = {**job.operation, "amount": {"amount": "5000.00", "currency": "USD"}}
        attempts = {
            "the amount edited to 5000.00 USD": replace(job, operation=edited),
            "the token of another job": replace(job, operation_token=other.operation_token),
            "a job, long before its time": other,
        }
        self._output.heading("Somebody inside the queue, who can sign deliveries, tries")
        for name, attempt in attempts.items():
            self._show_refusal(name, insider.deliver(attempt))
        self._show_repetition("a used run, delivered again", insider.deliver(job))
        self._show_refusal("a used run, redeemed again", insider.redeem(self._issuer, job))

    def _show_refusal(self, name: str, answer: Answer) -> None:
        if answer.status < httpx.codes.BAD_REQUEST:
            raise Stop(f"A defect: the executor took a tampered job ({name}).")
        self._output.tried(name, f"refused: {answer.status} {answer.code}")

    def _show_repetition(self, name: str, answer: Answer) -> None:
        if answer.status == httpx.codes.OK:
            self._output.tried(name, "200, the first receipt again: no money moves")
        else:
            self._show_refusal(name, answer)

    def _show_balance(self) -> None:
        account = self._operation["creditor_account"]
        balances = self._json("GET", f"{self._example.url}/executor/balances")["results"]
        held = [entry["balance"] for entry in balances if entry["account"] == account]
        expected = {"amount": "150.00", "currency": "USD"}
        if held != [expected]:
            raise Stop(f"A defect: {account} holds {held}, not {expected}.")
        self._output.done("Balance", f"{account}: 150.00 USD, the money moved exactly three times")

    def _json(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        """Ask; return the JSON object of a success. Raises Stop for everything else."""
        answer = self._send(method, url, **content)
        # Who starts again and again signs in more often than a minute allows.
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait = min(int(answer.headers["Retry-After"]), LONGEST_WAIT)
            self._output.line(f"… waiting {wait} s: the server limits sign-ins")
            time.sleep(wait)
            answer = self._send(method, url, **content)
        if not answer.is_success:
            raise Stop(f"{url} answered {answer.status_code}: {answer.text[:300]}")
        members: dict[str, Any] = answer.json()
        return members

    def _send(self, method: str, url: str, **content: Any) -> httpx.Response:
        try:
            return self._http.request(method, url, **content)
        except httpx.TransportError as error:
            self._alive()
            raise Stop(f"{url} does not answer ({type(error).__name__}).") from error


def _pair(credentials: Credentials) -> tuple[str, str]:
    return credentials.client_id, credentials.secret

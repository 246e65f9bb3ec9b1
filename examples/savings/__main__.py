"""Run the example: `python -m examples.savings`. README.md lists what the environment sets."""

import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import httpx

from batchtokens_verifier.client import ExecutorClient
from batchtokens_verifier.errors import ProblemError
from batchtokens_verifier.jwks import JwksCache
from batchtokens_verifier.middleware.guards import Deliveries
from batchtokens_verifier.policy import ExecutorPolicy
from batchtokens_verifier.status_cache import StatusListCache
from batchtokens_verifier.transport import check_url
from batchtokens_verifier.verifier import Verifier
from examples.savings.bank import Bank
from examples.savings.executor import Executor
from examples.savings.gateway import STANDING_ORDERS, Gateway
from examples.savings.server import bind
from examples.savings.trigger import OPERATION_TYPE, STANDING_ORDER, Trigger
from examples.savings.web import Application, Response

SWEEP_INTERVAL = 15.0  # seconds between two looks for transfers that are not settled yet
UPSTREAM_TIMEOUT = 5.0  # seconds, for each step of a request to the authority

logger = logging.getLogger("savings")


class ConfigurationError(Exception):
    """The environment lacks something; the text names it."""


@dataclass(frozen=True)
class Config:
    authority_url: str
    issuer: str
    public_url: str
    host: str
    port: int
    database: Path
    allow_secondly: bool
    gateway: tuple[str, str]
    trigger: tuple[str, str]
    executor: tuple[str, str]
    delivery_secret: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Config":
        """Read the settings. Raises ConfigurationError."""

        def required(name: str) -> str:
            if value := environment.get(name):
                return value
            raise ConfigurationError(f"{name} is not set; README.md says where it comes from.")

        def credentials(role: str) -> tuple[str, str]:
            return required(f"{role}_CLIENT_ID"), required(f"{role}_CLIENT_SECRET")

        port = environment.get("PORT", "8100")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError("PORT is not a port number.")
        authority_url = environment.get("AUTHORITY_URL", "http://127.0.0.1:8000").rstrip("/")
        try:
            check_url(authority_url)
        except ValueError as error:
            raise ConfigurationError(f"AUTHORITY_URL does not do: {error}.") from error
        return cls(
            authority_url=authority_url,
            issuer=environment.get("ISSUER_URL", authority_url).rstrip("/"),
            public_url=environment.get("PUBLIC_URL", f"http://127.0.0.1:{port}").rstrip("/"),
            host=environment.get("HOST", "127.0.0.1"),
            port=int(port),
            database=Path(environment.get("DATA_DIR", "var")) / "savings.sqlite3",
            # Runs seconds apart are for showing how it works, not for money.
            allow_secondly=environment.get("ENVIRONMENT", "development") != "production",
            gateway=credentials("GATEWAY"),
            trigger=credentials("TRIGGER"),
            executor=credentials("EXECUTOR"),
            delivery_secret=required("DELIVERY_SECRET"),
        )

    @property
    def trigger_audience(self) -> str:
        return f"{self.public_url}/trigger"

    @property
    def executor_audience(self) -> str:
        return f"{self.public_url}/"


def build_executor(config: Config, http: httpx.Client, bank: Bank) -> Executor:
    client_id, client_secret = config.executor
    place = config.authority_url
    keys = JwksCache(f"{place}/.well-known/jwks.json", http=http)
    types = frozenset({OPERATION_TYPE, STANDING_ORDER})
    policy = ExecutorPolicy(config.issuer, config.executor_audience, types, config.allow_secondly)
    status_lists = StatusListCache(config.issuer, keys=keys, http=http, reached_at=place)
    return Executor(
        authority=ExecutorClient(place, client_id, client_secret, http=http),
        deliveries=Deliveries(config.delivery_secret, Verifier(policy, keys, status_lists)),
        bank=bank,
    )


def build_application(
    config: Config, http: httpx.Client, bank: Bank, executor: Executor
) -> Application:
    """Put gateway, trigger and executor behind one port; they share nothing but `web`."""
    gateway = Gateway(
        http=http,
        introspection_url=f"{config.authority_url}/oauth/introspect",
        credentials=config.gateway,
        trigger_url=f"{config.public_url}/trigger/savings",
        trigger_audience=config.trigger_audience,
    )
    trigger = Trigger(
        http=http,
        authority_url=config.authority_url,
        credentials=config.trigger,
        executor_audience=config.executor_audience,
    )
    # The same two for what the person confirms each time, word by word.
    standing_orders = replace(
        gateway,
        trigger_url=f"{config.public_url}/trigger/standing-orders",
        meta_scope=STANDING_ORDERS,
    )
    exact_trigger = replace(trigger, operation_type=STANDING_ORDER)
    routes = {
        ("POST", "/gateway/savings"): gateway.post_savings,
        ("POST", "/trigger/savings"): trigger.post_savings,
        ("POST", "/gateway/standing-orders"): standing_orders.post_savings,
        ("POST", "/trigger/standing-orders"): exact_trigger.post_savings,
        ("POST", "/executor/deliveries"): executor.post_delivery,
        ("GET", "/executor/transfers"): lambda _: get_transfers(bank),
        ("GET", "/executor/balances"): lambda _: get_balances(bank),
        ("GET", "/healthz"): lambda _: Response.json(HTTPStatus.OK, {"status": "ok"}),
    }
    return Application(routes, transient=(httpx.TransportError, sqlite3.OperationalError))


def get_transfers(bank: Bank) -> Response:
    results = [transfer.as_json() for transfer in bank.latest()]
    return Response.json(HTTPStatus.OK, {"results": results})


def get_balances(bank: Bank) -> Response:
    results = [
        {"owner": owner, "account": number, "balance": balance.as_json()}
        for owner, number, balance in bank.balances()
    ]
    return Response.json(HTTPStatus.OK, {"results": results})


def sweep(executor: Executor) -> None:
    """Settle what is owed, as far as the authority can be reached; the next sweep does the rest."""
    try:
        executor.settle_owed()
    except (ProblemError, sqlite3.OperationalError) as error:
        logger.warning("some transfers are not settled yet: %s", error)


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests at hand. Raises OSError."""
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    # It talks to two known addresses: the proxies of the environment are not for it.
    with httpx.Client(timeout=UPSTREAM_TIMEOUT, trust_env=False) as http:
        bank = Bank(config.database)
        executor = build_executor(config, http, bank)
        server = bind(config.host, config.port, build_application(config, http, bank, executor))
        with server:
            threading.Thread(target=server.serve_forever, name="server").start()
            sweep(executor)
            while not stop.wait(SWEEP_INTERVAL):
                sweep(executor)
            server.shutdown()


def main() -> int:
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "WARNING"), format="savings: %(message)s")
    try:
        serve(Config.from_environment(os.environ))
    except ConfigurationError as error:
        sys.stderr.write(f"savings: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"savings: cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The service starts with all it needs, or says in one sentence what is missing."""

import httpx
import pytest

from examples.savings import __main__ as program
from examples.savings.__main__ import Config, ConfigurationError, build_application, build_executor
from examples.savings.bank import Bank
from examples.savings.executor import Executor
from tests.unit.savings.authority import FakeAuthority, problem
from tests.unit.savings.conftest import Deliver
from tests.unit.savings.wsgi import call

ENVIRONMENT = {
    f"{role}_CLIENT_{part}": f"{role}-{part}".lower()
    for role in ("GATEWAY", "TRIGGER", "EXECUTOR")
    for part in ("ID", "SECRET")
} | {"DELIVERY_SECRET": "whsec_c2VjcmV0"}


def test_has_defaults_that_fit_the_authoritys() -> None:
    config = Config.from_environment(ENVIRONMENT)
    assert config.authority_url == config.issuer == "http://127.0.0.1:8000"
    assert config.trigger_audience == "http://127.0.0.1:8100/trigger"
    assert config.executor_audience == "http://127.0.0.1:8100/"
    assert config.executor == ("executor-id", "executor-secret")


def test_reads_addresses_without_their_last_slash() -> None:
    given = {"AUTHORITY_URL": "https://id.example/", "PUBLIC_URL": "https://savings.example/"}
    config = Config.from_environment(ENVIRONMENT | given)
    assert config.authority_url == "https://id.example"
    assert config.executor_audience == "https://savings.example/"


@pytest.mark.parametrize(
    ("environment", "allowed"), [({}, True), ({"ENVIRONMENT": "production"}, False)]
)
def test_takes_schedules_of_seconds_only_outside_of_production(
    environment: dict[str, str], allowed: bool
) -> None:
    assert Config.from_environment(ENVIRONMENT | environment).allow_secondly is allowed


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_names_what_is_missing(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Config.from_environment(ENVIRONMENT | {name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "x"), ("PORT", "0"), ("PORT", "65536"), ("AUTHORITY_URL", "http://id.example")],
)
def test_names_what_is_wrong(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Config.from_environment(ENVIRONMENT | {name: value})


def test_ends_with_2_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DELIVERY_SECRET", raising=False)
    monkeypatch.delenv("GATEWAY_CLIENT_ID", raising=False)
    assert program.main() == 2
    assert "GATEWAY_CLIENT_ID is not set" in capsys.readouterr().err


def test_a_sweep_outlives_an_authority_that_is_away(
    deliver: Deliver, executor: Executor, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    deliver(authority.token())
    program.sweep(executor)
    assert len(bank.owed()) == 1


def test_shows_what_was_moved(http: httpx.Client, bank: Bank) -> None:
    config = Config.from_environment(ENVIRONMENT)
    application = build_application(config, http, bank, build_executor(config, http, bank))
    assert call(application, "GET", "/healthz").json == {"status": "ok"}
    assert call(application, "GET", "/executor/transfers").json == {"results": []}
    assert call(application, "GET", "/executor/balances").json == {"results": []}

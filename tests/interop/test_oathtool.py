"""OATH Toolkit's oathtool makes the codes that confirm an app and sign in."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from tests import factories
from tests.debian import need, run
from tests.interop.authenticator import begin, confirm, sign_in

pytestmark = pytest.mark.django_db
STEP = 30
NOON = 1_800_000_000  # a step begins here


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    """Let no step end between the drawing of a code and its judging."""
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture(scope="module")
def oathtool() -> str:
    return need("oathtool", package="oathtool")


def code(oathtool: str, secret: str, steps: int = 0) -> str:
    """Return the code so many steps from now; the secret as it is shown, in groups."""
    instant = datetime.fromtimestamp(time.time() + steps * STEP, UTC)
    return run(oathtool, "--totp", "-b", f"--now={instant:%Y-%m-%d %H:%M:%S} UTC", secret)


def test_confirms_and_signs_in(oathtool: str) -> None:
    alice = factories.alice()
    caller, shown = begin(alice)

    confirm(caller, code(oathtool, shown["secret"]))

    answer = sign_in(alice, code(oathtool, shown["secret"], 1))
    assert answer.status_code == 200
    again = sign_in(alice, code(oathtool, shown["secret"], 1))
    assert again.json()["code"] == "invalid_otp"


@pytest.mark.spec("RFC 6238", "5.2")
@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_takes_codes_of_the_steps_beside_now_alone(oathtool: str, steps: int) -> None:
    alice = factories.alice()
    caller, shown = begin(alice)
    confirm(caller, code(oathtool, shown["secret"], -1))

    assert sign_in(alice, code(oathtool, shown["secret"], steps)).status_code == 401

"""npm's jose verifies our tokens, in a Node.js process of its own."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from batchtokens_verifier.jws import Purpose
from tests.interop.samples import Sample, old_and_new, refused, signed


@pytest.fixture(scope="session")
def script(scripts: Path) -> Path:
    return scripts / "verify.mjs"


def run(command: Sequence[str], folder: Path, *, text: str = "") -> str:
    done = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} failed: {done.stderr}"
    return done.stdout


def verdicts(script: Path, jwks_uri: str, issuer: str, samples: Sequence[Sample]) -> list[str]:
    """Return "verified" or the reason of the refusal, for each token."""
    asked = {
        "jwks_uri": jwks_uri,
        "issuer": issuer,
        "samples": [
            {"token": sample.token, "audience": sample.audience, "typ": sample.typ}
            for sample in samples
        ],
    }
    answer = run(["node", str(script)], script.parent, text=json.dumps(asked))
    return list(json.loads(answer))


def test_verifies_old_and_new(script: Path, jwks_uri: str, issuer: str) -> None:
    samples = old_and_new()

    assert verdicts(script, jwks_uri, issuer, samples) == ["verified"] * 14


@pytest.mark.parametrize(
    ("reason", "claim"), [("audience", "aud"), ("issuer", "iss"), ("expired", "exp")]
)
def test_refuses(script: Path, jwks_uri: str, issuer: str, reason: str, claim: str) -> None:
    assert verdicts(script, jwks_uri, issuer, [refused()[reason]]) == [claim]


def test_refuses_another_class(script: Path, jwks_uri: str, issuer: str) -> None:
    refused()
    receipt = signed(Purpose.RECEIPT)
    as_access = Sample(Purpose.ACCESS, receipt.token, receipt.audience)

    assert verdicts(script, jwks_uri, issuer, [as_access]) == ["typ"]

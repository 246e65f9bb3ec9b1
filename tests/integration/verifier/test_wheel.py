"""The wheel: whole, typed, and enough by itself where neither Django nor this repository is."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from packaging.requirements import Requirement

from tests.conformance.vectors import FOLDER
from tests.unit.verifier.test_readme import ANSWER, README, delivery
from tests.unit.verifier.vectors import load

SOURCE = Path(settings.BASE_DIR) / "batchtokens_verifier"
ALLOWED = {"joserfc", "cryptography", "httpx", "standardwebhooks", "python-dateutil"}
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
pytestmark = pytest.mark.slow


def run(*command: str | Path, **options: Any) -> str:
    parts = [str(part) for part in command]
    fixed: dict[str, Any] = {"env": os.environ | OFFLINE, "capture_output": True, "text": True}
    done: subprocess.CompletedProcess[str] = subprocess.run(parts, check=False, **fixed, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: setuptools would leave its folders beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options: list[str | Path] = [
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
        folder,
    ]
    run(sys.executable, "-m", "pip", "wheel", *options, copy)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and its dependencies, and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    options: list[str | Path] = ["--no-deps", "--quiet", "--target", target]
    run(sys.executable, "-m", "pip", "install", *options, wheel)
    for needed in closure(metadata_of(wheel)):
        for top in {file.parts[0] for file in needed.files or () if ".." not in file.parts}:
            if top != "__pycache__" and not (target / top).exists():
                (target / top).symlink_to(Path(str(needed.locate_file(top))))
    return target


def metadata_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        return archive.read(name).decode().partition("\n\n")[0].splitlines()


def required(metadata: list[str]) -> list[Requirement]:
    return [Requirement(line[15:]) for line in metadata if line.startswith("Requires-Dist: ")]


def closure(metadata: list[str]) -> list[Distribution]:
    """Return what pip would install besides the wheel."""
    waiting, found = required(metadata), dict[str, Distribution]()
    while waiting:
        wanted = waiting.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        if wanted.name not in found:
            found[wanted.name] = distribution(wanted.name)
            waiting += map(Requirement, found[wanted.name].requires or ())
    return list(found.values())


def python(installed: Path, script: Path, *arguments: str | Path, **options: Any) -> str:
    """Run a script where sys.path has the standard library and `installed`."""
    start = (
        "import runpy, sys; sys.path.append(sys.argv[1]); sys.argv[:2] = [];"
        " runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return run(sys.executable, "-I", "-S", "-c", start, installed, script, *arguments, **options)


def test_wheel_has_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    modules = {f"batchtokens_verifier/{path.relative_to(SOURCE)}" for path in SOURCE.rglob("*.py")}
    assert packed == modules | {"batchtokens_verifier/py.typed"}


def test_metadata_says_what_it_is(wheel: Path) -> None:
    metadata = metadata_of(wheel)

    assert {one.name for one in required(metadata)} <= ALLOWED
    assert "License-Expression: MIT" in metadata
    assert "License-File: LICENSE" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "Classifier: Typing :: Typed" in metadata
    assert any(re.fullmatch(r"Version: \d+\.\d+\.\d+", line) for line in metadata)


def test_licence_is_the_repositorys() -> None:
    assert (SOURCE / "LICENSE").read_text() == (SOURCE.parent / "LICENSE").read_text()


def test_published_vectors_are_judged_alike_from_the_wheel(installed: Path) -> None:
    script = FOLDER.parents[1] / "tests" / "conformance" / "judge.py"

    shown = python(installed, script, FOLDER)

    assert re.fullmatch(r"[1-9][0-9]{2} passed, 0 failed\n", shown)


def test_readmes_executor_runs_from_the_wheel(installed: Path) -> None:
    secret = re.findall(r'DELIVERY_SECRET = "(\S+)"', README.read_text("utf-8"))[0]
    headers, body = delivery(secret, status=None)
    document = {
        "readme": str(README),
        "headers": headers,
        "body": body.decode(),
        "jwks": load("tokens")["jwks"],
        "answer": ANSWER,
    }

    script = Path(__file__).with_name("installed.py")
    shown = json.loads(python(installed, script, input=json.dumps(document)))

    assert shown["rows"] == [["sav-7781", 5000]]
    assert shown["asked"] == ["/api/v1/redemptions", "/api/v1/redemptions/rdm_a/settle"]

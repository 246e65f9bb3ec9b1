"""The product over real HTTP, where its issuer's name and its address agree; and npm's packages."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django.live_server_helper import LiveServer

HERE = Path(__file__).parent
NPM_INSTALL = (
    "npm",
    "install",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefer-offline",
)


@pytest.fixture
def issuer(live_server: LiveServer, settings: Any) -> str:
    """Serve, and return the issuer's URL."""
    settings.ISSUER_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def jwks_uri(issuer: str) -> str:
    return f"{issuer}/.well-known/jwks.json"


@pytest.fixture(scope="session")
def scripts() -> Path:
    """Install npm's packages beside copies of our scripts; without Node.js the test fails."""
    folder: Path = django_settings.DATA_DIR / "interop"
    folder.mkdir(parents=True, exist_ok=True)
    for script in (HERE / "package.json", *HERE.glob("*.mjs")):
        shutil.copy(script, folder)
    done = subprocess.run(
        NPM_INSTALL, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"npm failed: {done.stderr}"
    return folder

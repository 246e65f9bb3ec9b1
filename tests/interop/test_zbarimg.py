"""ZBar reads the QR code that the REST interface hands out, drawn by librsvg."""

from pathlib import Path

import pytest

from tests import factories
from tests.debian import need, run
from tests.interop.authenticator import begin, confirm

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def rsvg() -> str:
    return need("rsvg-convert", package="librsvg2-bin")


@pytest.fixture(scope="module")
def zbarimg() -> str:
    return need("zbarimg", package="zbar-tools")


@pytest.fixture(scope="module")
def oathtool() -> str:
    return need("oathtool", package="oathtool")


def scan(rsvg: str, zbarimg: str, svg: str, folder: Path) -> str:
    """Draw the very SVG that was handed out, and read it as a camera would."""
    drawing, picture = folder / "code.svg", folder / "code.png"
    drawing.write_text(svg, encoding="utf-8")
    run(rsvg, "--output", str(picture), str(drawing))
    return run(zbarimg, "--raw", "--quiet", "--nodbus", str(picture))


@pytest.mark.parametrize("username", ["alice", "Émile李", "a" * 64])
def test_reads_the_uri(rsvg: str, zbarimg: str, tmp_path: Path, username: str) -> None:
    _, shown = begin(factories.user(username, email="someone@example.org"))

    assert scan(rsvg, zbarimg, shown["qr_svg"], tmp_path) == shown["uri"]


def test_what_was_scanned_confirms(rsvg: str, zbarimg: str, oathtool: str, tmp_path: Path) -> None:
    caller, shown = begin(factories.alice())

    uri = scan(rsvg, zbarimg, shown["qr_svg"], tmp_path)
    secret = uri.partition("secret=")[2].partition("&")[0]

    assert len(confirm(caller, run(oathtool, "--totp", "-b", secret))) == 10

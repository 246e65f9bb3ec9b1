"""Providers over TLS: only who has a certificate that is trusted is spoken to."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from accounts.errors import FederationRefused
from accounts.federation import transport
from tests.loopback import Loopback, Said

ADDRESS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
OTHER = x509.DNSName("other.example")


def certificate(folder: Path, name: x509.GeneralName) -> Path:
    """Write a certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + built.public_bytes(Encoding.PEM))
    return path


def served(path: Path) -> Loopback:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = Loopback(tls=context)
    server.routes["/jwks"] = lambda _: Said(b"{}")
    return server


def trust(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(path))
    monkeypatch.setattr(transport, "_tls", lambda: context)


def test_a_trusted_one_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path, ADDRESS)
    trust(path, monkeypatch)
    server = served(path)

    with server.serving():
        assert transport.exchange("GET", f"{server.url}/jwks").members() == {}


def test_an_unknown_one_is_told_nothing(tmp_path: Path) -> None:
    server = served(certificate(tmp_path, ADDRESS))

    with server.serving(), pytest.raises(FederationRefused):
        transport.exchange("GET", f"{server.url}/jwks")
    assert server.asked == []


def test_a_trusted_one_of_another_name_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, OTHER)
    trust(path, monkeypatch)
    server = served(path)

    with server.serving(), pytest.raises(FederationRefused):
        transport.exchange("GET", f"{server.url}/jwks")
    assert server.asked == []

"""Mints operation tokens with some claims or members changed."""

from typing import Any

from tests.unit.verifier.minting import detail, digest_of, mint, operation_claims


def token(**changes: Any) -> str:
    return mint(operation_claims(**changes))


def having(**changes: Any) -> str:
    return token(authorization_details=[detail(**changes)])


def doing(operation: dict[str, Any], **changes: Any) -> str:
    details = [detail(operation=operation, **changes)]
    return token(parameter_digest=digest_of(operation), authorization_details=details)

"""Headers and path members that batchtokens' requests share."""

from __future__ import annotations

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from batchtokens.errors import IdempotencyKeyMissing

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="1 to 255 visible characters."
)
IDEMPOTENCY_KEY_REQUIRED = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 visible characters; a retry repeats it.",
)
OPERATION_ID = OpenApiParameter("public_id", str, OpenApiParameter.PATH, description="op_…")
REDEMPTION_ID = OpenApiParameter("redemption_id", str, OpenApiParameter.PATH, description="rdm_…")

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(request: Request, *, required: bool = False) -> str:
    """Return the Idempotency-Key header, "" where it is absent. Raises IdempotencyKeyMissing."""
    key = request.headers.get("Idempotency-Key", "")
    if (key or required) and not _VISIBLE.fullmatch(key):
        raise IdempotencyKeyMissing("Send 1 to 255 visible ASCII characters.")
    return key

"""Headers and path members that batchtokens' requests share."""

from __future__ import annotations

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from batchtokens.errors import IdempotencyKeyMissing

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    pattern="^[!-~]{1,255}$",
    description="With the same key and body, the same answer.",
)
IDEMPOTENCY_KEY_REQUIRED = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    pattern="^[!-~]{1,255}$",
    description="A retry repeats it, and gets the first answer's receipt.",
)
OPERATION_ID = OpenApiParameter(
    "public_id", str, OpenApiParameter.PATH, pattern="^op_[0-9a-f]{32}$"
)
REDEMPTION_ID = OpenApiParameter(
    "redemption_id", str, OpenApiParameter.PATH, pattern="^rdm_[A-Za-z0-9_-]{43}$"
)

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(request: Request, *, required: bool = False) -> str:
    """Return the Idempotency-Key header, "" where it is absent. Raises IdempotencyKeyMissing."""
    key = request.headers.get("Idempotency-Key", "")
    if (key or required) and not _VISIBLE.fullmatch(key):
        raise IdempotencyKeyMissing("Send 1 to 255 visible ASCII characters.")
    return key

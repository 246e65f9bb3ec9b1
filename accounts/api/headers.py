"""Headers that requests to every app share."""

import re

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from accounts.errors import IdempotencyKeyMissing

REALM = 'realm="authproject"'
BEARER_CHALLENGE = f"Bearer {REALM}"
BASIC_CHALLENGE = f'Basic {REALM}, charset="UTF-8"'
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

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(request: Request | HttpRequest, *, required: bool = False) -> str:
    """Return the Idempotency-Key header, "" where it is absent.

    Raises IdempotencyKeyMissing for one that cannot be kept, or that is required and absent.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None and not required:
        return ""
    if key is None or not _VISIBLE.fullmatch(key):
        raise IdempotencyKeyMissing("Send 1 to 255 visible ASCII characters.")
    return key


def check_not_encoded(request: Request | HttpRequest) -> None:
    """Refuse a compressed body: its bytes are not what they say, nor is its length.

    Raises UnsupportedMediaType (RFC 9110, section 8.4).
    """
    coding = request.headers.get("Content-Encoding", "identity").lower()
    if coding != "identity":
        raise UnsupportedMediaType(coding, detail="Send the body without a Content-Encoding.")

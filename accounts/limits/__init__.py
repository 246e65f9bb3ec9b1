"""How often one address may ask (RateLimit fields: draft-ietf-httpapi-ratelimit-headers).

django-ratelimit counts, in Redis or in the database.  Called outside transactions: a refusal that
is rolled back would not have been counted.
"""

from accounts.limits.check import check_limit
from accounts.limits.table import (
    ANONYMOUS,
    EXPENSIVE,
    LIMITS,
    REFRESH,
    SIGN_IN,
    Limit,
    Window,
    caller_of,
)

__all__ = [
    "ANONYMOUS",
    "EXPENSIVE",
    "LIMITS",
    "REFRESH",
    "SIGN_IN",
    "Limit",
    "Window",
    "caller_of",
    "check_limit",
]

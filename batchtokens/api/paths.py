"""Path members that batchtokens' requests share."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter

OPERATION_ID = OpenApiParameter(
    "public_id", str, OpenApiParameter.PATH, pattern="^op_[0-9a-f]{32}$"
)
REDEMPTION_ID = OpenApiParameter(
    "redemption_id", str, OpenApiParameter.PATH, pattern="^rdm_[A-Za-z0-9_-]{43}$"
)
CONSENT_ID = OpenApiParameter("public_id", str, OpenApiParameter.PATH, pattern="^cns_[0-9a-f]{32}$")

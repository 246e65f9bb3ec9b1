"""API keys as commands print them."""

from collections.abc import Mapping
from typing import Any

from accounts.models import ApiKey
from accounts.services.create_api_key import NewApiKey


def row_of(api_key: ApiKey) -> Mapping[str, Any]:
    """Return all of a key but the key itself."""
    return {
        "id": api_key.public_id,
        "owner": str(api_key.owner),
        "name": api_key.name,
        "prefix": api_key.prefix,
        "last_four": api_key.last_four,
        "scopes": api_key.scopes,
        "allowed_networks": api_key.allowed_networks,
        "created_at": api_key.created_at,
        "expires_at": api_key.expires_at,
        "last_used_at": api_key.last_used_at,
        "revoked_at": api_key.revoked_at,
        "replaced_by": api_key.successor.public_id if api_key.successor else None,
    }


def shown_once(new: NewApiKey) -> Mapping[str, Any]:
    """Return a new key with the key itself, right behind its id."""
    row = row_of(new.api_key)
    return {"id": row["id"], "key": new.text, **row}

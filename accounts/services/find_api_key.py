"""Find one of a person's own API keys; somebody else's is not found."""

from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import ApiKey, User


def find_api_key(*, by: User, public_id: str) -> ApiKey:
    """Return one of a person's keys, also one that was taken back.

    Raises UnknownId.
    """
    identifier = parse_public_id(public_id, ApiKey.public_prefix)
    found = ApiKey.objects.for_user(by).select_related("user").filter(pk=identifier).first()
    if found is None:
        raise UnknownId
    return found

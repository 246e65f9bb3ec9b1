"""A person's own API keys, without the keys themselves."""

from accounts.models import ApiKey, User
from accounts.models.api_key import ApiKeyQuerySet


def list_api_keys(*, of: User) -> ApiKeyQuerySet:
    """Return those that nobody has taken back, expired ones among them."""
    return ApiKey.objects.for_user(of).unrevoked().select_related("user", "successor")

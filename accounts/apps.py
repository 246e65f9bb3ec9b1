"""The Django app."""

from django.apps import AppConfig
from django.utils.module_loading import import_string


class AccountsConfig(AppConfig):
    """People, machines and what lets them in."""

    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what other frameworks find by import."""
        import_string("accounts.api.openapi.BearerScheme")

"""The Django app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, machines and what lets them in."""

    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

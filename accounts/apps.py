"""The Django app."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.core.checks import Tags, register
from django.utils.module_loading import import_string

from accounts.checks import DEPLOY_CHECKS


class AccountsConfig(AppConfig):
    """People, machines and what lets them in."""

    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what other frameworks find by import."""
        import_string("accounts.api.openapi.BearerScheme")
        for check in DEPLOY_CHECKS:
            register(check, Tags.security, deploy=True)


class StaffSiteConfig(admin_apps.AdminConfig):
    """Django's admin, whose sign-in is limited and recorded."""

    default_site = "accounts.pages.StaffSite"

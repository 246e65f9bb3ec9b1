"""The app: it tells accounts which meta-scopes exist."""

from importlib import import_module

from django.apps import AppConfig

from accounts.scopes import META_SCOPE_PROVIDERS


class BatchtokensConfig(AppConfig):
    name = "batchtokens"
    verbose_name = "Operation tokens"

    def ready(self) -> None:
        operation_types = import_module("batchtokens.services.operation_types")  # needs the models
        META_SCOPE_PROVIDERS.append(operation_types.meta_scopes)

"""The app: it tells accounts which meta-scopes exist."""

from importlib import import_module

from django.apps import AppConfig

from accounts.scopes import META_SCOPE_PROVIDERS
from accounts.signals import account_frozen, signing_keys_changed
from accounts.tokens.key_states import LAST_EXPIRIES
from batchtokens_verifier.jws import Purpose


class BatchtokensConfig(AppConfig):
    name = "batchtokens"
    verbose_name = "Operation tokens"

    def ready(self) -> None:
        operation_types = import_module(
            "batchtokens.services.operation_types.list_operation_types"
        )  # needs the models
        META_SCOPE_PROVIDERS.append(operation_types.meta_scopes)
        freezing = import_module("batchtokens.services.mandates.freeze_operations")
        account_frozen.connect(freezing.on_account_frozen)
        keys = import_module("batchtokens.services.keys.note_signing_keys")
        signing_keys_changed.connect(keys.on_signing_keys_changed)
        LAST_EXPIRIES[Purpose.OPERATION] = keys.last_expiry

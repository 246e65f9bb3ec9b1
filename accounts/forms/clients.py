"""Service clients in the admin."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms

from accounts.models import ServiceClient
from accounts.scopes import CLIENT_SCOPES
from accounts.services.create_service_client import check_service_client
from accounts.tokens.client_keys import check_jwks
from batchtokens_verifier.errors import InvalidFieldsError

# Generic in its type stubs only.
if TYPE_CHECKING:
    ClientForm = forms.ModelForm[ServiceClient]
else:
    ClientForm = forms.ModelForm


class ServiceClientForm(ClientForm):
    """A service client that is there; new ones come from `create_service_client`."""

    delivery_url = forms.URLField(assume_scheme="https", required=False)
    scopes = forms.MultipleChoiceField(
        choices=list(CLIENT_SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    class Meta:
        model = ServiceClient
        fields: ClassVar = ["audience", "delivery_url", "scopes", "jwks", "is_active"]

    def clean_audience(self) -> str | None:
        """Store no audience as null: unique columns take many nulls."""
        return self.cleaned_data["audience"] or None

    def clean_jwks(self) -> dict[str, Any]:
        """Store public members alone; nothing: it has no keys."""
        jwks = self.cleaned_data["jwks"]
        try:
            return check_jwks(jwks) if jwks else {}
        except InvalidFieldsError as refusal:
            raise forms.ValidationError([error.detail for error in refusal.errors]) from None

    def clean(self) -> dict[str, Any] | None:
        """Check the members by the rules of `create_service_client`."""
        cleaned = super().clean()
        try:
            check_service_client(
                client_id=self.instance.client_id,
                scopes=self.cleaned_data.get("scopes", []),
                audience=self.cleaned_data.get("audience"),
                delivery_url=self.cleaned_data.get("delivery_url", ""),
            )
        except InvalidFieldsError as refusal:
            for error in refusal.errors:
                self.add_error(error.pointer.strip("/"), error.detail)
        return cleaned

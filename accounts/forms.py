"""Forms of the admin.  What a database constraint says about folded names is said here first."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts.errors import InvalidCredentials
from accounts.limits import SIGN_IN
from accounts.models import RequestContext, ServiceClient, User
from accounts.scopes import CLIENT_SCOPES
from accounts.services.create_service_client import check_service_client
from accounts.services.limit_tries import limit_tries
from accounts.services.record_event import count_refusal, record_event
from accounts.services.sign_in import check_password
from batchtokens_verifier.errors import InvalidFieldsError

# These are generic in their type stubs only.
if TYPE_CHECKING:
    UserForm = forms.ModelForm[User]
    CreateForm = AdminUserCreationForm[User]
    EditForm = UserChangeForm[User]
    ClientForm = forms.ModelForm[ServiceClient]
else:
    UserForm = forms.ModelForm
    CreateForm = AdminUserCreationForm
    EditForm = UserChangeForm
    ClientForm = forms.ModelForm


def _refuse_taken(form: UserForm) -> None:
    """Refuse names that only differ from another person's in case or form."""
    others = User.objects.exclude(pk=form.instance.pk)
    for name in {"username", "email"} & form.cleaned_data.keys():
        if others.filter(**{f"{name}_folded": form.cleaned_data[name] or ""}).exists():
            form.add_error(name, f"Another account has this {name}.")


class UserCreateForm(CreateForm):
    """A new person."""

    class Meta:
        model = User
        fields = ("username", "email")

    def clean(self) -> dict[str, Any] | None:
        """Check the names against all others."""
        cleaned = super().clean()
        _refuse_taken(self)
        return cleaned


class UserEditForm(EditForm):
    """A person who is there."""

    class Meta:
        model = User
        fields = "__all__"

    def clean(self) -> dict[str, Any] | None:
        """Check the names against all others."""
        cleaned = super().clean()
        _refuse_taken(self)
        return cleaned


class StaffSignInForm(AdminAuthenticationForm):
    """Sign-in to the admin, limited and recorded as the API's is."""

    request: HttpRequest

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Find the member of staff whose password this is.

        Raises RateLimited.
        """
        context = RequestContext.of(self.request)
        limit_tries(SIGN_IN, context=context)
        names = self.cleaned_data.keys() & {"username", "password"}
        if len(names) == 2:
            self.user_cache = self._member_of_staff(context)
            record_event(code="signed_in", user=self.user_cache, context=context)
        return self.cleaned_data

    def _member_of_staff(self, context: RequestContext) -> User:
        try:
            user = check_password(**self.cleaned_data, context=context)
        except InvalidCredentials:
            raise self.get_invalid_login_error() from None
        if not user.is_staff:
            count_refusal(code="sign_in_refused", reason="not_staff", user=user, context=context)
            raise self.get_invalid_login_error()
        return user


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
        fields: ClassVar = ["audience", "delivery_url", "scopes", "is_active"]

    def clean_audience(self) -> str | None:
        """Store no audience as null: unique columns take many nulls."""
        return self.cleaned_data["audience"] or None

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

"""How staff sign in to the admin, and change their own password."""

import time
import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.core.exceptions import NON_FIELD_ERRORS
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts.crypto import same_digest
from accounts.errors import InvalidCredentials, InvalidOtp
from accounts.forms import LONGEST_TYPED
from accounts.limits import SIGN_IN
from accounts.models import Amr, RequestContext, TotpDevice, User
from accounts.services.change_password import replace_password
from accounts.services.check_password import check_password, verify_password
from accounts.services.limit_tries import limit_tries
from accounts.services.record_event import count_refusal
from accounts.services.verify_second_factor import verify_second_factor

HALFWAY = "halfway"
HALFWAY_FOR = 300  # seconds between password and code


def _note_halfway(request: HttpRequest, user: User) -> None:
    """Remember who has shown their password, under a new session key: nobody may have given it."""
    request.session.cycle_key()
    request.session[HALFWAY] = {
        "user": str(user.pk),
        "hash": user.get_session_auth_hash(),  # no other password meanwhile
        "until": time.time() + HALFWAY_FOR,
    }


def _who_is_halfway(request: HttpRequest) -> User | None:
    """Return the member of staff whose password this browser has shown just now."""
    noted = request.session.get(HALFWAY, {"until": 0})
    if noted["until"] <= time.time():
        return None
    user = User.objects.filter(pk=noted["user"], is_active=True, is_staff=True).first()
    same = user is not None and same_digest(user.get_session_auth_hash(), noted["hash"])
    return user if same else None


class StaffSignInForm(AdminAuthenticationForm):
    """Sign-in to the admin, limited and recorded as the API's is.

    Who has an authenticator app shows a code: together with the password, or when asked for it.
    """

    otp = forms.CharField(
        label="Code",
        help_text="From your authenticator app, or one of your recovery codes.",
        required=False,
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "otp_required": "Enter a code to finish signing in.",
        "invalid_otp": "The code is wrong. Wait for the next one, and try again.",
        "no_second_factor": "Staff sign in with an authenticator app, and you have none:"
        " set one up first (POST /api/v1/me/totp).",
    }
    request: HttpRequest
    amr: tuple[Amr, ...] = ()
    asks_for_code = False

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(request, *args, **options)
        self.fields["password"].validators.append(MaxLengthValidator(LONGEST_TYPED))
        self.halfway = _who_is_halfway(request) if self._is_second_step() else None
        if self.halfway:
            del self.fields["username"], self.fields["password"]

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Find the member of staff whose password, and whose code, this is.

        Raises RateLimited.
        """
        context = RequestContext.of(self.request)
        limit_tries(SIGN_IN, context=context)
        user = self.halfway or self._member_of_staff(context)
        if user is not None:
            self.amr = (Amr.PASSWORD, *self._second_factor(user, context))
            self.user_cache = user
            self.request.session.pop(HALFWAY, None)
        return self.cleaned_data

    @sensitive_variables()
    def _member_of_staff(self, context: RequestContext) -> User | None:
        """Check the password; None where a field is missing, which the fields have said."""
        names = ("username", "password")
        if not self.cleaned_data.keys() >= set(names):
            return None
        try:
            user = check_password(**{n: self.cleaned_data[n] for n in names}, context=context)
        except InvalidCredentials:
            raise self.get_invalid_login_error() from None
        if not user.is_staff:
            count_refusal(code="sign_in_refused", reason="not_staff", user=user, context=context)
            raise self.get_invalid_login_error()
        return user

    @sensitive_variables()
    def _second_factor(self, user: User, context: RequestContext) -> tuple[Amr, ...]:
        """Judge the code; the password was right, so that asking for one tells nobody anything."""
        if not TotpDevice.objects.is_on_for(user.pk):
            if settings.STAFF_SHOW_SECOND_FACTOR:
                reason = "no_second_factor"
                count_refusal(code="sign_in_refused", reason=reason, user=user, context=context)
                raise self._refusal(reason)
            return ()
        self.asks_for_code = True
        code = self.cleaned_data.get("otp", "")
        if not self.halfway:
            _note_halfway(self.request, user)
        if not code:
            raise self._refusal("otp_required")
        try:
            return verify_second_factor(user=user, code=code, context=context), Amr.SEVERAL
        except InvalidOtp:
            raise self._refusal("invalid_otp") from None

    @property
    def only_asks(self) -> bool:
        """Say whether nothing was wrong so far: it is the code's turn."""
        return self.has_error(NON_FIELD_ERRORS, "otp_required")

    def _is_second_step(self) -> bool:
        return self.is_bound and "username" not in self.data

    def _refusal(self, code: str) -> forms.ValidationError:
        return forms.ValidationError(self.error_messages[code], code=code)


class StaffPasswordForm(AdminPasswordChangeForm):
    """Changes one's own password; guesses at the present one count as those of a sign-in do."""

    def __init__(
        self,
        user: User,
        *args: Any,
        keep: uuid.UUID | None,
        context: RequestContext,
        **options: Any,
    ) -> None:
        super().__init__(user, *args, **options)
        self.known, self.keep, self.context = user.password, keep, context

    @sensitive_variables()
    def clean_old_password(self) -> str:
        """Judge it.  Raises WaitForAttempt."""
        password: str = self.cleaned_data["old_password"]
        try:
            verify_password(user=self.user, password=password, context=self.context)
        except InvalidCredentials:
            code = "password_incorrect"
            raise forms.ValidationError(self.error_messages[code], code=code) from None
        return password

    def save(self, commit: bool = True) -> User:
        """Store it, and end all else that the old one opened.  Raises InvalidCredentials."""
        user: User = super().save(commit=False)
        if commit:
            replace_password(user=user, known=self.known, keep=self.keep, context=self.context)
        return user

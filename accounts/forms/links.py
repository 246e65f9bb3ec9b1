"""What the pages behind e-mails' links ask for."""

from typing import Any

from django import forms

from accounts.forms import LONGEST_TYPED
from accounts.services.check_new_password import LengthValidator


class LinkForm(forms.Form):
    """The code of an e-mail's link."""

    token = forms.CharField(
        label="Code",
        max_length=200,
        help_text="It is in the e-mail, below the link.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class NewPasswordForm(LinkForm):
    """The code, and the password that shall be."""

    new_password = forms.CharField(
        label="New password",
        strip=False,
        max_length=LONGEST_TYPED,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["new_password"].help_text = LengthValidator().get_help_text()

"""People in the admin.  What a constraint says about folded names is said here first."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.utils import timezone

from accounts.models import User

# These are generic in their type stubs only.
if TYPE_CHECKING:
    UserForm = forms.ModelForm[User]
    CreateForm = AdminUserCreationForm[User]
    EditForm = UserChangeForm[User]
else:
    UserForm = forms.ModelForm
    CreateForm = AdminUserCreationForm
    EditForm = UserChangeForm


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

    def save(self, commit: bool = True) -> User:
        """Store the person; staff answer for the address, so it counts as verified."""
        self.instance.email_verified_at = timezone.now()
        user: User = super().save(commit)
        return user


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

"""The rules for new passwords (NIST SP 800-63B-4 section 3.1.1.2), the same wherever one is set.

Length, and a list of what is common, leaked or to be expected; no rules of composition, all of
Unicode, normalised first.  Django's own forms and commands find the rules in
AUTH_PASSWORD_VALIDATORS.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    UserAttributeSimilarityValidator,
    validate_password,
)
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.crypto.breached import is_breached
from accounts.models import User
from accounts.models.folded import fold, nfkc
from accounts.services.list_field_errors import list_field_errors
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

LONGEST = 256  # characters; a longer one only costs
SERVICE_NAME = "authproject"
SHORTEST_CONTEXT = 4  # letters: shorter words turn up in every sentence
MOSTLY = 4  # what is left beside names must be at least this much to be a secret


def check_new_password(*, password: str, user: User, pointer: str = "/password") -> None:
    """Refuse what is too short, too long or to be expected.

    Raises InvalidFieldsError, with every rule that is broken.
    """
    if errors := password_errors(password=password, user=user, pointer=pointer):
        raise InvalidFieldsError(errors)


def refuse_same_password(*, password: str, user: User, pointer: str) -> None:
    """Refuse the one that the person has; called where it is known, or somebody else may know it.

    Raises InvalidFieldsError.
    """
    if user.check_password(password):
        detail = "Choose another password than the present one."
        raise InvalidFieldsError([FieldError(pointer, "password_unchanged", detail)])


def password_errors(*, password: str, user: User, pointer: str = "/password") -> list[FieldError]:
    """Return a sentence for each rule that the password breaks."""
    try:
        validate_password(password, user)
    except ValidationError as refusal:
        return list_field_errors(refusal, pointer=pointer)
    return []


class LengthValidator:
    """Counts characters, as typed and as normalised: one may become eighteen."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError for a password that is too short or too long."""
        lengths = len(password), len(nfkc(password))
        if min(lengths) < settings.PASSWORD_MIN_LENGTH or lengths[1] > LONGEST:
            raise ValidationError(self.get_help_text(), code="length")

    def get_help_text(self) -> str:
        """Say what is wanted."""
        bounds = {"least": settings.PASSWORD_MIN_LENGTH, "most": LONGEST}
        return _("Use %(least)d to %(most)d characters. Sentences are fine.") % bounds


class CommonValidator(CommonPasswordValidator):
    """Knows what is common or was leaked; what is only repeated is no better for it."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError for a password, or a repeated part, that others have, too."""
        for text in {nfkc(password), unit_of(nfkc(password))}:
            if text.strip().lower() in self.passwords or _is_leaked(text):
                raise ValidationError(self.get_error_message(), code="password_too_common")


class ExpectedValidator:
    """Knows what a stranger tries first: the names of the person and of the service, repetitions.

    The whole is judged: a name within a longer password is as good as other words.
    """

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError for a password that is little more than names."""
        rest = fold(unit_of(nfkc(password)))
        for word in sorted(_context_words(user), key=len, reverse=True):
            rest = rest.replace(word, "")
        # A line of dashes hides nothing, and twelve different signs do.
        signs = {each for each in rest if not each.isalnum() and not each.isspace()}
        if sum(map(str.isalnum, rest)) + len(signs) < MOSTLY:
            raise ValidationError(self.get_help_text(), code="password_too_similar")

    def get_help_text(self) -> str:
        """Say what is wanted."""
        return _("Use more than names that others know, or one character again and again.")


class SimilarValidator(UserAttributeSimilarityValidator):
    """Django's own, in whatever form the letters come."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is much like a name or an address."""
        super().validate(nfkc(password), user)


def unit_of(text: str) -> str:
    """Return the shortest beginning of which the text is a repetition: `abcabcab` is `abc`."""
    text = text[: LONGEST + 1]  # what is longer is refused anyway
    whole = range(1, len(text) + 1)
    period = next((size for size in whole if text[size:] == text[:-size]), len(text))
    return text[:period]


def _is_leaked(text: str) -> bool:
    path = settings.BREACHED_PASSWORDS_FILE
    return path is not None and is_breached(text, listed_in=path)


def _context_words(user: object) -> set[str]:
    words = {SERVICE_NAME}
    if isinstance(user, User):
        username, email = user.username or "", user.email or ""  # a form may have refused them
        words |= {fold(username), fold(email), fold(email.partition("@")[0])}
    return {word for word in words if len(word) >= SHORTEST_CONTEXT}

"""The rules for e-mail addresses, the same wherever one is given."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.models.folded import fold
from accounts.models.user import EMAIL_MAX_LENGTH
from accounts.services.list_field_errors import list_field_errors
from batchtokens_verifier.errors import FieldError


def check_email(email: str) -> list[FieldError]:
    """Return what is wrong with an address, as it is written."""
    # Some characters fold to many: both forms must fit their columns.
    if max(len(email), len(fold(email))) > EMAIL_MAX_LENGTH:
        detail = f"Use at most {EMAIL_MAX_LENGTH} characters."
        return [FieldError("/email", "max_length", detail)]
    if not email.isprintable():  # in quotes, Django takes what ends a line in a message's head
        return [FieldError("/email", "invalid", "Use no control characters.")]
    try:
        validate_email(email)
    except ValidationError as refusal:
        return list_field_errors(refusal, pointer="/email")
    return []

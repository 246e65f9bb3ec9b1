"""What Django's validators refuse, as our own errors."""

from django.core.exceptions import ValidationError

from batchtokens_verifier.errors import FieldError


def list_field_errors(refusal: ValidationError, *, pointer: str) -> list[FieldError]:
    """Return a sentence for each rule that a value breaks."""
    return [
        FieldError(pointer, error.code or "invalid", " ".join(error.messages))
        for error in refusal.error_list
    ]

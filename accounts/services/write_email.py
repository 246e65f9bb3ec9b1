"""Write a message: the words are in templates/accounts/emails/, the first line is the subject."""

from collections.abc import Mapping

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from accounts.models import LinkPurpose
from accounts.services.address_email import Addressed
from accounts.services.draw_link import LIFETIMES

LINK_PAGE = "/accounts/links/"
LONGEST_VALUE = 100  # characters: names of keys and devices, addresses; never a letter of its own
# RFC 3834 section 5: so that nobody's holiday notice answers.
HEADERS = {"Auto-Submitted": "auto-generated"}


def write_email(addressed: Addressed, *, token: str, data: Mapping[str, object]) -> EmailMessage:
    """Render one message; its link's token stands in the fragment, which no server ever logs.

    Raises ValueError for an address that would forge a header.
    """
    words = {
        **{name: _one_line(value) for name, value in data.items()},
        "user": addressed.user,
        "service": settings.ISSUER_URL,
        "token": token,
        **_link_words(addressed.purpose, token),
    }
    if not addressed.to.isprintable():
        raise ValueError("The address would forge a header.")  # Django looks for \r and \n alone
    text = render_to_string(f"accounts/emails/{addressed.kind.value}.txt", words)
    subject, _, body = text.strip().partition("\n")
    return EmailMessage(subject.strip(), body.strip() + "\n", to=[addressed.to], headers=HEADERS)


def link_slug(purpose: LinkPurpose) -> str:
    """Name a link's page."""
    return purpose.value.replace("_", "-")


def _link_words(purpose: LinkPurpose | None, token: str) -> dict[str, object]:
    if purpose is None:
        return {}
    page = f"{settings.ISSUER_URL}{LINK_PAGE}{link_slug(purpose)}"
    seconds = int(LIFETIMES[purpose].total_seconds())
    return {"link": f"{page}#{token}", "page": page, "lifetime": _in_words(seconds)}


def _in_words(seconds: int) -> str:
    days, minutes = seconds // 86_400, seconds // 60
    return f"{days} days" if days > 1 else "24 hours" if days else f"{minutes} minutes"


def _one_line(value: object) -> str:
    """Keep what others chose from looking like a text of ours: one short line, no link."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text.replace("://", ": ").replace("www.", "www ")[:LONGEST_VALUE]

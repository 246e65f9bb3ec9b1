"""What people find in their mail."""

import re

from django.core import mail
from django.core.mail import EmailMessage

from accounts.services.send_emails import send_next_email

_CODE = re.compile(r"^    ([\w-]{43})$", re.MULTILINE)


def sent(*, to: str = "") -> list[EmailMessage]:
    """Send what is due; return what came, to one address or to all, since the last look."""
    mail.outbox.clear()
    while send_next_email():
        pass
    return [each for each in mail.outbox if not to or each.to == [to]]


def subjects(*, to: str = "") -> list[str]:
    return [str(each.subject) for each in sent(to=to)]


def code_in(message: EmailMessage) -> str:
    """Return the code of the message's link."""
    (code,) = _CODE.findall(str(message.body))
    return str(code)


def code_sent(*, to: str) -> str:
    """Send what is due; return the code of the one message that came to an address."""
    (message,) = sent(to=to)
    return code_in(message)

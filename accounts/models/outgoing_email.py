"""The outbox: what is to be mailed, written in the transaction of what happened.

A row says what to tell and to whom.  Links are drawn when it is sent, so that none rests here.
"""

import datetime as dt
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.user import EMAIL_MAX_LENGTH


class EmailKind(models.TextChoices):
    """One template each, under templates/accounts/emails/."""

    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    NAME_NOT_FREE = "name_not_free"
    RESET_PASSWORD = "reset_password"
    CHANGE_EMAIL = "change_email"  # to the new address, with the link
    EMAIL_CHANGED = "email_changed"  # to the former address
    PASSWORD_CHANGED = "password_changed"
    NEW_DEVICE = "new_device"
    TOTP_ENABLED = "totp_enabled"
    TOTP_DISABLED = "totp_disabled"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_REPLACED = "recovery_codes_replaced"
    CODES_GUESSED = "codes_guessed"
    AUTHENTICATOR_DISABLED = "authenticator_disabled"
    API_KEY_CREATED = "api_key_created"
    API_KEY_EXPIRING = "api_key_expiring"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"


class OutgoingEmailQuerySet(models.QuerySet["OutgoingEmail"]):
    def unsent(self) -> "OutgoingEmailQuerySet":
        """Keep what is still to be sent."""
        return self.filter(sent_at=None, given_up_at=None)

    def due(self, now: dt.datetime) -> "OutgoingEmailQuerySet":
        """Keep what is to be sent now, oldest first."""
        return self.unsent().filter(due_at__lte=now).order_by("due_at", "pk")

    def told_before(self, instant: dt.datetime) -> "OutgoingEmailQuerySet":
        """Keep what was sent, or given up, before an instant."""
        return self.filter(models.Q(sent_at__lt=instant) | models.Q(given_up_at__lt=instant))


class OutgoingEmail(models.Model):
    """One message.  `user` None: to whoever reads the mail of `address`, if anybody is to know."""

    kind = models.CharField(max_length=30, choices=EmailKind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    address = models.EmailField(max_length=EMAIL_MAX_LENGTH, blank=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)

    objects = OutgoingEmailQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at=None, given_up_at=None),
                name="outgoing_email_due",
            )
        ]
        constraints: ClassVar = [
            # What is done with keeps no address.
            models.CheckConstraint(
                condition=models.Q(user__isnull=False)
                | ~models.Q(address="")
                | models.Q(sent_at__isnull=False)
                | models.Q(given_up_at__isnull=False),
                name="outgoing_email_has_reader",
            ),
        ]

    def __str__(self) -> str:
        return self.kind

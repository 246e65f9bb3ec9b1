"""Decide to whom a queued message goes, and which link it carries.

A look at the rows, when the message is sent and not when it was asked for: so the request told
nobody whether anybody has the address.
"""

from dataclasses import dataclass, replace

from accounts.models import EmailKind, LinkPurpose, OutgoingEmail, User

# What anybody may have sent to any address; how often is bounded.
UNASKED = frozenset(
    {
        EmailKind.VERIFY_EMAIL,
        EmailKind.ALREADY_REGISTERED,
        EmailKind.NAME_NOT_FREE,
        EmailKind.RESET_PASSWORD,
        EmailKind.CHANGE_EMAIL,
    }
)
# All other messages tell of something that was done, and let its person undo it.
PURPOSES = {
    EmailKind.VERIFY_EMAIL: LinkPurpose.VERIFY_EMAIL,
    EmailKind.ALREADY_REGISTERED: None,
    EmailKind.NAME_NOT_FREE: None,
    EmailKind.RESET_PASSWORD: LinkPurpose.RESET_PASSWORD,
    EmailKind.CHANGE_EMAIL: LinkPurpose.CHANGE_EMAIL,
}


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message with its reader.  `user`: whom its link is for."""

    kind: EmailKind
    to: str
    user: User | None = None

    @property
    def purpose(self) -> LinkPurpose | None:
        """What its link does; None if it has none."""
        return PURPOSES.get(self.kind, LinkPurpose.NOT_ME)


def address_email(row: OutgoingEmail) -> Addressed | None:
    """Return the message with its reader; None if nobody is to be told.

    It goes to an account's own address as it is stored: one that merely folds to the same letters
    may be somebody else's mailbox.
    """
    kind = EmailKind(row.kind)
    match kind:
        case EmailKind.NAME_NOT_FREE:
            return Addressed(kind, row.address)
        case EmailKind.ALREADY_REGISTERED:
            return _to_owner(kind, _owner_of(row.address))
        case EmailKind.VERIFY_EMAIL:
            user = row.user or _owner_of(row.address)
            wanted = user and user.is_active and user.email_verified_at is None
            return _to_owner(kind, user) if wanted else None
        case EmailKind.RESET_PASSWORD:
            user = _owner_of(row.address)
            wanted = user and (user.is_active or user.frozen_at is not None)
            return _to_owner(kind, user) if wanted else None
        case EmailKind.CHANGE_EMAIL:
            return _to_new_address(row)
    told = _to_owner(kind, row.user)
    return replace(told, to=row.address) if told and row.address else told


def _to_new_address(row: OutgoingEmail) -> Addressed | None:
    owner = _owner_of(row.address)
    if owner is not None and owner != row.user:
        return _to_owner(EmailKind.ALREADY_REGISTERED, owner)
    active = row.user is not None and row.user.is_active
    return Addressed(EmailKind.CHANGE_EMAIL, row.address, row.user) if active else None


def _to_owner(kind: EmailKind, user: User | None) -> Addressed | None:
    return Addressed(kind, user.email, user) if user else None


def _owner_of(address: str) -> User | None:
    return User.objects.filter(email_folded=address).first()

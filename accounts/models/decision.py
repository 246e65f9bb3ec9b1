"""Who decided something that the ledger tells, and why (docs/adr/0040).

The ledger's entry has digests; the words stay in the security log, whose rows can be erased.
"""

import secrets
from dataclasses import dataclass, field

from batchtokens_verifier.canonical import digest

SALT_BYTES = 16


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, under a salt of its own.

    by: the kind of who decided, "staff", "system" or "breaker". actor: a public id, or "operator:"
    and a name; "" where nobody in person decided. reason: free text.
    """

    by: str
    actor: str = ""
    reason: str = ""
    salt: bytes = field(default_factory=new_salt, repr=False)

    def told(self) -> dict[str, str]:
        """Return what the entry says of it: the kind, and salted digests of what is known."""
        words = {"actor": self.actor, "note": self.reason}
        return {"by": self.by} | {name: self._digest(word) for name, word in words.items() if word}

    def kept(self) -> dict[str, str]:
        """Return what the security log keeps, with the salt (hex): so the entry can be checked."""
        words = {"reason": self.reason} if self.reason else {}
        salt = {"salt": self.salt.hex()} if self.correlation else {}
        return {"by": self.actor or self.by} | words | salt

    @property
    def correlation(self) -> str | None:
        """What its row of the security log is found by; None where there is nothing to check."""
        return correlation_of(self.told())

    def _digest(self, word: str) -> str:
        return digest(self.salt + word.encode())


def correlation_of(told: dict[str, str]) -> str | None:
    """Return the correlation of the decision that an entry's `data` tells."""
    known = told.get("note") or told.get("actor")
    return f"decision:{known}" if known else None

"""What other apps may add to accounts' own changes, inside their transactions (Django signals).

A receiver that raises undoes the change.
"""

from django.dispatch import Signal

# An account was frozen by "this wasn't me". Arguments: user, context, now.
account_frozen = Signal()

# Signing keys were made, retired or found out. Arguments: keys (SigningKey rows), what ("added",
# "retired", "compromised"), decision (who and why), context, now.
signing_keys_changed = Signal()

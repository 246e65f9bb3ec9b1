"""What happened, for whoever counts it: receivers decide nothing, and cannot fail a redemption."""

from django.dispatch import Signal

redemption_accepted = Signal()  # created: bool; False for a retry and a further attempt

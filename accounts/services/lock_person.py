"""Hold what a person signs in with still, until the transaction ends."""

from accounts.models import User


def lock_person(*, user: User) -> User:
    """Wait until nobody else changes this person, and read them; called inside a transaction."""
    # NO KEY: rows that only point at the person, such as events, need not wait.
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def lock_unchanged(*, user: User) -> bool:
    """Lock a person; False if they, or their password, are not any more what was judged."""
    same = User.objects.filter(pk=user.pk, is_active=True, password=user.password)
    return same.select_for_update(no_key=True).only("pk").first() is not None

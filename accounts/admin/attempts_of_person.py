"""How often somebody failed at a person's password or codes, and staff's way to forget it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.base import KeptAdmin, actor
from accounts.models import MOST_FAILURES, Authenticator, RequestContext, User
from accounts.services.unlock_user import unlock_user


class LockedFilter(admin.SimpleListFilter):
    """People of whom something is disabled."""

    title = "locked"
    parameter_name = "locked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer both."""
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Keep those chosen."""
        locked = Authenticator.objects.disabled().values("user")
        match self.value():
            case "yes":
                return queryset.filter(pk__in=locked)
            case "no":
                return queryset.exclude(pk__in=locked)
        return queryset


class AttemptsOfPerson(KeptAdmin):
    """Adds to people how their authenticators stand, and the action that unlocks them."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read the failures of a page's people together."""
        people: QuerySet[User] = super().get_queryset(request)
        return people.prefetch_related("authenticators")

    @admin.display(description="locked", boolean=True)
    def locked(self, person: User) -> bool:
        """Say whether something of theirs is disabled."""
        return any(each.is_disabled for each in person.authenticators.all())

    @admin.display(description="failures in a row")
    def failures(self, person: User) -> str:
        """Tell them of each authenticator, out of how many."""
        counts = {
            each.get_kind_display().lower(): each.failures for each in person.authenticators.all()
        }
        shown = [f"{kind}: {count} of {MOST_FAILURES}" for kind, count in sorted(counts.items())]
        return "; ".join(shown) or "none"

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Let those unlock who may change authenticators: changing people is not enough."""
        return request.user.has_perm("accounts.change_authenticator")

    @admin.action(description="Unlock (forget failures)", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Unlock the people chosen, save those whom whoever asks may not change."""
        allowed = self.changeable(request, queryset)
        for person in allowed:
            unlock_user(user=person, by=actor(request), context=RequestContext.of(request))
        messages.success(request, f"{len(allowed)} people unlocked.")

    def changeable(self, request: HttpRequest, people: QuerySet[User]) -> list[User]:
        """Keep those whom whoever asks may change, and tell them where some are left out."""
        allowed = [each for each in people if self.has_change_permission(request, each)]
        if len(allowed) < len(people):
            messages.warning(request, "Superusers alone do this to staff.")
        return allowed

"""Take back somebody who was sent to a provider: they sign in, or link who they are there.

Identity is (iss, sub) alone.  An e-mail address, verified or not, never finds an account: whoever
could have one confirmed somewhere would have the account here.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.crypto import same_digest, secret_digest
from accounts.errors import FederationRefused, IdentityNotLinked, InvalidScope
from accounts.federation.connections import connect
from accounts.federation.identities import Identity
from accounts.federation.providers import Provider
from accounts.federation.trips import Trip
from accounts.models import Amr, FederatedIdentity, FederationRequest, RequestContext, User
from accounts.scopes import format_scope, parse_scope
from accounts.services.begin_session import begin_session
from accounts.services.choose_provider import choose_provider
from accounts.services.grant_scope import grant_scope
from accounts.services.link_identity import link_identity
from accounts.services.note_federation_refusal import note_federation_refusal
from accounts.services.record_event import NOWHERE, count_refusal
from accounts.services.sign_up_federated import sign_up_federated
from accounts.tokens.pair import TokenPair


@dataclass(frozen=True, slots=True)
class Return:
    """What came back: the query of the callback, and what the browser has kept.

    None where there was none; `iss` may be empty text, which is another thing.
    is_sound: whether each parameter came once and is of a length that one may have.
    """

    state: str = field(repr=False)
    browser: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    iss: str | None = None
    error: str | None = None
    is_sound: bool = True


def finish_federation(
    *,
    provider: str,
    returned: Return,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> TokenPair | FederatedIdentity:
    """Sign in whom the provider names, or link them to who had set out; the state is used up.

    Raises UnknownId for an unknown provider; FederationRefused whatever was wrong with the
    answer; IdentityNotLinked, IdentityTaken; MfaRequired and InvalidScope as other sign-ins do.
    """
    given, now = now, now or timezone.now()
    chosen = choose_provider(provider)
    try:
        request = _take(chosen, returned, now)
        identity = _identify(chosen, request, returned, given)
        if request.user is not None:
            return link_identity(
                identity=identity, request=request, provider=chosen, context=context, now=now
            )
    except FederationRefused as refusal:
        note_federation_refusal(refusal, provider=provider, context=context, now=now)
        raise
    user = _person(identity, chosen, context, now)
    return _sign_in(user, request, context, now)


def _take(provider: Provider, returned: Return, now: datetime) -> FederationRequest:
    """Use the state up, and only then judge who brings it: nobody tries one twice."""
    with transaction.atomic(durable=True):
        request = FederationRequest.objects.take(
            state_digest=secret_digest(returned.state), now=now
        )
    if request is None:
        raise FederationRefused("an unknown, used or outdated state")
    if not returned.is_sound:
        raise FederationRefused("a malformed query")
    if not same_digest(request.browser_digest, secret_digest(returned.browser)):
        raise FederationRefused("another browser")
    if request.provider != provider.name:
        raise FederationRefused("another provider's state")
    return request


def _identify(
    provider: Provider, request: FederationRequest, returned: Return, now: datetime | None
) -> Identity:
    """Ask the provider who it is; no transaction is open meanwhile."""
    connection = connect(provider)
    connection.check_sender(returned.iss)
    if returned.error is not None or not returned.code:
        raise FederationRefused("the provider sent an error, or no code")
    trip = Trip.opened(request.secrets_sealed, state_digest=request.state_digest)
    return connection.identify(code=returned.code, trip=trip, now=now)


def _person(identity: Identity, provider: Provider, context: RequestContext, now: datetime) -> User:
    """Find whose identity it is, or make an account for it where the operator lets us."""
    known = FederatedIdentity.objects.filter(iss=identity.iss, sub=identity.sub)
    found = known.select_related("user").first()
    if found is None:
        return sign_up_federated(identity=identity, provider=provider, context=context, now=now)
    if not found.user.is_active:
        reason = "inactive_user"
        count_refusal(
            code="federation_refused", reason=reason, user=found.user, context=context, now=now
        )
        raise IdentityNotLinked
    known.update(last_used_at=now)
    return found.user


def _sign_in(
    user: User, request: FederationRequest, context: RequestContext, now: datetime
) -> TokenPair:
    try:
        granted = format_scope(grant_scope(user=user, asked=parse_scope(request.scope)))
    except InvalidScope:
        count_refusal(
            code="sign_in_refused", reason="invalid_scope", user=user, context=context, now=now
        )
        raise
    return begin_session(
        user=user,
        audience=request.audience,
        scope=granted,
        amr=[Amr.FEDERATED],
        context=context,
        now=now,
    )

"""Sign somebody out of one place, by whichever token of it they still hold."""

from accounts.models import RequestContext, User
from accounts.services.end_session import end_session, end_session_of_token
from accounts.services.record_event import NOWHERE
from accounts.tokens.access import Grant
from batchtokens_verifier.errors import TokenNotValid


def log_out(*, grant: Grant | None, refresh: str = "", context: RequestContext = NOWHERE) -> None:
    """End the place of the refresh token, or else of the access token.

    A refresh token that opens nothing is no error: the caller is signed out as it wished.
    Raises TokenNotValid where neither was shown.
    """
    if refresh:
        end_session_of_token(token=refresh, context=context)
    elif grant and grant.family_id and isinstance(grant.subject, User):
        end_session(family_id=grant.family_id, by=grant.subject, context=context)
    else:
        raise TokenNotValid("nothing to sign out of")

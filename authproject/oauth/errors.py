"""Refusals that only an OAuth form can earn (RFC 6749 section 5.2, RFC 9396 section 5)."""

from batchtokens_verifier.errors import ProblemError


class NotAForm(ProblemError):
    code = "unsupported_media_type"
    status = 415
    title = "Send application/x-www-form-urlencoded."


class UnsupportedGrantType(ProblemError):
    code = "unsupported_grant_type"
    title = "This grant type is not offered."
    oauth_error = "unsupported_grant_type"


class RefreshTokenNotValid(ProblemError):
    code = "token_not_valid"
    title = "The refresh token is not valid."
    oauth_error = "invalid_grant"


class UnsupportedTokenType(ProblemError):
    code = "unsupported_token_type"
    title = "Access tokens are not revoked: they end with their session, within minutes."
    oauth_error = "unsupported_token_type"


class InvalidAuthorizationDetails(ProblemError):
    code = "invalid_authorization_details"
    title = "Send a JSON array of exactly one object."
    oauth_error = "invalid_authorization_details"


class NoEarlierStatusList(ProblemError):
    code = "status_history_not_offered"
    status = 501
    title = "Only the present status list is to be had."


class StatusListFormNotOffered(ProblemError):
    code = "not_acceptable"
    status = 406
    title = "Status lists are application/statuslist+jwt."

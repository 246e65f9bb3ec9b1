"""Sign-in through other providers, and who a person is there."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import BearerAuthentication, context_of
from accounts.api.fields import TextField
from accounts.api.permissions import FreshAuthentication, HasScope, IsUser
from accounts.api.requests import validated
from accounts.api.serializers import SCOPE, TEXT, TokenPairOutput
from accounts.api.throttles import AnonymousThrottle, SignInThrottle
from accounts.api.views import PublicView, family_of, signed_in_user
from accounts.errors import NotForPages
from accounts.ids import parse_public_id
from accounts.models import FederatedIdentity
from accounts.scopes import ACCOUNT
from accounts.services.begin_federation import Departure, begin_federation, begin_linking
from accounts.services.choose_provider import list_providers
from accounts.services.finish_federation import Return, finish_federation
from accounts.services.list_identities import list_identities
from accounts.services.unlink_identity import unlink_identity
from accounts.tokens.pair import TokenPair

LONGEST_CODE = 4096
LONGEST = {"state": 128, "code": LONGEST_CODE, "iss": 500, "error": 500}


class ProviderOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    # DRF's metaclass takes it for a field, as the wire's name demands.
    label = serializers.CharField()  # type: ignore[assignment] # see above
    kind = serializers.CharField()


class FederationInput(serializers.Serializer[Any]):
    scope = TextField(max_length=SCOPE, default="", allow_blank=True)
    resource = TextField(max_length=TEXT, default="", allow_blank=True)


class DepartureOutput(serializers.Serializer[Any]):
    authorization_url = serializers.CharField(help_text="Send the browser there.")
    expires_in = serializers.IntegerField(help_text="Seconds it may take to come back.")


class IdentityOutput(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    provider = serializers.CharField()
    # DRF's metaclass takes it for a field, as the wire's name demands.
    label = serializers.CharField()  # type: ignore[assignment] # see above
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class ProvidersView(PublicView):
    throttle_classes = (AnonymousThrottle,)

    @extend_schema(responses=ProviderOutput(many=True), tags=["auth"])
    def get(self, request: Request) -> Response:
        """List the providers that people may sign in with."""
        return Response(ProviderOutput(list_providers(), many=True).data)


class BeginFederationView(PublicView):
    throttle_classes = (SignInThrottle, AnonymousThrottle)

    @extend_schema(request=FederationInput, responses=DepartureOutput, tags=["auth"])
    def post(self, request: Request, provider: str) -> Response:
        """Begin to sign in at a provider; the answer's cookie must come back with the browser."""
        departure = begin_federation(
            provider=provider,
            browser=browser_of(request),
            context=context_of(request),
            **validated(FederationInput, request),
        )
        return departed(departure)


class FederationCallbackView(PublicView):
    throttle_classes = (SignInThrottle, AnonymousThrottle)
    renderer_classes = (JSONRenderer,)  # no page, whatever is accepted
    outputs = {TokenPair: TokenPairOutput, FederatedIdentity: IdentityOutput}

    @extend_schema(
        parameters=[OpenApiParameter(name, str) for name in LONGEST],
        responses=PolymorphicProxySerializer(
            component_name="FederationResult",
            serializers=[TokenPairOutput, IdentityOutput],
            resource_type_field_name=None,
        ),
        tags=["auth"],
    )
    def get(self, request: Request, provider: str) -> Response:
        """Finish what was begun: tokens for who signs in, the identity for who links it.

        Browsers that only open the address are refused, and use nothing up: ask it from the app.
        """
        refuse_pages(request)
        result = finish_federation(
            provider=provider, returned=returned_by(request), context=context_of(request)
        )
        return Response(self.outputs[type(result)](result).data)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kw: Any) -> Any:
        """Keep the code in the address from whoever is asked next."""
        response.headers["Referrer-Policy"] = "no-referrer"
        return super().finalize_response(request, response, *args, **kw)


class IdentitiesView(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT))

    @extend_schema(responses=IdentityOutput(many=True), tags=["me"])
    def get(self, request: Request) -> Response:
        """List who you are at other providers."""
        rows = list_identities(of=signed_in_user(request))
        return Response(IdentityOutput(rows, many=True).data)


class IdentityView(APIView):
    """One address for both: a provider's name is linked, an identity's id is unlinked."""

    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsUser, HasScope(ACCOUNT), FreshAuthentication)

    @extend_schema(request=None, responses=DepartureOutput, tags=["me"])
    def post(self, request: Request, name: str) -> Response:
        """Begin to link who you are at a provider; the answer's cookie must come back."""
        departure = begin_linking(
            provider=name,
            by=signed_in_user(request),
            family_id=family_of(request),
            browser=browser_of(request),
            context=context_of(request),
        )
        return departed(departure)

    @extend_schema(responses={204: None}, tags=["me"])
    def delete(self, request: Request, name: str) -> Response:
        """Unlink an identity, and end the other places that providers have opened."""
        unlink_identity(
            identity_id=parse_public_id(name, FederatedIdentity.public_prefix),
            by=signed_in_user(request),
            keep=family_of(request),
            context=context_of(request),
        )
        return Response(status=204)


def refuse_pages(request: Request) -> None:
    """Show no tokens on a screen: a page that a browser opens is read by people, not by an app.

    Raises NotForPages.
    """
    # Fetch Metadata: scripts cannot set it, and apps that come back themselves send none.
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        raise NotForPages("Nothing was used up. Go back to your app, which finishes.")


def cookie_name() -> str:
    """Name the cookie; over https no other host can plant one of this name (RFC 6265bis)."""
    return "__Host-federation" if settings.OVER_HTTPS else "federation"


def browser_of(request: Request) -> str:
    """Return what an earlier departure has left in the browser."""
    return request.COOKIES.get(cookie_name(), "")


def departed(departure: Departure) -> Response:
    """Answer where to go, and leave in the browser what shows that it is the same one."""
    response = Response(DepartureOutput(departure).data)
    response.set_cookie(
        cookie_name(),
        departure.browser,
        max_age=departure.expires_in,
        secure=settings.OVER_HTTPS,
        httponly=True,
        samesite="Lax",  # the way back begins at another site
    )
    return response


def returned_by(request: Request) -> Return:
    """Read the callback's query (RFC 6749 section 4.1.2): nothing twice, and nothing too long."""
    query = request.query_params
    values = {name: query.getlist(name) for name in LONGEST}
    return Return(
        state=query.get("state", ""),
        browser=browser_of(request),
        code=query.get("code"),
        iss=query.get("iss"),
        error=query.get("error"),
        is_sound=all(
            len(given) <= 1 and all(len(value) <= LONGEST[name] for value in given)
            for name, given in values.items()
        ),
    )

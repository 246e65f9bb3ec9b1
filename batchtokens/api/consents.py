"""`/api/v1/operations/{preview,consents}`: see what would be signed, and confirm exactly that."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import context_of
from batchtokens.api.consent_serializers import (
    ConfirmConsentInput,
    ConsentOutput,
    MandateInput,
    PreviewOutput,
)
from batchtokens.api.paths import CONSENT_ID
from batchtokens.api.permissions import GivesConsent
from batchtokens.api.principals import grant_of
from batchtokens.services.consent.confirm_consent import confirm_consent, find_consent
from batchtokens.services.consent.preview_operation import MandateRequest, preview_operation
from batchtokens.services.consent.request_consent import request_consent


def _asked(request: Request) -> MandateRequest:
    body = MandateInput(data=request.data)
    body.is_valid(raise_exception=True)
    return MandateRequest(**body.validated_data)


class PreviewView(APIView):
    """What an operation token would say."""

    permission_classes = [GivesConsent]

    @extend_schema(request=MandateInput, responses=PreviewOutput)
    def post(self, request: Request) -> Response:
        """Show the sentence, the canonical bytes and the digests; nothing is stored."""
        preview = preview_operation(by=grant_of(request), request=_asked(request))
        return Response(PreviewOutput(preview).data)


class ConsentsView(APIView):
    """What a person is shown before they confirm it."""

    permission_classes = [GivesConsent]

    @extend_schema(request=MandateInput, responses={201: ConsentOutput})
    def post(self, request: Request) -> Response:
        """Store what is shown, for 15 minutes; a second factor confirms it."""
        consent = request_consent(by=grant_of(request), request=_asked(request))
        shown = find_consent(by=grant_of(request), public_id=consent.public_id)
        return Response(ConsentOutput(shown).data, status=status.HTTP_201_CREATED)


class ConsentView(APIView):
    """One consent of one's own."""

    permission_classes = [GivesConsent]

    @extend_schema(responses=ConsentOutput, parameters=[CONSENT_ID])
    def get(self, request: Request, public_id: str) -> Response:
        consent = find_consent(by=grant_of(request), public_id=public_id)
        return Response(ConsentOutput(consent).data)


class ConfirmConsentView(APIView):
    """A person's word."""

    permission_classes = [GivesConsent]

    @extend_schema(request=ConfirmConsentInput, responses=ConsentOutput, parameters=[CONSENT_ID])
    def post(self, request: Request, public_id: str) -> Response:
        """Confirm what has this digest with a code, which is spent on it."""
        body = ConfirmConsentInput(data=request.data)
        body.is_valid(raise_exception=True)
        consent = confirm_consent(
            by=grant_of(request),
            public_id=public_id,
            context=context_of(request),
            **body.validated_data,
        )
        return Response(ConsentOutput(consent).data)

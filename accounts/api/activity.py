"""`me/activity`: what the security log tells a person about themselves, newest first."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import PERSONAL
from accounts.api.fields import ClosedInput, TextField
from accounts.api.permissions import HasScope, IsUser
from accounts.api.views import signed_in_user
from accounts.models import Outcome, SecurityEvent
from accounts.models.security_event import SecurityEventQuerySet
from accounts.scopes import ACCOUNT
from accounts.services.describe_event import describe_event, is_by_its_person, told_details
from accounts.services.list_events import list_events
from accounts.services.name_device import name_device

# What a list's address may also carry: its page, and the browsable pages' choice of form.
NOT_FILTERS = frozenset({"cursor", "page_size", "format"})


class ActivityFilter(ClosedInput):
    code = TextField(max_length=60, required=False)
    outcome = serializers.ChoiceField(choices=Outcome.choices, required=False)


class EventOutput(serializers.Serializer[SecurityEvent]):
    id = serializers.CharField(source="public_id")
    at = serializers.DateTimeField()
    code = serializers.CharField()
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    description = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField()
    device = serializers.SerializerMethodField()
    request_id = serializers.SerializerMethodField()
    count = serializers.IntegerField(help_text="Refusals of one minute are counted together.")
    details = serializers.SerializerMethodField()

    def get_description(self, event: SecurityEvent) -> str:
        return describe_event(event)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_address(self, event: SecurityEvent) -> str | None:
        return event.address if is_by_its_person(event) else None

    def get_device(self, event: SecurityEvent) -> str:
        return name_device(event.user_agent) if is_by_its_person(event) else ""

    def get_request_id(self, event: SecurityEvent) -> str:
        return event.request_id if is_by_its_person(event) else ""

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_details(self, event: SecurityEvent) -> dict[str, Any]:
        return told_details(event)


class ActivityView(generics.ListAPIView[SecurityEvent]):
    """One's own security events."""

    serializer_class = EventOutput
    authentication_classes = PERSONAL
    permission_classes = (IsUser, HasScope(ACCOUNT))
    queryset = SecurityEvent.objects.none()

    def get_queryset(self) -> SecurityEventQuerySet:
        parameters = self.request.query_params.items()
        wanted = ActivityFilter(data={k: v for k, v in parameters if k not in NOT_FILTERS})
        wanted.is_valid(raise_exception=True)
        return list_events(of=signed_in_user(self.request), **wanted.validated_data)

    @extend_schema(parameters=[ActivityFilter], tags=["me"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what happened to your account, newest first."""
        return super().get(request, *args, **kwargs)

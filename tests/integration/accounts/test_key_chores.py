"""What is done about keys that nobody asked for: warnings by the worker, findings of the doctor."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.errors import InvalidClient, WaitForAttempt
from accounts.management.base import Findings
from accounts.models import ApiKey, EmailKind, OutgoingEmail, RequestContext, SecurityEvent
from accounts.services.authenticate_api_key import authenticate_api_key
from accounts.services.create_api_key import create_api_key
from accounts.services.limit_failures import MOST_FAILURES_OF_ADDRESS
from accounts.services.send_emails import send_next_email
from accounts.services.warn_expiring_keys import warn_expiring_keys
from tests import factories

pytestmark = pytest.mark.django_db
SOON = timedelta(days=5)
HERE, ELSEWHERE = RequestContext("192.0.2.7"), RequestContext("198.51.100.7")


def test_a_warning_is_sent_once(mailoutbox: list[Any]) -> None:
    ends = timezone.now() + SOON
    create_api_key(owner=factories.alice(), name="laptop", scopes=["profile"], expires_at=ends)

    for _ in range(2):
        warn_expiring_keys()
        while send_next_email():
            pass

    mail = OutgoingEmail.objects.get(kind=EmailKind.API_KEY_EXPIRING)
    assert mail.sent_at
    (text,) = (m.body for m in mailoutbox if "ends soon" in m.subject)
    assert "laptop" in text
    assert f"{ends:%Y-%m-%d}" in text


def test_the_doctor_names_clients_keys_that_end_soon() -> None:
    gateway = factories.service_client("gateway").client
    ends = timezone.now() + SOON
    ending = create_api_key(owner=gateway, name="ending", expires_at=ends).api_key
    create_api_key(owner=factories.alice(), name="hers", scopes=["profile"], expires_at=ends)

    out = StringIO()
    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)

    found = [row["finding"] for row in json.loads(out.getvalue()) if row["id"] == "api_keys"]
    assert found == [f"The key {ending.public_id} of gateway ends on {ends:%Y-%m-%d}."]


class TestGuesses:
    """An address that shows wrong keys waits; a right key always opens."""

    @pytest.fixture(autouse=True)
    def limits_on(self, settings: Any) -> None:
        settings.RATE_LIMITS = True

    def guess(self, context: RequestContext) -> None:
        authenticate_api_key(key="ak_live_wrong", context=context)

    def test_end(self) -> None:
        secret = factories.service_client("gateway").secret
        for _ in range(MOST_FAILURES_OF_ADDRESS):
            with pytest.raises(InvalidClient):
                self.guess(HERE)

        with pytest.raises(WaitForAttempt):
            self.guess(HERE)
        with pytest.raises(InvalidClient):
            self.guess(ELSEWHERE)
        assert authenticate_api_key(key=secret, context=HERE).client_id == "gateway"

    @pytest.mark.usefixtures("one_minute")
    def test_are_each_counted_once(self) -> None:
        for _ in range(MOST_FAILURES_OF_ADDRESS + 5):
            with pytest.raises((InvalidClient, WaitForAttempt)):
                self.guess(HERE)

        counts = dict(SecurityEvent.objects.values_list("code", "count"))
        assert counts == {"client_refused": MOST_FAILURES_OF_ADDRESS, "rate_limited": 5}
        assert not ApiKey.objects.exists()

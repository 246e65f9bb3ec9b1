"""I13 for links, and one account a name, whoever races for them."""

from collections.abc import Callable
from functools import partial

import pytest

from accounts.errors import LinkNotValid
from accounts.models import EmailKind, LinkPurpose, OutgoingEmail, SecurityEvent, User
from accounts.services.change_email import ask_for_email_change, confirm_email_change
from accounts.services.freeze_account import freeze_account
from accounts.services.queue_email import queue_email
from accounts.services.register_user import register_user
from accounts.services.reset_password import ask_for_reset, reset_password
from accounts.services.send_emails import send_next_email
from accounts.services.verify_email import resend_verification, verify_email
from tests import factories
from tests.mailbox import code_sent
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
]
THREADS = 32
HOME, OTHER = "alice@example.org", "other@example.org"


@pytest.fixture
def alice() -> User:
    person = factories.alice()
    User.objects.update(email_verified_at=None)
    return person


def won(call: Callable[[], object]) -> bool:
    try:
        call()
    except LinkNotValid:
        return False
    return True


def test_one_reset_link_sets_one_password(alice: User) -> None:
    ask_for_reset(email=HOME)
    code = code_sent(to=HOME)
    passwords = [f"the long passphrase of thread {n}" for n in range(THREADS)]
    calls = [partial(reset_password, token=code, new_password=each) for each in passwords]

    results = at_once(*(partial(won, call) for call in calls))

    assert sum(results) == 1
    alice.refresh_from_db()
    assert alice.check_password(passwords[results.index(True)])
    assert SecurityEvent.objects.filter(code="password_reset").count() == 1


def test_one_verification_link_verifies_once(alice: User) -> None:
    resend_verification(email=HOME)
    call = partial(verify_email, token=code_sent(to=HOME))

    assert sum(at_once(*[partial(won, call)] * THREADS)) == 1


def test_one_change_is_confirmed_once(alice: User) -> None:
    ask_for_email_change(by=alice, email=OTHER)
    call = partial(confirm_email_change, token=code_sent(to=OTHER))

    assert sum(at_once(*[partial(won, call)] * THREADS)) == 1
    assert OutgoingEmail.objects.filter(kind=EmailKind.EMAIL_CHANGED).count() == 1


def test_links_of_one_person_do_not_wait_for_each_other_in_circles(alice: User) -> None:
    for _ in range(5):
        OutgoingEmail.objects.all().delete()
        alice.email, alice.is_active, alice.frozen_at = HOME, True, None
        alice.save()
        ask_for_reset(email=HOME)
        reset = code_sent(to=HOME)
        ask_for_email_change(by=alice, email=OTHER)
        change = code_sent(to=OTHER)
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=alice)
        freeze = code_sent(to=HOME)
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=alice)
        new = "an even longer passphrase"

        at_once(
            partial(won, partial(reset_password, token=reset, new_password=new)),
            partial(won, partial(confirm_email_change, token=change)),
            partial(won, partial(freeze_account, token=freeze)),
            send_next_email,
        )

        alice.refresh_from_db()
        assert alice.is_active or alice.email == HOME


def test_several_workers_send_each_message_once(alice: User) -> None:
    for _ in range(THREADS):
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=alice)

    assert all(at_once(*[send_next_email] * THREADS))

    assert not OutgoingEmail.objects.unsent().exists()
    assert alice.links.filter(purpose=LinkPurpose.NOT_ME).count() == THREADS


@pytest.mark.parametrize(
    ("username", "email"), [("dave", "dave{}@example.org"), ("dave{}", "dave@example.org")]
)
def test_registrations_of_one_name_make_one_account(username: str, email: str) -> None:
    register = partial(register_user, password=factories.PASSWORD)
    calls = [
        partial(register, username=username.format(n), email=email.format(n))
        for n in range(THREADS)
    ]

    people = at_once(*calls)

    (stored,) = User.objects.all()
    assert [person.pk for person in people].count(stored.pk) == 1
    assert OutgoingEmail.objects.filter(kind=EmailKind.VERIFY_EMAIL).count() == 1
    assert OutgoingEmail.objects.count() == THREADS

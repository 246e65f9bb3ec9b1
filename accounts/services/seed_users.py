"""Make people up, for demonstrations and load tests: the same seed makes the same people."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.errors import InvalidRequest
from accounts.models import TotpDevice, User
from accounts.models.folded import nfkc
from accounts.models.totp_device import KEY_BYTES
from accounts.services.record_event import record_event

GIVEN = ("Ada", "Chidi", "Emre", "Fatima", "Goran", "Hana", "Ines", "Jun", "Mateo", "Nora")
FAMILY = ("Abe", "Berg", "Costa", "Diaz", "Eze", "Garcia", "Horvat", "Khan", "Li", "Novak")
JOINED_WITHIN = timedelta(days=730)
DEMO_USERNAME = "johndoe"
DEMO_PASSWORD = "secret"


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """How many people, and how.  Without a password nobody can sign in as them."""

    count: int
    seed: int = 1
    staff: int = 0
    password: str | None = None
    batch: int = 1000
    totp_fraction: float = 0.0  # of them have an authenticator app; see `seeded_totp_key`


def seed_users(plan: SeedPlan, *, now: datetime | None = None) -> Iterator[tuple[int, int]]:
    """Store the people batch by batch, each batch whole or not at all.

    Yields, for each batch, how many were made and how many were there already.
    Raises InvalidRequest for apps whose keys everybody can work out, where people depend on them.
    """
    if plan.totp_fraction and settings.PRODUCTION:
        raise InvalidRequest("Made-up people have no authenticator apps in production.")
    now = now or timezone.now()
    for start in range(0, plan.count, plan.batch):
        people = _people(plan, range(start, min(start + plan.batch, plan.count)), now)
        names = [person.username for person in people]
        with transaction.atomic(durable=True):
            there = set(User.objects.filter(username__in=names).values_list("username", flat=True))
            made = User.objects.bulk_create([p for p in people if p.username not in there])
            TotpDevice.objects.bulk_create(_devices(plan, made, now))
            record_event(code="users_seeded", data={"count": len(made), "seed": plan.seed})
        yield len(made), len(there)


def seeded_totp_key(username: str) -> bytes:
    """Return the key of a made-up person's app, so that a load test can make their codes.

    The first 20 bytes of SHA-256("totp:" + username).
    """
    return hashlib.sha256(f"totp:{username}".encode()).digest()[:KEY_BYTES]


def seed_demo_user() -> bool:
    """Make `johndoe`, whose password everybody knows; False if he is there already.

    For development alone: the caller has made sure.
    """
    if User.objects.filter(username_folded=DEMO_USERNAME).exists():
        return False
    User.objects.create_user(DEMO_USERNAME, f"{DEMO_USERNAME}@example.org", DEMO_PASSWORD)
    return True


def _people(plan: SeedPlan, numbers: range, now: datetime) -> list[User]:
    """Make up these people; they share one hash, because each costs 20 ms."""
    encoded = make_password(None if plan.password is None else nfkc(plan.password))
    return [_person(plan, number, encoded, now) for number in numbers]


def _person(plan: SeedPlan, number: int, encoded: str, now: datetime) -> User:
    chance = random.Random(f"{plan.seed}:{number}")  # noqa: S311 - made-up people, not secrets
    username = f"{chance.choice(GIVEN)}{chance.choice(FAMILY)}{plan.seed}x{number}".lower()
    joined = now - JOINED_WITHIN * chance.random()
    return User(
        username=username,
        email=f"{username}@example.org",
        email_verified_at=joined,
        password=encoded,
        is_staff=number < plan.staff,
        date_joined=joined,
    )


def _devices(plan: SeedPlan, people: Sequence[User], now: datetime) -> list[TotpDevice]:
    """Give a share of these people an app that is on."""
    names = (f"{plan.seed}:{person.username}:totp" for person in people)
    chances = [random.Random(name).random() for name in names]  # noqa: S311 - no secret either
    chosen = [p for p, chance in zip(people, chances, strict=True) if chance < plan.totp_fraction]
    return [_device(person, now) for person in chosen]


def _device(person: User, now: datetime) -> TotpDevice:
    device = TotpDevice(user=person, confirmed=True, created_at=now, confirmed_at=now)
    device.set_key(seeded_totp_key(person.username))
    return device

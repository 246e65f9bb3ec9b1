"""Who plays in the demonstration: people, and the savings example's clients; development only.

A second run adds what is missing. Client secrets are not kept anywhere: each run makes new ones.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from django.conf import settings

from accounts.models import ServiceClient, User
from accounts.scopes import INTROSPECT, REDEEM, TOKEN_EXCHANGE
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import create_service_client
from accounts.services.revoke_api_key import revoke_api_key
from accounts.services.seed_users import (
    DEMO_PASSWORD,
    DEMO_USERNAME,
    SeedPlan,
    seed_demo_user,
    seed_users,
)
from batchtokens.services.operation_types.create_operation_type import create_operation_type

PEOPLE = 25
# One whose meta-scope is enough, and one that the person confirms word by word.
DEFINITIONS = [
    settings.BASE_DIR / "examples" / "savings" / f"{name}.json"
    for name in ("savings.deposit", "savings.standing_order")
]
# The first key of a client, and the one that each later run puts in its place.
KEY_NAMES = ("first", "quickstart")


@dataclass(frozen=True)
class Credentials:
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Example:
    """What the savings example needs to know to be who it is."""

    url: str
    gateway: Credentials
    trigger: Credentials
    executor: Credentials
    delivery_secret: str = field(repr=False)

    @property
    def trigger_audience(self) -> str:
        return trigger_audience(self.url)


def trigger_audience(example_url: str) -> str:
    return f"{example_url}/trigger"


def ensure_example(example_url: str) -> Example:
    """Register the three clients and the operation types, and give the clients new secrets."""
    gateway = ensure_client("savings-gateway", scopes=[INTROSPECT])
    trigger = ensure_client(
        "savings-trigger", scopes=[TOKEN_EXCHANGE], audience=trigger_audience(example_url)
    )
    executor = ensure_client(
        "savings-executor",
        scopes=[REDEEM],
        audience=f"{example_url}/",
        delivery_url=f"{example_url}/executor/deliveries",
    )
    for definition in DEFINITIONS:
        create_operation_type(definition=json.loads(definition.read_bytes()))
    client = ServiceClient.objects.get(client_id=executor.client_id)
    return Example(example_url, gateway, trigger, executor, client.delivery_secret())


def ensure_people() -> list[User]:
    """Seed people, johndoe first; he can sign in with the password that the README names."""
    seed_demo_user()
    for _ in seed_users(SeedPlan(count=PEOPLE - 1)):
        pass  # a generator for the sake of progress bars
    john = User.objects.get(username_folded=DEMO_USERNAME)
    if not (john.is_active and john.check_password(DEMO_PASSWORD)):
        john.is_active = True
        john.set_password(DEMO_PASSWORD)
        john.save(update_fields=["is_active", "password"])
    # Seeded people joined in the past: who registers by hand is not among the first.
    others = User.objects.exclude(pk=john.pk).filter(is_superuser=False).order_by("date_joined")
    return [john, *others[: PEOPLE - 1]]


def ensure_client(
    client_id: str, *, scopes: Collection[str], audience: str | None = None, delivery_url: str = ""
) -> Credentials:
    """Create the client, or move it to where the example listens now; its former keys end."""
    client = ServiceClient.objects.filter(client_id=client_id).first()
    if client is None:
        new = create_service_client(
            client_id=client_id, scopes=scopes, audience=audience, delivery_url=delivery_url
        )
        return Credentials(client_id, new.secret)
    client.scopes, client.audience, client.delivery_url = sorted(scopes), audience, delivery_url
    client.is_active = True
    client.save(update_fields=["scopes", "audience", "delivery_url", "is_active"])
    for api_key in client.api_keys.filter(name__in=KEY_NAMES, revoked_at=None):
        revoke_api_key(api_key=api_key)
    return Credentials(client_id, create_api_key(owner=client, name=KEY_NAMES[-1]).text)

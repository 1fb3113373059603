"""A profile connected with a stub Postiz, and publications that are due."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from editai.notify.models import Notification
from profiles import credentials
from profiles.models import Profile
from publishing.channels import integrations
from publishing.channels.connections import POSTIZ
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Integration, PostizAccount, Publication
from publishing.states import State
from publishing.tests.builders import make_publication
from publishing.tracking.sync import sync
from tests.stubs.postiz import StubPostiz

SETTINGS: dict[str, dict[str, Any]] = {
    "instagram": {"post_type": "post"},
    "facebook": {},
    "threads": {},
    "bluesky": {},
    "youtube": {"title": "My short", "type": "public", "selfDeclaredMadeForKids": "no"},
}


def connect(profile: Profile, stub: StubPostiz, number: int = 0) -> Any:
    """The key of one of the stub's organisations becomes the profile's; its channels are listed."""
    key = stub.organisation(number).key
    credentials.credential_set(profile=profile, kind=POSTIZ, secret=key, values={"url": stub.url})
    assert integrations.refresh(profile)
    stub.forget_requests()
    return account_of(profile)


def account_of(profile: Profile) -> Any:
    return PostizAccount.objects.get(profile=profile)


def channel(profile: Profile, network: str = "instagram") -> Integration:
    rows = Integration.objects.for_profile(profile).filter(identifier=network, is_disabled=False, removed_at=None)
    found: Integration = rows.order_by("name")[0]
    return found


def due(profile: Profile, network: str = "instagram", *, ahead: timedelta | None = None, **fields: Any) -> Any:
    """A publication that a worker may take now; `ahead`: of its time, else as soon as possible."""
    now = timezone.now()
    values: dict[str, Any] = {
        "state": State.SCHEDULED,
        "integration": channel(profile, network),
        "settings": SETTINGS[network],
        "is_immediate": ahead is None,
        "scheduled_at": now + (ahead or timedelta(0)),
        "due_at": now,
        **fields,
    }
    return make_publication(profile, **values)


def fresh(publication: Publication) -> Any:
    return Publication.objects.select_related("integration", "profile").get(pk=publication.pk)


def told(publication: Publication) -> list[str]:
    """The events that were told of a publication, in their order."""
    rows = Notification.objects.filter(once_key__contains=str(publication.pk)).order_by("created_at", "id")
    return list(rows.values_list("event", flat=True))


class Watched:
    """A publication that was handed over, and a clock that leaps from one look to the next."""

    def __init__(self, profile: Profile, clock: Any, network: str = "instagram", **fields: Any) -> None:
        self.profile, self.clock = profile, clock
        self.publication = due(profile, network, **fields)
        hand_over_due(profile=profile)
        assert self.row.state == State.SUBMITTED

    @property
    def row(self) -> Any:
        return fresh(self.publication)

    def look(self) -> Any:
        at = self.row.next_check_at
        assert at is not None, self.row.state
        self.clock.shift(max(at - timezone.now(), timedelta(0)) + timedelta(milliseconds=5))
        assert sync(self.profile) == 1
        return self.row

    def until(self, *states: State) -> Any:
        for _ in range(100):
            if self.look().state in states:
                return self.row
        raise AssertionError(f"never {states}: {self.row.state}")

    @property
    def late(self) -> timedelta:
        return timezone.now() - self.row.fingerprint_at

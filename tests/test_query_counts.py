"""Lists cost the same number of queries for two rows as for twelve, and what they cost is written down."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conftest import Person
from editai.clips.models import Clip, ExportPreset
from editai.notify.events import DISK_LOW
from editai.notify.models import NotifyTarget
from editai.notify.services import notify
from editai.projects.models import Project, ProjectSegment
from jobs.models import Job
from profiles import credentials, scope, services, trash
from profiles.models import Membership, Role, User
from segments.models import SegmentLabel
from tests.isolation import costs_rows, publishing_rows
from tests.isolation import world as worlds
from tests.isolation.calls import CALLS
from tests.isolation.checker import World
from tests.isolation.routes import Route, api_routes

pytestmark = pytest.mark.django_db

# Queries of one call with a token, to a row's page or a list: token, membership, rows, what hangs on them.
BASELINES = {
    "api-token-list": 3,
    "profile-list": 3,
    "member-list": 3,
    "invitation-list": 3,
    "job-list": 3,
    "notify-target-list": 3,
    "notification-list": 4,
    "costs": 8,
    "cost-entry-list": 3,
    "paid-call-list": 3,
    "cost-budget": 4,
    "cost-prices": 4,
    "usage": 5,
    "storage": 10,
    "source-video-list": 3,
    "source-video-segment-list": 6,
    "segment-list": 5,
    "trash-list": 10,
    "project-list": 3,
    "project-segments": 7,
    "project-clips": 4,
    "clip-list": 3,
    "presets": 3,
    "publication-list": 3,
    "publication-detail": 5,
    "publishing-calendar": 4,
    "publishing-integrations": 8,
    "publishing-slots": 6,
    "caption-set-list": 3,
    "caption-set-last": 5,
    "hashtag-set-list": 3,
    "approval-list": 3,
    "review-link-list": 3,
    "outbox-list": 3,
}
ANSWERS = [route for route in api_routes() if route.method == "get" and route.name in BASELINES]


@pytest.fixture
def world(db: None, tmp_path: Path) -> World:
    return worlds.build(tmp_path)


def grow(world: World, tmp_path: Path, times: int) -> None:
    """`times` more rows of everything that lists show."""
    owner = world.owner
    for number in range(times):
        guest = User.objects.create_user(f"guest-{number}")
        Membership.objects.create(user=guest, profile=owner.profile, role=Role.VIEWER)
        services.invitation_create(profile=owner.profile, by=owner.user, role=Role.VIEWER)
        services.profile_create(user=owner.user, name=f"Brand {number}")
    with scope.activate(owner.profile.pk):
        for number in range(times):
            _grow_footage(owner, tmp_path, number, world)


def _grow_footage(owner: Person, tmp_path: Path, number: int, world: World) -> None:
    profile = owner.profile
    file = worlds.stored_file(profile, tmp_path)
    source = worlds.make_source(profile, file, name=f"Footage {number}")
    project = Project.objects.get(pk=world.ids["project"])
    for parent in (source, type(source).objects.get(pk=world.ids["source"])):
        segment = worlds.make_segment(parent, extracted=file, extracted_revision=1)
        for position, word in enumerate(("bread", "oven")):
            SegmentLabel.objects.create(
                profile=profile, segment=segment, kind="keyword", text=word, folded=word, position=position
            )
        ProjectSegment.objects.create(
            profile=profile, project=project, segment=segment, position=project.entries.count()
        )
    Job.objects.create(
        profile=profile, kind="ingest", queue="media", priority=1, max_attempts=1, subject=source.pk, output=None
    )
    Clip.objects.create(
        profile=profile,
        project=project,
        name=f"Clip {number}",
        state="ready",
        preset=ExportPreset.objects.order_by("position")[0],
        file=file,
        poster=file,
        cover=file,
        cover_source="image",
        recipe_hash=str(number),
        rendered_hash=str(number),
    )
    trash.throw_away(Project.objects.create(profile=profile, name=f"Old {number}"))
    publishing_rows.grow(profile, Clip.objects.get(pk=world.ids["clip"]), number)
    NotifyTarget.objects.create(
        profile=profile, kind="webhook", address=f"http://{number}.invalid/", ciphertext=credentials.encrypt("x")
    )
    notify(profile=profile, event=DISK_LOW.name, once_key=str(number), title="Told", text="Told")
    costs_rows.grow(profile, number)


def count(world: World, route: Route) -> int:
    url = reverse(route.name, kwargs={name: world.ids[key] for name, key in CALLS[route.key].path.items()})
    with CaptureQueriesContext(connection) as captured:
        answer = world.owner.client.get(url, query_params=dict(CALLS[route.key].query))
    assert answer.status_code == 200, answer.content
    return len(captured)


def test_every_list_has_a_baseline() -> None:
    lists = {
        route.name for route in api_routes() if route.method == "get" and (route.name.endswith(("-list", "-clips")))
    }
    assert lists <= set(BASELINES)


@pytest.mark.parametrize("route", ANSWERS, ids=lambda route: route.name)
def test_a_list_costs_a_constant_number_of_queries(route: Route, world: World, tmp_path: Path) -> None:
    count(world, route)  # the first call writes when the token was last used
    few = count(world, route)
    grow(world, tmp_path, 10)
    assert count(world, route) == few
    assert few == BASELINES[route.name]

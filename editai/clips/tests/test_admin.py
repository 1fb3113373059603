"""Projects, clips and presets in the admin."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conftest import Person
from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project, ProjectSegment
from jobs.models import Job
from profiles.models import User

pytestmark = pytest.mark.django_db
MODELS = [Project, ProjectSegment, Clip, ExportPreset]


@pytest.fixture
def browser(owner: Person) -> Client:
    client = Client()
    client.force_login(owner.user)
    return client


def name(model: Any, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows(
    browser: Client, project: Project, generate: Callable[..., Job], model: Any, stranger: Person
) -> None:
    generate(project)
    answer = browser.get(reverse(name(model, "changelist")), {"q": "s"})
    assert answer.status_code == 200
    row = model.objects.first()
    url = reverse(name(model, "change"), args=[row.pk])
    assert browser.get(url).status_code == 200
    if model is not ExportPreset:
        other = Client()
        other.force_login(stranger.user)
        assert other.get(url).status_code == 302
        assert f"{row.pk}/change/" not in other.get(reverse(name(model, "changelist"))).content.decode()


def test_framing_in_the_admin_makes_clips_stale(browser: Client, project: Project, monkeypatch: Any) -> None:
    told: list[Project] = []
    monkeypatch.setattr("editai.projects.admin.project_changed", told.append)
    url = reverse(name(Project, "change"), args=[project.pk])
    assert browser.post(url, {"name": "New", "framing": "fill"}).status_code == 302
    assert told == []
    assert browser.post(url, {"name": "New", "framing": "pad"}).status_code == 302
    assert told == [project]


def test_presets_are_changed_by_superusers_only(browser: Client, owner: Person) -> None:
    preset = ExportPreset.objects.get(pk="tiktok")
    url = reverse(name(ExportPreset, "change"), args=[preset.pk])
    fields = ("slug", "name", "network", "width", "height", "frame_rate", "max_seconds", "position")
    body = {field: getattr(preset, field) for field in fields} | {"max_seconds": 60}
    assert browser.post(url, body).status_code == 403
    User.objects.filter(pk=owner.user.pk).update(is_superuser=True)
    answer = browser.post(url, body)
    assert answer.status_code == 302, answer.content
    preset.refresh_from_db()
    assert preset.max_seconds == 60
    assert browser.get(reverse(name(ExportPreset, "delete"), args=[preset.pk])).status_code == 403


def test_only_name_and_mark_of_a_clip_change(browser: Client, project: Project, generate: Callable[..., Job]) -> None:
    generate(project)
    clip = Clip.objects.get()
    url = reverse(name(Clip, "change"), args=[clip.pk])
    assert browser.post(url, {"name": "New", "is_selected": "on", "state": "ready"}).status_code == 302
    clip.refresh_from_db()
    assert (clip.name, clip.is_selected, clip.state) == ("New", True, "queued")
    assert browser.get(reverse("admin:clips_clip_add")).status_code == 403

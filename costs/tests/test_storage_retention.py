"""Retention, every night: each brand its own, what is needed stays, one that fails does not keep the others."""

from pathlib import Path

import pytest

from conftest import Person
from costs import tasks
from costs.models import StorageRetention
from costs.storage import retention
from costs.tests.storage_rows import age, full, make_source, stored_ids
from editai.celery import app
from profiles import scope
from profiles.models import Profile

pytestmark = pytest.mark.django_db


def keep(profile: Profile, **days: int) -> None:
    with scope.activate(profile.pk):
        retention.retention_set(profile=profile, days=days)


def test_what_is_older_goes_and_what_is_needed_stays(in_scope: Profile, tmp_path: Path) -> None:
    brand = full(in_scope, tmp_path)
    keep(in_scope, renders=30, proxies=90)
    before = stored_ids(in_scope)
    age(in_scope, before, 31)
    tasks.apply_storage_retention()
    assert before - stored_ids(in_scope) == brand.may_go["renders"]
    age(in_scope, stored_ids(in_scope), 91)
    tasks.apply_storage_retention()
    assert before - stored_ids(in_scope) == brand.may_go["renders"] | brand.may_go["proxies"]
    left = stored_ids(in_scope)
    tasks.apply_storage_retention()
    assert stored_ids(in_scope) == left


def test_without_a_row_everything_stays(in_scope: Profile, tmp_path: Path) -> None:
    full(in_scope, tmp_path)
    before = stored_ids(in_scope)
    age(in_scope, before, 10_000)
    StorageRetention.objects.create(profile=in_scope, kind="of an older program", days=1)
    assert retention.apply_everywhere() == 0
    assert stored_ids(in_scope) == before


def test_each_brand_has_its_own_and_none_keeps_the_others(
    owner: Person, stranger: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brands = (owner.profile, stranger.profile)
    for brand in brands:
        with scope.activate(brand.pk):
            make_source(brand, tmp_path)
            age(brand, stored_ids(brand), 10)
    keep(stranger.profile, proxies=5)
    keep(owner.profile, proxies=20)
    real = retention.apply

    def apply(profile: Profile) -> int:
        if profile.pk == owner.profile.pk:
            raise RuntimeError("struck by lightning")
        return real(profile)

    monkeypatch.setattr(retention, "apply", apply)
    assert retention.apply_everywhere() == 10
    for brand, count in zip(brands, (5, 4), strict=True):
        with scope.activate(brand.pk):
            assert len(stored_ids(brand)) == count


def test_a_brand_that_is_being_deleted_is_left_to_its_end(in_scope: Profile, tmp_path: Path) -> None:
    make_source(in_scope, tmp_path)
    age(in_scope, stored_ids(in_scope), 10)
    keep(in_scope, proxies=1)
    Profile.objects.filter(pk=in_scope.pk).update(state=Profile.State.DELETING)
    assert retention.apply_everywhere() == 0


def test_it_runs_every_night() -> None:
    entry = app.conf.beat_schedule["storage-retention"]
    assert entry["task"] == tasks.apply_storage_retention.name

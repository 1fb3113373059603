from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import ProtectedError
from django.utils import timezone

from conftest import Person
from profiles import scope, trash
from profiles.errors import Conflict
from profiles.models import Profile, StoredFile
from segments import dependants, trash_kinds
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.tests.conftest import V1, fresh, stored

pytestmark = pytest.mark.django_db(transaction=True)

MakeSource = Callable[..., SourceVideo]
MakeSegment = Callable[..., Segment]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[UUID]]:
    """What a user of segments is told, by occasion."""
    heard: dict[str, list[UUID]] = {"changed": [], "purged": []}
    user = dependants.SegmentUser(
        "test",
        find=lambda profile, ids, limit: [],
        changed=lambda profile, ids: heard["changed"].extend(ids),
        purged=lambda profile, ids: heard["purged"].extend(ids),
    )
    monkeypatch.setitem(dependants._users, "test", user)
    return heard


def test_a_source_goes_with_its_segments_and_comes_back_with_all(
    owner: Person, make_source: MakeSource, make_segment: MakeSegment, told: dict[str, list[UUID]]
) -> None:
    source = make_source()
    kept, gone = make_segment(source, keywords=["sea"]), make_segment(source)
    assert owner.client.delete(f"{V1}/segments/{gone.pk}/").status_code == 204
    assert owner.client.delete(f"{V1}/source-videos/{source.pk}/").status_code == 204
    for path in (f"source-videos/{source.pk}/", f"segments/{kept.pk}/", f"source-videos/{source.pk}/segments/"):
        assert owner.client.get(f"{V1}/{path}").status_code == 404
    assert owner.client.get(f"{V1}/segments/").json()["results"] == []
    assert kept.pk in told["changed"]
    assert owner.client.delete(f"{V1}/source-videos/{source.pk}/").status_code == 404
    with scope.activate(owner.profile.pk):
        trash.restore(profile=owner.profile, kind_name="source_video", row_id=source.pk)
    shown = owner.client.get(f"{V1}/segments/").json()["results"]
    assert [(row["id"], row["keywords"]) for row in shown] == [(str(kept.pk), ["sea"])]
    assert owner.client.get(f"{V1}/source-videos/{source.pk}/stream/").status_code == 200


def test_a_segment_cannot_come_back_without_its_source(
    in_scope: Profile, make_source: MakeSource, make_segment: MakeSegment
) -> None:
    source = make_source()
    before, along = make_segment(source), make_segment(source)
    trash.throw_away(before)
    trash.throw_away(source)
    for segment, code in ((before, "source_in_trash"), (along, "not_on_its_own")):
        with pytest.raises(Conflict) as caught:
            trash.restore(profile=in_scope, kind_name="segment", row_id=segment.pk)
        assert caught.value.code == code
        assert fresh(segment).trashed_at is not None
    trash.restore(profile=in_scope, kind_name="source_video", row_id=source.pk)
    assert (fresh(before).trashed_at is None, fresh(along).trashed_at is None) == (False, True)
    trash.restore(profile=in_scope, kind_name="segment", row_id=before.pk)
    assert fresh(before).trashed_at is None


def test_purging_takes_rows_and_files(
    in_scope: Profile,
    make_source: MakeSource,
    make_segment: MakeSegment,
    told: dict[str, list[UUID]],
    tmp_path: Path,
    stored_objects: Callable[[], set[str]],
) -> None:
    source, other = make_source(), make_source()
    segment = make_segment(source, keywords=["sea"])
    Segment.objects.filter(pk=segment.pk).update(extracted=stored(in_scope, tmp_path), extracted_revision=1)
    make_segment(other)
    trash.throw_away(source)
    trash.purge(profile=in_scope, kind_name="source_video", row_id=source.pk)
    assert list(SourceVideo.objects.values_list("pk", flat=True)) == [other.pk]
    assert Segment.objects.count() == 1
    assert SegmentLabel.objects.count() == 0
    assert told["purged"] == [segment.pk]
    assert StoredFile.objects.count() == len(stored_objects()) == 3


def test_who_still_needs_a_segment_can_keep_it(
    in_scope: Profile,
    make_segment: MakeSegment,
    monkeypatch: pytest.MonkeyPatch,
    stored_objects: Callable[[], set[str]],
) -> None:
    def refuse(profile: Profile, ids: Any) -> None:
        raise Conflict("A project still shows it.", code="in_use")

    user = dependants.SegmentUser("test", find=lambda *_: [], purged=refuse)
    monkeypatch.setitem(dependants._users, "test", user)
    segment = make_segment()
    objects = stored_objects()
    trash.throw_away(segment.source)
    with pytest.raises(Conflict):
        trash.purge(profile=in_scope, kind_name="source_video", row_id=segment.source_id)
    assert (Segment.objects.count(), stored_objects()) == (1, objects)


def test_emptying_takes_what_is_old_and_nothing_else(
    in_scope: Profile,
    make_source: MakeSource,
    make_segment: MakeSegment,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    old, recent, stuck, alive = (make_source(name=name) for name in ("old", "recent", "stuck", "alive"))
    segment = make_segment(old)
    for source in (old, recent, stuck):
        trash.throw_away(source)
    long_ago = timezone.now() - timedelta(days=settings.TRASH_DAYS, seconds=1)
    SourceVideo.objects.filter(pk__in=[old.pk, stuck.pk]).update(trashed_at=long_ago)
    Segment.objects.filter(pk=segment.pk).update(trashed_at=long_ago)
    real = dependants.tell_purged

    def refuse_one(profile: Profile, ids: Any) -> None:
        if segment.pk not in ids:
            raise ProtectedError("kept", set())
        real(profile, ids)

    monkeypatch.setattr(trash_kinds, "tell_purged", refuse_one)
    assert trash.empty_old() == 1
    left = SourceVideo.objects.order_by("name").values_list("name", flat=True)
    assert list(left) == ["alive", "recent", "stuck"]
    assert not Segment.objects.exists()
    assert alive.trashed_at is None


def test_a_segment_marked_in_the_last_moment_goes_along_or_is_refused(owner: Person, make_source: MakeSource) -> None:
    source = make_source()
    owner.client.delete(f"{V1}/source-videos/{source.pk}/")
    answer = owner.client.post(
        f"{V1}/source-videos/{source.pk}/segments/", {"start_time": 1, "end_time": 2}, format="json"
    )
    assert answer.status_code == 404


def test_another_brand_reaches_nothing(owner: Person, stranger: Person, make_source: MakeSource) -> None:
    source = make_source()
    with scope.activate(owner.profile.pk):
        trash.throw_away(source)
    with scope.activate(stranger.profile.pk):
        for deed in (trash.restore, trash.purge):
            for row_id in (source.pk, uuid4()):
                with pytest.raises(Exception, match="Not found"):
                    deed(profile=stranger.profile, kind_name="source_video", row_id=row_id)
    assert fresh(source).trashed_at is not None

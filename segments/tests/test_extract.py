from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Person
from jobs.models import Job, Status
from profiles import scope
from segments import cutting, tasks
from segments.models import Segment, SourceVideo
from segments.tests.conftest import V1, content_of, fresh, latest_job, run_job, upload
from segments.tests.footage import read_numbers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def marked(owner: Person, clip: Path) -> Segment:
    """Frames 10 to 29 of a real clip."""
    source_id = upload(owner, clip).json()["id"]
    run_job(latest_job(owner.profile, "ingest"))
    body = {"start_time": 0.4, "end_time": 1.2}
    shown = owner.client.post(f"{V1}/source-videos/{source_id}/segments/", body, format="json").json()
    with scope.activate(owner.profile.pk):
        return Segment.objects.get(pk=shown["id"])


def extract(owner: Person, segment: Segment, **options: Any) -> Any:
    return owner.client.post(f"{V1}/segments/{segment.pk}/extract/", **options)


def test_the_file_has_exactly_the_frames(owner: Person, marked: Segment, tmp_path: Path) -> None:
    url = f"{V1}/segments/{marked.pk}/"
    missing = owner.client.get(f"{url}stream/")
    assert (missing.status_code, missing.json()["error"]["code"]) == (409, "not_extracted")
    answer = extract(owner, marked)
    assert (answer.status_code, answer.json()["kind"], answer.json()["status"]) == (202, "extract", "queued")
    assert answer.json()["subject"] == str(marked.pk)
    job = latest_job(owner.profile, "extract")
    done = run_job(job)
    assert (done.status, done.error) == (Status.SUCCEEDED, None)
    assert done.result == {"segment_id": str(marked.pk), "revision": 1}
    shown = owner.client.get(url).json()
    assert shown["is_extracted"] is True
    content = content_of(owner.client.get(shown["links"]["stream"]))
    file = tmp_path / "got.mp4"
    file.write_bytes(content)
    assert read_numbers(file) == list(range(10, 30))
    from_job = owner.client.get(f"{V1}/jobs/{job.pk}/download/")
    assert content_of(from_job) == content


def test_the_same_borders_are_cut_once(owner: Person, marked: Segment, stored_objects: Callable[[], set[str]]) -> None:
    waiting = [extract(owner, marked).json()["id"] for _ in range(2)]
    run_job(latest_job(owner.profile, "extract"))
    objects = stored_objects()
    again = extract(owner, marked)
    assert (again.status_code, again.json()["status"]) == (202, "succeeded")
    assert {*waiting, again.json()["id"]} == {waiting[0]}
    assert stored_objects() == objects
    with scope.activate(owner.profile.pk):
        assert Job.objects.filter(kind="extract").count() == 1


def test_other_borders_are_another_file(owner: Person, marked: Segment, stored_objects: Callable[[], set[str]]) -> None:
    first = extract(owner, marked).json()["id"]
    run_job(latest_job(owner.profile, "extract"))
    before = stored_objects()
    owner.client.patch(f"{V1}/segments/{marked.pk}/", {"end_time": 1.0}, format="json")
    assert len(stored_objects()) == len(before) - 1
    assert owner.client.get(f"{V1}/segments/{marked.pk}/stream/").status_code == 409
    second = extract(owner, marked).json()
    assert (second["status"], second["id"] != first) == ("queued", True)
    run_job(latest_job(owner.profile, "extract"))
    assert len(stored_objects()) == len(before)


def test_a_waiting_job_for_old_borders_gives_way(owner: Person, marked: Segment) -> None:
    old = extract(owner, marked).json()["id"]
    owner.client.patch(f"{V1}/segments/{marked.pk}/", {"end_time": 1.0}, format="json")
    new = extract(owner, marked).json()["id"]
    assert new != old
    assert owner.client.get(f"{V1}/jobs/{old}/").json()["status"] == "cancelled"


def test_borders_moved_while_it_is_cut(
    owner: Person, marked: Segment, monkeypatch: pytest.MonkeyPatch, stored_objects: Callable[[], set[str]]
) -> None:
    before = stored_objects()
    extract(owner, marked)
    real = cutting.cut

    def move_then_cut(*args: Any, **kwargs: Any) -> Any:
        owner.client.patch(f"{V1}/segments/{marked.pk}/", {"end_time": 1.0}, format="json")
        return real(*args, **kwargs)

    monkeypatch.setattr(tasks, "cut", move_then_cut)
    done = run_job(latest_job(owner.profile, "extract"))
    assert done.status == Status.FAILED
    assert done.error is not None
    assert done.error["code"] == "segment_changed"
    assert stored_objects() == before
    assert fresh(marked).extracted_id is None


def test_a_segment_deleted_while_it_is_cut(
    owner: Person, marked: Segment, monkeypatch: pytest.MonkeyPatch, stored_objects: Callable[[], set[str]]
) -> None:
    before = stored_objects()
    extract(owner, marked)
    real = cutting.cut

    def delete_then_cut(*args: Any, **kwargs: Any) -> Any:
        assert owner.client.delete(f"{V1}/segments/{marked.pk}/").status_code == 204
        return real(*args, **kwargs)

    monkeypatch.setattr(tasks, "cut", delete_then_cut)
    assert run_job(latest_job(owner.profile, "extract")).status == Status.CANCELLED
    assert stored_objects() == before


def test_one_key_is_one_request(owner: Person, marked: Segment) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (extract(owner, marked, headers=headers).json()["id"] for _ in range(2))
    assert first == second
    other = owner.client.post(f"{V1}/source-videos/{marked.source_id}/retry/", headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_message_that_comes_twice_does_nothing(owner: Person, marked: Segment) -> None:
    extract(owner, marked)
    job = latest_job(owner.profile, "extract")
    assert run_job(job).attempt == run_job(job).attempt == 1


def test_the_download_has_a_clean_name(owner: Person, marked: Segment) -> None:
    extract(owner, marked)
    run_job(latest_job(owner.profile, "extract"))
    with scope.activate(owner.profile.pk):  # over HTTP such a name is refused
        SourceVideo.objects.filter(pk=marked.source_id).update(name='../"a"/é \u202e<b>')
    link = owner.client.get(f"{V1}/segments/{marked.pk}/").json()["links"]["download"]
    owner.client.credentials()
    answer = owner.client.get(link)
    answer.close()
    assert answer.status_code == 200
    disposition = answer["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert disposition.endswith(".mp4")
    assert not set("/\\<>\u202e\n") & set(disposition)

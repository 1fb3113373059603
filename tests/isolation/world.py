"""The owner's brand with one row of everything, and the people who must not get at it."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone

from conftest import Person, make_person, person_of
from editai.clips.models import Clip, ExportPreset
from editai.notify.events import DISK_LOW
from editai.notify.models import NotifyTarget
from editai.notify.services import notify
from editai.projects.models import Project, ProjectSegment
from jobs.models import Job
from profiles import credentials, files, scope, services, trash
from profiles.credentials import CredentialKind
from profiles.models import ApiToken, Invitation, Membership, Profile, Role, StoredFile, User
from segments.media_info import FrameIndex, MediaInfo, VideoStream
from segments.models import Segment, SegmentLabel, SourceVideo
from tests.isolation.checker import World
from tests.isolation.costs_rows import costs_rows
from tests.isolation.publishing_rows import outbox_of, publishing_rows
from tests.isolation.review_rows import review_rows

ERROR = {"code": "x", "message": "x", "retryable": True, "next_step": ""}
CREDENTIAL_KIND = CredentialKind("isolation", "Isolation probe")


def build(tmp_path: Path) -> World:
    owner, stranger = make_person("olga"), make_person("stan")
    viewer = _joined("vera", owner.profile, Role.VIEWER)
    removed = _joined("remo", owner.profile, Role.EDITOR)
    services.member_remove(
        profile=owner.profile, membership=Membership.objects.get(user=removed.user, profile=owner.profile)
    )
    with scope.activate(owner.profile.pk):
        ids = {**_people_rows(owner, viewer), **_tenant_rows(owner.profile, tmp_path)}
        reviewed = review_rows(owner.profile, owner.user, stored_file(owner.profile, tmp_path))
        ids.update({name: row.pk for name, row in reviewed.items()})
        ids.update(publishing_rows(owner.profile, stored_file(owner.profile, tmp_path)))
    for person in (stranger, viewer, removed):  # they look at their own channels, too
        with scope.activate(person.profile.pk):
            outbox_of(person.profile)
    return World(ids, owner, stranger, viewer, removed, Counter())


def _joined(name: str, profile: Profile, role: Role) -> Person:
    user = make_person(name).user
    Membership.objects.create(user=user, profile=profile, role=role)
    return person_of(User.objects.get(pk=user.pk))


def _people_rows(owner: Person, viewer: Person) -> dict[str, Any]:
    guest = make_person("gast").user
    membership = Membership.objects.create(user=guest, profile=owner.profile, role=Role.EDITOR)
    spare = services.profile_create(user=owner.user, name="Spare brand")
    Membership.objects.create(user=viewer.user, profile=spare, role=Role.VIEWER)
    token = ApiToken.objects.create(user=owner.user, name="other", token_hash="other", hint="eai_othr")
    invitation = Invitation.objects.create(
        profile=owner.profile,
        role=Role.VIEWER,
        token_hash="invitation",
        created_by=owner.user,
        expires_at=timezone.now() + timedelta(days=1),
    )
    return {
        "profile": owner.profile.pk,
        "spare_profile": spare.pk,
        "membership": membership.pk,
        "token": token.pk,
        "invitation": invitation.pk,
    }


def _tenant_rows(profile: Profile, tmp_path: Path) -> dict[str, Any]:
    credentials.register_kind(CREDENTIAL_KIND)
    credentials.credential_set(profile=profile, kind=CREDENTIAL_KIND, secret="sk-isolation-0001")
    video = stored_file(profile, tmp_path)
    source = make_source(profile, video, name="Footage")
    segment = make_segment(source, extracted=stored_file(profile, tmp_path), extracted_revision=1)
    SegmentLabel.objects.create(
        profile=profile, segment=segment, kind="keyword", text="hello", folded="hello", position=0
    )
    project = Project.objects.create(profile=profile, name="Project")
    entry = ProjectSegment.objects.create(profile=profile, project=project, segment=segment, position=0)
    trashed = Project.objects.create(profile=profile, name="Old")
    trash.throw_away(trashed)
    clip = Clip.objects.create(
        profile=profile,
        project=project,
        name="Clip",
        state=Clip.State.READY,
        preset=ExportPreset.objects.order_by("position")[0],
        file=stored_file(profile, tmp_path),
        poster=stored_file(profile, tmp_path, ".jpg"),
        cover=stored_file(profile, tmp_path, ".jpg"),
        cover_source=Clip.CoverSource.IMAGE,
        recipe_hash="made",
        rendered_hash="made",
    )
    rows = {
        "file": video,
        "source": source,
        "failed_source": _failed_source(profile, tmp_path),
        "segment": segment,
        "project": project,
        "entry": entry,
        "trashed_project": trashed,
        "clip": clip,
        "notify_target": _told(profile),
        **costs_rows(profile),
        **_jobs(profile, tmp_path),
    }
    return {"kind": CREDENTIAL_KIND.name, "trash_kind": "project", **{name: row.pk for name, row in rows.items()}}


def _told(profile: Profile) -> NotifyTarget:
    """A webhook that nothing listens at, and one message for it."""
    target = NotifyTarget.objects.create(
        profile=profile,
        kind="webhook",
        address="http://127.0.0.1:9/hook",
        ciphertext=credentials.encrypt("isolation"),
    )
    notify(profile=profile, event=DISK_LOW.name, once_key="isolation", title="Told", text="Told")
    return target


def make_source(profile: Profile, original: StoredFile, **fields: Any) -> SourceVideo:
    """A source of one second at 30 frames a second, probed; every derivative is the same file."""
    frames = FrameIndex(np.arange(30, dtype=np.int64), np.arange(30) % 15 == 0, Fraction(1, 30), zero_pts=0, end_pts=30)
    info = MediaInfo("mov", 1.0, original.size, _PICTURE, None, frames)
    values: dict[str, Any] = {
        "state": SourceVideo.State.READY,
        "size": original.size,
        "sha256": original.sha256,
        "duration_seconds": info.duration_seconds,
        "width": 320,
        "height": 240,
        "frame_rate": 30.0,
        "has_audio": False,
        "media": info.as_dict(),
        "frame_index": frames.to_bytes(),
        **dict.fromkeys(("original", "poster", "filmstrip", "waveform", "proxy"), original),
        **fields,
    }
    return SourceVideo.objects.create(profile=profile, **values)


_PICTURE = VideoStream(
    index=0,
    codec="h264",
    profile="High",
    pix_fmt="yuv420p",
    width=320,
    height=240,
    sar=Fraction(1),
    rotation=0,
    display_width=320,
    display_height=240,
    avg_frame_rate=Fraction(30),
    is_vfr=False,
    time_base=Fraction(1, 30),
    start_pts=0,
    bit_rate=100_000,
)


def make_segment(source: SourceVideo, **fields: Any) -> Segment:
    """Its frames 3 to 18."""
    return Segment.objects.create(
        profile=source.profile,
        source=source,
        first_frame=3,
        end_frame=18,
        start_pts=3,
        end_pts=18,
        start_time=0.1,
        end_time=0.6,
        duration=0.5,
        **fields,
    )


def _failed_source(profile: Profile, tmp_path: Path) -> SourceVideo:
    file = stored_file(profile, tmp_path)
    source = SourceVideo.objects.create(
        profile=profile, name="Broken", size=file.size, sha256=file.sha256, original=file, state="processing"
    )
    Job.objects.create(
        profile=profile,
        kind="ingest",
        queue="media",
        priority=10,
        max_attempts=3,
        subject=source.pk,
        status="failed",
        finished_at=timezone.now(),
        error=ERROR,
    )
    return source


def _jobs(profile: Profile, tmp_path: Path) -> dict[str, Job]:
    now = timezone.now()
    common = {"profile": profile, "kind": "extract", "queue": "media", "priority": 20, "max_attempts": 3}
    return {
        "queued_job": Job.objects.create(**common),
        "done_job": Job.objects.create(
            **common, status="succeeded", finished_at=now, output=stored_file(profile, tmp_path)
        ),
        "failed_job": Job.objects.create(**common, status="failed", finished_at=now, error=ERROR),
    }


def stored_file(profile: Profile, tmp_path: Path, suffix: str = ".mp4") -> Any:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(b"0123456789" * 100)
    return files.store(profile=profile, path=path, area="test", suffix=suffix)

"""Rows to play with: sources with true frame times and no file behind them, segments, projects."""

import hashlib
from fractions import Fraction
from typing import Any
from uuid import uuid4

import numpy as np

from editai.projects.models import Project, ProjectSegment
from profiles.models import Profile, StoredFile
from segments.media_info import AudioStream, FrameIndex, MediaInfo, VideoStream
from segments.models import Segment, SourceVideo

FPS = 30
TICKS = 512  # of one frame, in a time base of 1/15360


def media(seconds: float = 10, fps: int = FPS) -> MediaInfo:
    """What a probe would find in a plain 640 x 360 video with sound."""
    count = round(seconds * fps)
    base = Fraction(1, fps * TICKS)
    frames = FrameIndex(
        pts=np.arange(count, dtype=np.int64) * TICKS,
        keyframes=np.arange(count) % fps == 0,
        time_base=base,
        zero_pts=0,
        end_pts=count * TICKS,
    )
    video = VideoStream(
        index=0,
        codec="h264",
        profile="High",
        pix_fmt="yuv420p",
        width=640,
        height=360,
        sar=Fraction(1),
        rotation=0,
        display_width=640,
        display_height=360,
        avg_frame_rate=Fraction(fps),
        is_vfr=False,
        time_base=base,
        start_pts=0,
        bit_rate=1_000_000,
    )
    return MediaInfo("mov", seconds, 1000, video, AudioStream(1, "aac", 48_000, 2, "stereo"), frames)


def make_source(profile: Profile, name: str = "Beach", seconds: float = 10, **values: Any) -> SourceVideo:
    info = media(seconds)
    key = f"profiles/{profile.pk}/test/{uuid4()}"
    proxy = StoredFile.objects.create(profile=profile, key=key, content_type="video/mp4", state="stored")
    row: SourceVideo = SourceVideo.objects.create(
        **{
            "profile": profile,
            "name": name,
            "state": SourceVideo.State.READY,
            "size": info.size,
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "duration_seconds": seconds,
            "has_audio": True,
            "media": info.as_dict(),
            "frame_index": info.frames.to_bytes(),
            "proxy": proxy,
            **values,
        }
    )
    return row


def make_segment(source: SourceVideo, start: float = 0, end: float = 2) -> Segment:
    first, beyond = source.frames.span(start, end)
    times = source.frames.time(first), source.frames.time(beyond)
    row: Segment = Segment.objects.create(
        profile_id=source.profile_id,
        source=source,
        first_frame=first,
        end_frame=beyond,
        start_pts=source.frames.tick(first),
        end_pts=source.frames.tick(beyond),
        start_time=times[0],
        end_time=times[1],
        duration=times[1] - times[0],
    )
    return row


def make_project(profile: Profile, *segments: Segment, name: str = "Summer", **values: Any) -> Project:
    project: Project = Project.objects.create(profile=profile, name=name, **values)
    for position, segment in enumerate(segments):
        ProjectSegment.objects.create(profile=profile, project=project, segment=segment, position=position)
    return project

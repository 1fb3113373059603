"""`manage.py demo [VIDEO]`: the whole main job against the running server, over HTTP, as a script of a user would."""

import logging
import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from editai.clips.render.loudness import measure
from editai.clips.render.runner import Meter
from editai.demo.checks import faults_of, loudness_of
from editai.demo.client import Client, Json, client_for, sign_in
from editai.demo.footage import OWN_SECONDS, make_footage, spans
from jobs import ffmpeg
from profiles.api.media import download_name
from segments.probe import MediaError, probe

PATIENCE = 2 * 3600  # seconds, for ingest and for rendering
LOOK_EVERY = 0.3  # seconds


class Command(BaseCommand):
    help = "Drives the whole main job on VIDEO, or on footage that it makes itself, against the running server."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("video", nargs="?", type=Path, help="a video file; without one, footage is made")
        parser.add_argument("--url", default="", help="where EditAI runs; else the address in the settings")
        parser.add_argument("--token", default="", help="an API token; else the one of the first login")
        parser.add_argument("--quality", default="standard", choices=["draft", "standard", "best"])

    def handle(self, *, video: Path | None, url: str, token: str, quality: str, **_: Any) -> None:
        self._began = self._last = time.monotonic()
        logging.getLogger("jobs.ffmpeg").setLevel(logging.WARNING)  # the measurements that it prints are said below
        if video is not None and not video.is_file():
            raise CommandError(f"There is no file {video}.")
        client = client_for(url)
        sign_in(client, token)
        with tempfile.TemporaryDirectory(prefix="editai-demo-") as folder:
            footage = video or self._make_footage(Path(folder) / "demo footage.mp4")
            source = self._ingest(client, footage)
        segments = self._mark(client, source)
        project = self._arrange(client, source, segments)
        clip = self._generate(client, project, quality)
        path = self._fetch(client, clip)
        self._check(path, sum(row["duration"] for row in segments), quality)
        self._say(f"Done: {path}")
        started = os.environ.get("EDITAI_STARTED_AT", "")
        if started:
            self.stdout.write(f"From the command to the clip: {time.time() - float(started):.1f} s")
        self._publish(client, clip)

    # --- steps ----------------------------------------------------------------------------------------------
    def _make_footage(self, path: Path) -> Path:
        make_footage(path)
        self._say(f"Made {OWN_SECONDS} s of footage: moving pictures and tones, 1280x720, 30 frames a second")
        return path

    def _ingest(self, client: Client, footage: Path) -> Json:
        source = client.upload("source-videos/", footage, {"name": footage.stem[:200] or "Demo"})
        self._say(f"Uploaded {footage.name}, {footage.stat().st_size / 1e6:.1f} MB: source {source['id']}")
        source = self._wait(
            lambda: client.get(f"source-videos/{source['id']}/"),
            lambda row: row["state"] in {"ready", "failed"},
            lambda row: row["ingest"] or {},
        )
        if source["state"] != "ready":
            raise CommandError(f"The video could not be prepared: {_cause(source['error'])}")
        sound = "with sound" if source["has_audio"] else "without sound"
        size = f"{source['width']}x{source['height']}"
        self._say(f"Prepared: {source['duration_seconds']:.2f} s, {size}, {source['frame_rate']:.2f} frames/s, {sound}")
        return source

    def _mark(self, client: Client, source: Json) -> list[Json]:
        rows = [
            client.post(
                f"source-videos/{source['id']}/segments/",
                {"start_time": start, "end_time": end, "keywords": ["demo"], "notes": f"Part {number}"},
            )
            for number, (start, end) in enumerate(spans(source["duration_seconds"]), start=1)
        ]
        shown = ", ".join(f"{row['start_time']:.2f}-{row['end_time']:.2f} s" for row in rows)
        self._say(f"Marked {len(rows)} segment{'s' if len(rows) > 1 else ''}: {shown}")
        return rows

    def _arrange(self, client: Client, source: Json, segments: list[Json]) -> Json:
        project = client.post("projects/", {"name": f"Demo: {source['name']}"[:200]})
        order = [row["id"] for row in segments]
        lineup = client.put(f"projects/{project['id']}/segments/", {"segment_ids": order})
        if lineup["segment_ids"] != order:
            raise CommandError("The project has not kept the order of its segments.")
        self._say(f"Made the project: {len(order)} in order, {lineup['total_duration']:.2f} s")
        return project

    def _generate(self, client: Client, project: Json, quality: str) -> Json:
        job = client.post(f"projects/{project['id']}/generate/", {"preset": "tiktok", "quality": quality})
        job = self._wait(
            lambda: client.get(f"jobs/{job['id']}/"),
            lambda row: row["status"] not in {"queued", "running"},
            lambda row: row,
        )
        if job["status"] != "succeeded":
            raise CommandError(f"The clip was not rendered ({job['status']}): {_cause(job['error'])}")
        clip = client.get(f"clips/{job['result']['clips'][0]['id']}/")
        self._say(f"Rendered the clip {clip['name']!r}: {clip['size'] / 1e6:.1f} MB")
        return clip

    def _fetch(self, client: Client, clip: Json) -> Path:
        folder = Path(settings.DATA_DIR) / "demo"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{clip['id']}.mp4"
        size = client.download(f"clips/{clip['id']}/stream/", path)
        if size != clip["size"]:
            raise CommandError(f"The download has {size} bytes instead of {clip['size']}.")
        self._say(f"Downloaded it to {path}")
        return path

    def _check(self, path: Path, seconds: float, quality: str) -> None:
        """Looks at the file as somebody would who did not make it."""
        try:
            info = probe(path)
            found = measure([path], Meter(ffmpeg.run), seconds=info.duration_seconds)
        except (MediaError, ffmpeg.FfmpegError) as error:
            raise CommandError(f"The clip cannot be read: {error.message}") from error
        faults = faults_of(info, found, seconds, (540, 960) if quality == "draft" else (1080, 1920))
        video, audio = info.video, info.audio
        self.stdout.write(f"    picture   {video.display_width}x{video.display_height} {video.codec} {video.pix_fmt}")
        self.stdout.write(f"    sound     {f'{audio.codec} {audio.sample_rate} Hz' if audio else 'none'}")
        difference = (len(info.frames) / float(video.avg_frame_rate) - seconds) * 1000
        self.stdout.write(
            f"    duration  {len(info.frames) / float(video.avg_frame_rate):.3f} s, "
            f"the segments come to {seconds:.3f} s ({difference:+.0f} ms)"
        )
        self.stdout.write(f"    loudness  {loudness_of(found)}")
        if faults:
            raise CommandError(f"The clip is not what it should be: {'; '.join(faults)}.")

    def _publish(self, client: Client, clip: Json) -> None:
        """To the local outbox: what a brand does that has no Postiz. With one, nothing is posted for show."""
        channels = client.get("publishing/integrations/")["results"]
        channel = next((row for row in channels if row["is_outbox"]), None)
        if channel is None:
            self._say("This brand publishes to real channels: the demo posts nothing there")
            return
        caption = f"{clip['name']}: made by the demo of EditAI"
        body = {"clip_id": clip["id"], "integration_ids": [channel["id"]], "caption": caption}
        asked = client.post("publishing/publish/", body)["publications"][0]
        row = self._wait(
            lambda: client.get(f"publishing/publications/{asked['id']}/"),
            lambda row: row["status"] not in {"scheduled", "uploading", "submitting", "submitted"},
            lambda row: {"step": row["status_label"]},
        )
        if row["status"] != "published":
            raise CommandError(f"The clip was not published ({row['status_label'].lower()}): {_cause(row['error'])}")
        items = client.get("publishing/outbox/")["results"]
        item = next((one for one in items if one["publication"] == row["id"]), None)
        if item is None or item["size"] != clip["size"] or item["caption"] != caption:
            raise CommandError("The outbox does not hold what was published.")
        self._say(f"Published. {item['label']}")
        self.stdout.write(
            f"    In the local outbox: {download_name(clip['name'], '.mp4')}, {item['size'] / 1e6:.1f} MB"
        )
        self.stdout.write(f"    caption   {item['caption']}")

    # --- telling --------------------------------------------------------------------------------------------
    def _say(self, text: str) -> None:
        now = time.monotonic()
        self._clear()
        self.stdout.write(f"[{now - self._began:6.1f} s, {now - self._last:5.1f} s] {text}")
        self.stdout.flush()
        self._last = now

    def _wait(self, look: Callable[[], Json], is_done: Callable[[Json], bool], job: Callable[[Json], Json]) -> Json:
        """Asks again and again, with a line that shows how far it is."""
        until = time.monotonic() + PATIENCE
        while not is_done(row := look()):
            if time.monotonic() > until:
                raise CommandError(f"Nothing has come of it after {PATIENCE // 60} minutes. Are workers running?")
            at = job(row)
            self._line(f"    {at.get('progress', 0):3d} %  {at.get('step', '')}")
            time.sleep(LOOK_EVERY)
        return row

    def _line(self, text: str) -> None:
        if sys.stdout.isatty():
            self.stdout.write(f"\r\x1b[K{text[:100]}", ending="")
            self.stdout.flush()

    def _clear(self) -> None:
        self._line("")


def _cause(error: Json | None) -> str:
    return f"{error['message']} ({error['code']})" if error else "nobody knows why."

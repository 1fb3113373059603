"""`manage.py demo [VIDEO]`: the whole main job against the running server, over HTTP, as a script of a user would."""

import http.client
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from editai.clips.render.loudness import Loudness, measure
from editai.clips.render.runner import Meter
from jobs import ffmpeg
from profiles.first_login import FILE_NAME
from segments.media_info import MediaInfo
from segments.probe import MediaError, probe

API = "/api/v1/"
TIMEOUT = 60  # seconds, of one request
PATIENCE = 2 * 3600  # seconds, for ingest and for rendering
LOOK_EVERY = 0.3  # seconds
CHUNK = 256 * 1024
OWN_SECONDS = 12
WANTED_SEGMENTS = 3
LONGEST_SEGMENT = 4.0  # seconds
LOUDNESS, LOUDNESS_TOLERANCE, PEAK = -14.0, 1.0, -1.0

Json = dict[str, Any]


class ApiError(CommandError):
    """An answer from 400 on, or none."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Client:
    """EditAI's API for a script. Paths are relative to /api/v1/. Raises ApiError."""

    def __init__(self, url: str, *, host: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CommandError(f"{url!r} is no address like http://127.0.0.1:8000.")
        self._parts = parts
        self._headers = {"Accept": "application/json", **({"Host": host} if host else {})}

    def sign_in(self, token: str, profile_id: str = "") -> None:
        self._headers["Authorization"] = f"Bearer {token}"
        if profile_id:
            self._headers["X-Profile-Id"] = profile_id

    def sign_out(self) -> None:
        for name in ("Authorization", "X-Profile-Id"):
            self._headers.pop(name, None)

    def get(self, path: str) -> Json:
        return self._json("GET", path)

    def post(self, path: str, body: Json) -> Json:
        return self._json("POST", path, body)

    def put(self, path: str, body: Json) -> Json:
        return self._json("PUT", path, body)

    def upload(self, path: str, video: Path, fields: dict[str, str]) -> Json:
        """A multipart form with the file `video`, read while it is sent."""
        border = uuid4().hex
        head = "".join(
            f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        # the name is the server's to doubt; quotes and line breaks would end it early
        name = "".join("_" if letter in '"\\\r\n' else letter for letter in video.name)
        head += f'--{border}\r\nContent-Disposition: form-data; name="video"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        start, end = head.encode(), f"\r\n--{border}--\r\n".encode()
        length = len(start) + video.stat().st_size + len(end)
        headers = {"Content-Type": f"multipart/form-data; boundary={border}", "Content-Length": str(length)}
        with video.open("rb") as file, self._answer("POST", path, _in_order(start, file, end), headers) as answer:
            return _parsed(answer)

    def download(self, path: str, target: Path) -> int:
        """Writes the answer into `target`; returns its size in bytes."""
        with self._answer("GET", path, None, {"Accept": "*/*"}) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file, CHUNK)
            return file.tell()

    def _json(self, method: str, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        with self._answer(method, path, data, headers) as answer:
            return _parsed(answer)

    @contextmanager
    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT)
        try:
            connection.request(method, API + path, body, {**self._headers, **headers})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, f"{method} {path}: {_said(answer)}")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            where = f"{self._parts.scheme}://{self._parts.netloc}"
            raise ApiError(0, f"No proper answer from {where} ({error}). Is EditAI running there?") from error
        finally:
            connection.close()


def _in_order(start: bytes, file: BinaryIO, end: bytes) -> Iterator[bytes]:
    yield start
    while data := file.read(CHUNK):
        yield data
    yield end


def _parsed(answer: http.client.HTTPResponse) -> Json:
    parsed: Json = json.loads(answer.read() or b"{}")
    return parsed


def _said(answer: http.client.HTTPResponse) -> str:
    with suppress(ValueError, KeyError, TypeError):
        error = _parsed(answer)["error"]
        hints = [f"{name}: {hint}" for name, told in error.get("fields", {}).items() for hint in told]
        more = [hint for hint in hints if error["message"] not in hint]
        return " ".join([f"{answer.status} {error['code']}: {error['message']}", *more])
    return f"status {answer.status}"


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
        client = _client(url)
        _sign_in(client, token)
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
        self.stdout.write(f"    loudness  {_loudness(found)}")
        if faults:
            raise CommandError(f"The clip is not what it should be: {'; '.join(faults)}.")

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


def _client(url: str) -> Client:
    if url:
        return Client(url)
    # this very machine, whatever name the server has outside
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.BIND, settings.BIND)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return Client(f"http://{host}:{settings.PORT}", host=f"127.0.0.1:{settings.PORT}")


def _sign_in(client: Client, token: str) -> None:
    """With `token`, else as the first login's user: by their token, or by name and password when that was revoked."""
    if token:
        client.sign_in(token)
        client.get("auth/me/")
        return
    path = Path(settings.DATA_DIR) / FILE_NAME
    try:
        login = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"There is no readable {path}: give an API token with --token.") from error
    client.sign_in(login["token"], login.get("profile_id", ""))
    try:
        client.get("auth/me/")
    except ApiError as error:
        if error.status != 401:
            raise
        client.sign_out()
        answer = client.post("auth/token/", {"username": login["username"], "password": login["password"]})
        client.sign_in(answer["token"], login.get("profile_id", ""))


def _cause(error: Json | None) -> str:
    return f"{error['message']} ({error['code']})" if error else "nobody knows why."


def make_footage(path: Path, seconds: int = OWN_SECONDS) -> None:
    """Moving pictures and three tones that swell, one after the other."""
    picture = f"testsrc2=size=1280x720:rate=30:duration={seconds}"
    sound = f"aevalsrc='0.3*sin(2*PI*(220+110*floor(t/{seconds / 3}))*t)*(0.6+0.4*sin(2*PI*t))':s=48000:d={seconds}"
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-g", "60"]
    try:
        ffmpeg.run(
            ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *encode, "-c:a", "aac", ffmpeg.file_url(path)],
            limits=ffmpeg.Limits(wall_seconds=300),
        )
    except ffmpeg.FfmpegError as error:
        raise CommandError(f"The footage could not be made: {error.message}") from error


def spans(seconds: float) -> list[tuple[float, float]]:
    """Up to three parts of a video of this length, not overlapping; the whole of one that is very short."""
    count = min(WANTED_SEGMENTS, int(seconds / 0.5))
    if count < 1:
        return [(0.0, seconds)]
    room = seconds / count
    length = min(LONGEST_SEGMENT, room * 0.8)
    return [(n * room + (room - length) / 2, n * room + (room + length) / 2) for n in range(count)]


def faults_of(info: MediaInfo, found: Loudness, seconds: float, size: tuple[int, int]) -> list[str]:
    """What is wrong with a clip whose segments come to `seconds`."""
    video, audio = info.video, info.audio
    faults = []
    if (video.display_width, video.display_height, video.codec) != (*size, "h264"):
        faults.append(f"{video.display_width}x{video.display_height} {video.codec} instead of {size[0]}x{size[1]} h264")
    if audio is None or (audio.codec, audio.sample_rate) != ("aac", 48_000):
        faults.append("the sound is not AAC at 48 kHz")
    frame = 1 / float(video.avg_frame_rate)
    if abs(len(info.frames) * frame - seconds) > frame + 1e-6:
        faults.append("it is longer or shorter than its segments by more than a frame")
    if found.true_peak is not None and found.true_peak > PEAK:
        faults.append(f"its true peak is {found.true_peak} dBTP")
    return faults


def _loudness(found: Loudness) -> str:
    if found.lufs is None:
        return "silent"
    text = f"{found.lufs:.1f} LUFS, true peak {found.true_peak} dBTP"
    if abs(found.lufs - LOUDNESS) > LOUDNESS_TOLERANCE:
        text += " (its peaks allow no more)"
    return text

"""Every hostile file through upload and ingest of a running installation: refused, failed with a code, or ready; no
other file read, nobody called, memory bounded."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from segments.tests import footage
from segments.tests.test_hostile_media import MAX_RSS, REFUSED, VICTIM, nobody_called, playlists
from tests import stack
from tests.flow import upload
from tests.stack import Api, Installation, Machine, wait_until

FIRST_BYTES = {"no_video_stream", "not_a_video"}  # said in the request already, before the probe could say more

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with stack.embedded(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(scope="module")
def api(installation: Installation) -> Api:
    return installation.person("olga")


class MemoryWatch:
    """The largest resident set of any sandboxed child of a machine, looked at all the time."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.peak, self._ended = machine, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            for process in (*self.machine.ffmpegs(), *self.machine.processes("probe_child")):
                try:
                    self.peak = max(self.peak, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def outcome(api: Api, path: Path) -> str:
    """What became of an upload: the code of the refusal or of the failed ingest, or `ready`."""
    with path.open("rb") as file:
        answer = api.session.post(f"{api.url}/api/v1/source-videos/", files={"video": file}, timeout=120)
    if answer.status_code != 201:
        assert answer.status_code in {400, 413}, answer.text
        return str(answer.json()["error"]["code"])

    def ended() -> Any:
        source = api.get(f"source-videos/{answer.json()['id']}/")
        return source if source["state"] in {"ready", "failed"} else None

    source = wait_until(ended, 180, f"the ingest of {path.name} to end")
    if source["state"] == "ready":
        return "ready"
    assert source["error"]["message"], source
    return str(source["error"]["code"])


def test_playlists_and_texts_are_refused_in_the_request(installation: Installation, api: Api, tmp_path: Path) -> None:
    footage.make_clip(tmp_path / VICTIM, 0.5, (64, 64), audio=False)
    seen: Counter[str] = Counter()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for name, content in playlists(tmp_path, server.getsockname()[1]).items():
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(content)
            seen[outcome(api, path)] += 1
        assert nobody_called(server)
    print(f"playlists and texts: {dict(seen)}; nobody was called")
    assert "ready" not in seen


def test_hostile_media_end_with_a_code_in_bounded_memory(installation: Installation, api: Api, tmp_path: Path) -> None:
    (machine,) = installation.machines
    with MemoryWatch(machine) as watch:
        for name, file, make, codes in REFUSED:
            folder = tmp_path / name
            folder.mkdir()
            found = outcome(api, make(folder / file))
            print(f"{name}: {found}")
            assert found in codes | FIRST_BYTES
    print(f"largest child: {watch.peak >> 20} MB")
    assert 0 < watch.peak < MAX_RSS
    wait_until(lambda: not machine.scratch(), 60, "scratch to be empty")


def test_afterwards_an_ordinary_upload_goes_through(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "ordinary.mp4"
    footage.make_clip(path, seconds=1, size=(320, 240), fps=30, audio=True)
    assert upload(api, path)["state"] == "ready"

"""A gigabyte in and ranges of it out, in flat memory of the web process."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from segments.tests import footage
from tests import stack
from tests.flow import wait_for_source
from tests.stack import Installation, Machine

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
GIGABYTE = 2**30
ALLOWED_GROWTH = 50 * 2**20


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with stack.embedded(tmp_path / "editai") as running:
        yield running


@pytest.fixture
def gigabyte(tmp_path: Path) -> Path:
    """A playable video of 1 GiB: two seconds, then a box that players skip."""
    path = tmp_path / "gigabyte.mp4"
    footage.make_clip(path, seconds=2, size=(320, 240), fps=30, audio=True)
    filler = GIGABYTE - path.stat().st_size
    with path.open("ab") as file:
        file.write(filler.to_bytes(4, "big") + b"free")
        block = os.urandom(2**20)
        left = filler - 8
        while left > 0:
            left -= file.write(block[:left])
    assert path.stat().st_size == GIGABYTE
    return path


def peak_memory(machine: Machine) -> int:
    """The largest resident set, in bytes, that any web process has ever had."""
    peaks = []
    for process in machine.processes("gunicorn"):
        status = Path(f"/proc/{process.pid}/status").read_text()
        peaks.append(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024)  # type: ignore[index]
    return max(peaks)


def multipart(path: Path, border: str) -> Iterator[bytes]:
    """The body of an upload, read from disk as it goes (requests would build all of it in memory)."""
    yield (
        f'--{border}\r\nContent-Disposition: form-data; name="name"\r\n\r\nGigabyte\r\n'
        f'--{border}\r\nContent-Disposition: form-data; name="video"; filename="gigabyte.mp4"\r\n'
        "Content-Type: video/mp4\r\n\r\n"
    ).encode()
    with path.open("rb") as file:
        while chunk := file.read(2**18):
            yield chunk
    yield f"\r\n--{border}--\r\n".encode()


class Body:
    """An iterable with a length, so that the request says Content-Length."""

    def __init__(self, path: Path, border: str) -> None:
        self.path, self.border = path, border
        self.length = sum(len(part) for part in multipart(Path(os.devnull), border)) + path.stat().st_size

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return multipart(self.path, self.border)


def test_a_gigabyte_in_and_out(installation: Installation, gigabyte: Path) -> None:
    (machine,) = installation.machines
    api = installation.person("olga")
    for _ in range(5):
        api.get("source-videos/")
    before = peak_memory(machine)
    headers = {"Content-Type": "multipart/form-data; boundary=border"}
    source = api.call("POST", "source-videos/", expect=201, data=Body(gigabyte, "border"), headers=headers)
    after_upload = peak_memory(machine)
    wait_for_source(api, source["id"], 300)
    address = f"{installation.url}/api/v1/source-videos/{source['id']}/stream/"

    def read(start: int) -> int:
        with requests.get(
            address,
            headers={**api.session.headers, "Range": f"bytes={start}-"},
            stream=True,
            timeout=300,
        ) as answer:
            assert answer.status_code == 206
            return sum(len(chunk) for chunk in answer.iter_content(2**20))

    starts = [0, GIGABYTE // 2, GIGABYTE - 1000]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(read, starts)) == [GIGABYTE - start for start in starts]
    after = peak_memory(machine)
    print(
        f"peak memory of the web process: {before >> 20} MB before, {after_upload >> 20} MB after 1 GiB in, "
        f"{after >> 20} MB after 1.5 GiB out by ranges"
    )
    assert after - before < ALLOWED_GROWTH

"""What a child of the sandbox may and may not do, asked of the child itself."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs import sandbox
from jobs.child import FfmpegError, Limits, Stopped, run_limited

SMALL = Limits(cpu_seconds=20, address_space=2**30, file_size=1000, wall_seconds=30, silence_seconds=30)
REPORT = """
import json, os, resource
limits = {name: resource.getrlimit(getattr(resource, name)) for name in
          ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE")}
mask = os.umask(0)
print(json.dumps({"limits": limits, "nice": os.nice(0), "umask": mask, "environment": dict(os.environ),
                  "session": os.getsid(0) == os.getpid(), "fds": os.listdir("/proc/self/fd"),
                  "status": open("/proc/self/status").read()}))
"""


def run_python(code: str, limits: Limits = SMALL, **options: object) -> bytes:
    """Run Python code in the sandbox; what it printed."""
    out = bytearray()
    command = [sys.executable, "-I", "-S", "-c", code]
    run_limited(command, limits=limits, on_stdout=out.extend, **options)  # type: ignore[arg-type]
    return bytes(out)


def processes_with(marker: str) -> list[int]:
    """Ids of living processes (no zombies) whose command line contains `marker`, ourselves left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended while we looked
    return found


def wait_until_gone(marker: str, seconds: float) -> list[int]:
    """The processes that are still there after at most `seconds`."""
    end = time.monotonic() + seconds
    while (left := processes_with(marker)) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def test_limits_are_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "4f1c")
    report = json.loads(run_python(REPORT))
    assert report["limits"] == {
        "RLIMIT_CPU": [20, 25],
        "RLIMIT_AS": [2**30, 2**30],
        "RLIMIT_FSIZE": [1000, 1000],
        "RLIMIT_CORE": [0, 0],
        "RLIMIT_NOFILE": [256, 256],
    }
    assert report["nice"] >= 10
    assert report["umask"] == 0o077
    assert report["session"]
    assert "CANARY" not in report["environment"]
    assert set(report["environment"]) <= {"LC_CTYPE"}  # Python sets that one for itself
    assert "NoNewPrivs:\t1" in report["status"]
    assert len(report["fds"]) <= 4  # 0, 1, 2 and the listing itself


def test_a_lower_limit_that_is_in_force_stays() -> None:
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); import sandbox;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50));"
        "sandbox.set_limit(resource.RLIMIT_NOFILE, 200, 200);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    folder = str(Path(sandbox.__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, check=True, timeout=20)
    assert done.stdout.strip() == b"50"


def test_without_its_parent_it_does_not_start() -> None:
    """The parent died between fork and prctl: nobody would ever kill this child."""
    command = [sys.executable, "-I", "-S", sandbox.__file__, "--parent", "1", "--cpu", "5"]
    command += ["--file-size", "0", "--open-files", "20", "--address-space", str(2**30)]
    done = subprocess.run([*command, "--", "/bin/echo", "alive"], capture_output=True, check=False, timeout=20)
    assert done.returncode == sandbox.EXIT_ORPHANED
    assert done.stdout == b""


@pytest.mark.parametrize("arguments", [[], ["--cpu"], ["--cpu", "1", "--"], ["--cpu", "x", "--", "/bin/true"]])
def test_bad_arguments_start_nothing(arguments: list[str]) -> None:
    command = [sys.executable, "-I", "-S", sandbox.__file__, *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    assert done.returncode == sandbox.EXIT_UNUSABLE


def test_a_missing_program_is_an_error() -> None:
    with pytest.raises(FfmpegError) as caught:
        run_limited(["/nonexistent/program"], limits=SMALL)
    assert caught.value.code == "ffmpeg_failed"
    assert "/nonexistent" not in caught.value.message


def test_memory_is_bounded() -> None:
    with pytest.raises(FfmpegError) as caught:
        run_python("b = bytearray(2 * 2**30)")
    assert caught.value.code == "too_large"


def test_cpu_is_bounded() -> None:
    with pytest.raises(FfmpegError) as caught:
        run_python("while True: pass", Limits(cpu_seconds=1, wall_seconds=30))
    assert caught.value.code == "timed_out"
    assert 0.5 < caught.value.usage.cpu_seconds < 4


def test_file_size_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError) as caught:
        run_python(f"f = open({str(tmp_path / 'x')!r}, 'wb'); f.write(bytes(5000)); f.close()")
    assert caught.value.code == "too_large"


def test_usage_is_measured() -> None:
    code = "x = bytearray(80 * 2**20)\nimport time\nend = time.time() + 0.7\nwhile time.time() < end: pass"
    usage = run_limited([sys.executable, "-I", "-S", "-c", code], limits=SMALL).usage
    assert 0.2 < usage.cpu_seconds < 3
    assert usage.wall_seconds >= 0.7
    assert usage.max_rss > 80 * 2**20


def test_grandchildren_die_with_the_group() -> None:
    marker = f"94{os.getpid()}.25"
    code = f"import subprocess; subprocess.Popen(['/bin/sleep', '{marker}']); print('started')"
    assert run_python(code).strip() == b"started"
    assert wait_until_gone(marker, 2) == []


def test_stop_and_no_zombies() -> None:
    before = time.monotonic()
    with pytest.raises(Stopped) as caught:
        run_limited(["/bin/sleep", "31"], limits=SMALL, should_stop=lambda: True)
    assert time.monotonic() - before < 1
    assert caught.value.usage.wall_seconds > 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no child of ours is left, dead or alive


def test_descriptors_are_given_back() -> None:
    run_python("print(1)")
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        run_python("print(1)")
    assert os.listdir("/proc/self/fd") == before


def test_it_works_from_a_thread() -> None:
    """ "Die with the parent" is bound to the starting thread: a run inside a short-lived thread must still end well."""
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(run_python("import time; time.sleep(0.5); print(7)")))
    thread.start()
    thread.join()
    assert got == [b"7\n"]

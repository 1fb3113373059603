"""What ./run does once its packages are installed: checks, prepares the database, and hands over to the supervisor."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
SUPERVISE = [sys.executable, "-m", "editai.supervisor", str(ROOT / "Procfile")]
NEEDED_BYTES = 256 * 2**20
HEALTH_SECONDS = 120


def port_number(text: str) -> int:
    """The value of EDITAI_PORT; exits with one line when it is none."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        sys.exit(f"EDITAI_PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def make_data_dir(folder: Path) -> None:
    """Makes the data folder (0700) where it is missing; exits with one line when that fails or it has no room."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        sys.exit(f"Can't make the data folder {folder}: {error.strerror}. EDITAI_DATA_DIR names another one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        sys.exit(f"The data folder {folder} is not writable for you. EDITAI_DATA_DIR names another one.")
    if free < NEEDED_BYTES:
        sys.exit(
            f"Not enough room in {folder}: {free // 2**20} MB free, {NEEDED_BYTES // 2**20} MB are needed to start."
        )


def lock_data_dir(folder: Path) -> int:
    """An open file that keeps a second EditAI off the folder for as long as this process or an heir of it lives."""
    descriptor = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        sys.exit(
            f"EditAI is running already on {folder} (process {who}): "
            "stop that one, or name another folder with EDITAI_DATA_DIR."
        )
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    os.set_inheritable(descriptor, True)
    return descriptor


def check_port(host: str, port: int) -> None:
    """Exits with one line when nothing can listen on `host`:`port`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError:
        sys.exit(f"You may not listen on port {port}: choose one above 1023 with EDITAI_PORT.")
    except socket.gaierror:
        sys.exit(f"EDITAI_BIND must be an address of this machine, not {host!r}.")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(f"Port {port} is in use already: choose another one, as in EDITAI_PORT={port % 65535 + 1} ./run")
        sys.exit(f"Can't listen on {host} (EDITAI_BIND), port {port} (EDITAI_PORT): {error.strerror}.")


def prepare() -> None:
    """The database, the first login and the static files; exits with one line when it can't be done."""
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import CommandError, call_command

    try:
        django.setup()
        call_command("prepare", stdout=sys.stderr)
    except (CommandError, ImproperlyConfigured) as error:
        sys.exit(f"EditAI can't start: {error}")


def hold_environment() -> None:
    """Keeps the installation from being replaced while this process or an heir of it runs."""
    descriptor = os.open(sys.prefix, os.O_RDONLY)
    with contextlib.suppress(BlockingIOError):  # it is being replaced this moment: that start will have to repeat it
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.set_inheritable(descriptor, True)


def manage(arguments: list[str]) -> None:
    from django.core.management import execute_from_command_line

    sys.argv = [str(ROOT / "manage.py"), *arguments]
    if arguments and arguments[0] not in {"help", "--help", "version", "--version", "prepare"}:
        prepare()
    execute_from_command_line(sys.argv)


def serve() -> NoReturn:
    os.chdir(ROOT)
    os.execv(SUPERVISE[0], SUPERVISE)


def demo(video: Path | None, host: str, port: int, log: Path, descriptors: tuple[int, ...]) -> int:
    """Serves, waits until it is well, drives the demo against it; gives the demo's exit status."""

    from editai.supervisor import die_with_parent

    def stop(*_: object) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    end_with_this = partial(die_with_parent, signal.SIGTERM, os.getpid())
    driver: subprocess.Popen[bytes] | None = None
    with log.open("wb") as output:
        server = subprocess.Popen(
            SUPERVISE,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C ends the demo first
            pass_fds=descriptors,
            preexec_fn=end_with_this,
        )
    try:
        wait_for_health(host, port, server, log)
        drive = [sys.executable, str(ROOT / "manage.py"), "demo", *([str(video)] if video else [])]
        driver = subprocess.Popen(drive, preexec_fn=end_with_this)
        status = driver.wait()
        if status != 0:
            print(f"What the server said meanwhile: {log}", file=sys.stderr)
        return status if status >= 0 else 1
    except KeyboardInterrupt:
        return 130
    finally:
        for process in (driver, server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()


def wait_for_health(host: str, port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Returns once the server reports that it is well; exits with one line when it ends or takes too long."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    request = urllib.request.Request(f"http://{name}:{port}/api/v1/health/", headers={"Host": f"127.0.0.1:{port}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never ask a proxy for this machine
    said = "no answer"
    deadline = time.monotonic() + HEALTH_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"The server ended at its start; what it said: {log}")
        try:
            with opener.open(request, timeout=5):
                return
        except urllib.error.HTTPError as error:
            with contextlib.suppress(ValueError):
                said = json.dumps(json.load(error))
        except OSError:
            pass  # not listening yet
        time.sleep(0.2)
    sys.exit(f"The server was not well after {HEALTH_SECONDS} s ({said}); what it said: {log}")


def main() -> int:
    os.environ.setdefault("EDITAI_STARTED_AT", str(time.time()))  # the demo tells the time from here
    command, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    port = port_number(os.environ.get("EDITAI_PORT", "").strip() or "8000")
    host = os.environ.get("EDITAI_BIND", "").strip() or "127.0.0.1"
    data = Path(os.environ.get("EDITAI_DATA_DIR", "").strip() or ROOT / "var").resolve()
    os.environ |= {
        "EDITAI_DATA_DIR": str(data),
        "EDITAI_PORT": str(port),
        "EDITAI_BIND": host,
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "editai.settings")
    sys.path[0] = str(ROOT)
    if command == "stub-postiz":
        from tests.stubs.postiz.__main__ import main as stub_postiz

        return stub_postiz(arguments)
    make_data_dir(data)
    if command == "manage":
        manage(arguments)
        return 0
    if len(arguments) > (command == "demo"):
        sys.exit(f"Too many arguments: {' '.join(arguments)}; see ./run --help.")
    video = Path(arguments[0]).resolve() if arguments else None
    if video is not None and not video.is_file():
        sys.exit(f"There is no file {video}.")
    os.umask(0o077)
    held = lock_data_dir(data)
    check_port(host, port)
    hold_environment()
    prepare()
    print(f"EditAI starts on http://{host}:{port}/ with its data in {data}; Ctrl-C stops it.", flush=True)
    if command == "demo":
        return demo(video, host, port, data / "demo.log", (held,))
    serve()


if __name__ == "__main__":
    sys.exit(main())

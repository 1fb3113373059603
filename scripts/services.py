"""PostgreSQL and Redis for tests: the installed binaries, free ports, a temporary folder, gone at the end."""

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypedDict

from editai.supervisor import die_with_parent

START_SECONDS = 60
# the fastest a throw-away database can be: it has nothing to lose in a power cut
POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "autovacuum_naptime": "60s",
    "jit": "off",
    "timezone": "UTC",
}


def postgres_program(name: str) -> str | None:
    """The newest installed `name` (initdb, postgres, …): Debian keeps the servers off the PATH."""
    found = sorted(
        glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.split("/")[4].split(".")[0])
    )
    return found[-1] if found else shutil.which(name)


# what ./test needs of the system: the Debian package and whether it is here
SYSTEM_PACKAGES: Mapping[str, Callable[[], bool]] = {
    "postgresql": lambda: postgres_program("initdb") is not None and postgres_program("postgres") is not None,
    "redis-server": lambda: shutil.which("redis-server") is not None,
}


def install_system_packages(names: list[str]) -> None:
    """Installs what is missing of `names` with apt when root; else exits with the line to type."""
    missing = [name for name in names if not SYSTEM_PACKAGES[name]()]
    if not missing:
        return
    line = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"The tests need {' and '.join(missing)}; type: sudo {line}")
    print(f"Installing {' and '.join(missing)} …", flush=True)
    # RUNLEVEL=1 keeps the packages from starting services of their own
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in ("apt-get update", line):
        done = subprocess.run(
            [*command.split(), "--quiet", "--quiet", "-o", "DPkg::Lock::Timeout=300"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n'{command}' failed (its words are above).")
    if still := [name for name in missing if not SYSTEM_PACKAGES[name]()]:
        sys.exit(f"apt installed {' and '.join(still)}, and yet the programs are not found.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Identity(TypedDict, total=False):
    """Whom a process runs as, in the words of `subprocess`; empty: as this one."""

    user: int
    group: int
    extra_groups: list[int]


def unprivileged() -> Identity:
    """Options for `subprocess` that make the process a user that PostgreSQL accepts: it refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    sys.exit("PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody'.")


def _until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{log.read_text(errors='replace')}\n{log.stem} did not start (its words are above).")
        time.sleep(0.05)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL of its own in `folder` (a short path: its socket is there); gives the DATABASE_URL."""
    who = unprivileged()
    home, password, port = folder / "pg", secrets.token_urlsafe(16), free_port()
    home.mkdir(mode=0o700)
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if who:
        for path in (home, secret):
            os.chown(path, who["user"], who["group"])
    made = subprocess.run(
        [
            *(postgres_program("initdb") or "initdb", "--pgdata", str(home / "data"), "--no-sync"),
            *("--username", "editai", "--pwfile", str(secret), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C"),
        ],
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **who,
    )
    if made.returncode != 0:
        sys.exit(f"{made.stdout}\ninitdb failed (its words are above).")
    settings = {**POSTGRES_SETTINGS, "port": str(port), "unix_socket_directories": str(home)}
    log = folder / "postgresql.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(postgres_program("postgres") or "postgres", "-D", str(home / "data")),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C ends the tests first
            preexec_fn=partial(die_with_parent, signal.SIGQUIT, os.getpid()),
            **who,
        )
    try:
        _until(lambda: b"ready to accept connections" in log.read_bytes(), process, log)
        yield f"postgres://editai:{password}@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing here is to be kept
        process.wait()


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis of its own in `folder`; gives the REDIS_URL."""
    home, password, port = folder / "redis", secrets.token_urlsafe(16), free_port()
    home.mkdir(mode=0o700)
    config = home / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ''\nappendonly no\ndir {home}\ndaemonize no\n"
    )
    log = folder / "redis.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["redis-server", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),
        )
    try:
        _until(lambda: b"eady to accept connections" in log.read_bytes(), process, log)
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the run: short enough for a socket's path, open to the database's user on the way through."""
    parent = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="editai-test-", dir="/tmp" if len(parent) > 40 else parent))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def services(folder: Path, given: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """`DATABASE_URL` and `REDIS_URL`: those of `given`, else of servers started here."""
    with contextlib.ExitStack() as stack:
        yield {
            "DATABASE_URL": given.get("DATABASE_URL") or stack.enter_context(postgres(folder)),
            "REDIS_URL": given.get("REDIS_URL") or stack.enter_context(redis(folder)),
        }

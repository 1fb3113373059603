"""What ./test does once its packages are installed: services, then every check, or pytest alone."""

import contextlib
import difflib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # run by its path, it would find only its neighbours

from editai.supervisor import die_with_parent  # noqa: E402
from scripts.services import install_system_packages, services, temporary_folder  # noqa: E402

PYTHON = sys.executable
SCHEMA = ROOT / "docs" / "openapi.yaml"
OWN_SWITCHES = re.compile(r"EDITAI_|AWS_|GEMINI_|ELEVENLABS_|DJANGO_|PYTEST_|DATABASE_URL$|REDIS_URL$")


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    broken: list[str] = field(default_factory=list)  # names of the steps that failed


class Checks:
    """The steps of one ./test, each with a heading, its time, and its output when it failed."""

    def __init__(self, folder: Path, urls: dict[str, str]) -> None:
        self.folder = folder
        self.tally = Tally()
        self._lock = threading.Lock()
        self._kept: list[str] | None = None  # what the steps beside a pytest run have said
        clean = {name: value for name, value in os.environ.items() if not OWN_SWITCHES.match(name)}
        clean |= {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{clean.get('PATH', os.defpath)}"}
        clean |= {"PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "editai.settings", "COLUMNS": "120"}
        self.embedded = clean | {"EDITAI_DATA_DIR": str(folder / "embedded")}
        self.full = clean | urls | {"EDITAI_DATA_DIR": str(folder / "full"), "EDITAI_SECRET_KEY": secrets.token_hex(40)}
        self.full |= {"EDITAI_ENCRYPTION_KEYS": fernet_key()}
        self.production = self.full | {"EDITAI_PUBLIC_URL": "https://editai.example.org"}

    def step(self, name: str, work: Callable[[], str | None]) -> None:
        """Runs `work`, which gives what is wrong, or None when all is well."""
        if self._kept is None:
            print(f"== {name} … ", end="", flush=True)
        started = time.monotonic()
        wrong = work()
        end = f"{'ok' if wrong is None else 'FAILED'} ({time.monotonic() - started:.1f} s)"
        said = end if wrong is None else f"{end}\n{wrong.rstrip()}"
        if self._kept is None:
            print(said, flush=True)
        else:
            self._kept.append(f"== {name} … {said}")
        self._add(Tally(passed=1) if wrong is None else Tally(failed=1, broken=[name]))

    def _add(self, other: Tally) -> None:
        with self._lock:
            self.tally.passed += other.passed
            self.tally.failed += other.failed
            self.tally.skipped += other.skipped
            self.tally.broken += other.broken

    @contextlib.contextmanager
    def beside(self, steps: Callable[[], None]) -> Iterator[None]:
        """Does `steps` beside what is done inside the `with`, and says afterwards how they went."""
        self._kept, ended = [], threading.Event()

        def work() -> None:
            steps()
            ended.set()

        thread = threading.Thread(target=work, daemon=True)  # should this program end, its command ends with it
        thread.start()
        yield
        thread.join()
        print(*self._kept, sep="\n", flush=True)
        self._kept = None
        if not ended.is_set():  # the thread has told why
            self._add(Tally(failed=1, broken=["the checks beside the tests"]))

    def command(self, name: str, environment: dict[str, str], *command: str) -> None:
        """A step that is one command of the environment."""

        def work() -> str | None:
            done = run(environment, *command)
            return None if done.returncode == 0 else done.stdout

        self.step(name, work)

    def lint(self) -> None:
        self.command("ruff check", self.embedded, PYTHON, "-m", "ruff", "check", "--output-format", "concise", ".")
        self.command("ruff format", self.embedded, PYTHON, "-m", "ruff", "format", "--check", ".")

    def static(self) -> None:
        self.command("mypy", self.embedded, PYTHON, "-m", "mypy", ".")
        self.command("import-linter", self.embedded, "lint-imports", "--no-cache")
        self.step("openapi document", self.schema)

    def schema(self) -> str | None:
        made = self.folder / "openapi.yaml"
        done = run(
            self.embedded, PYTHON, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", str(made)
        )
        if done.returncode != 0:
            return done.stdout
        committed = SCHEMA.read_text().splitlines() if SCHEMA.exists() else []
        fresh = made.read_text().splitlines()
        if committed == fresh:
            return None
        difference = list(difflib.unified_diff(committed, fresh, "docs/openapi.yaml", "the program", lineterm="", n=2))
        refresh = "To refresh it: ./run manage spectacular --file docs/openapi.yaml"
        return "\n".join([*difference[:60], *(["…"] if difference[60:] else []), refresh])

    def django(self) -> None:
        migrations = ("manage.py", "makemigrations", "--check", "--dry-run")
        self.command("makemigrations --check", self.full, PYTHON, *migrations)
        deploy = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
        self.command("check --deploy", self.production, PYTHON, *deploy)

    def pytest(self, name: str, environment: dict[str, str], *arguments: str) -> None:
        """A step that is a pytest run, its output shown as it goes; its tests are counted, not the step."""
        print(f"== {name}", flush=True)
        started = time.monotonic()
        report = self.folder / f"{name.split()[-1]}.xml"
        code = run_pytest(environment, f"--junitxml={report}", *arguments)
        tests = counts(report)
        if code != 0:
            tests.failed = max(tests.failed, 1)
            tests.broken.append(name)
        self._add(tests)
        print(f"== {name}: {'ok' if code == 0 else 'FAILED'} ({time.monotonic() - started:.1f} s)", flush=True)


def fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def run(environment: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    """A check by a command, which leaves the processors to the tests beside it, and ends with this program."""

    def prepare() -> None:
        os.nice(19)
        die_with_parent(signal.SIGKILL, parent)

    parent = os.getpid()
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=prepare,
    )


def run_pytest(environment: dict[str, str], *arguments: str) -> int:
    process = subprocess.Popen(
        [PYTHON, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, signal.SIGINT, os.getpid()),
    )
    try:
        return process.wait()
    except BaseException:  # told to stop: pytest first, then the services it uses
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
            process.wait(20)
        process.kill()
        process.wait()
        raise


def counts(report: Path) -> Tally:
    """The numbers of a JUnit report; all zero when pytest came to no end."""
    tally = Tally()
    if not report.exists():
        return tally
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it
        names = ("tests", "errors", "failures", "skipped")
        tests, errors, failures, skipped = (int(suite.get(name, 0)) for name in names)
        tally.passed += tests - errors - failures - skipped
        tally.failed += errors + failures
        tally.skipped += skipped
    return tally


def everything(checks: Checks) -> int:
    started = time.monotonic()
    checks.lint()

    def slow_checks() -> None:
        checks.static()
        checks.django()

    with checks.beside(slow_checks):  # two workers leave enough of two processors: they wait now and then
        checks.pytest("pytest on PostgreSQL and Redis", checks.full, "-n", "2", "-q", "-m", "not soak and not embedded")
    # by themselves: one of them has a time in which everything has to be up
    checks.pytest("pytest on SQLite and folders, embedded", checks.embedded, "-q", "-m", "embedded")
    tally = checks.tally
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"\n{minutes} min {seconds} s.", *([f"Failed: {', '.join(tally.broken)}."] if tally.broken else []))
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    return 1 if tally.failed or tally.broken else 0


def main() -> int:
    def stop(*_: object) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    arguments = sys.argv[1:]
    install_system_packages(["postgresql", "redis-server"])
    with temporary_folder() as folder, services(folder, os.environ) as urls:
        checks = Checks(folder, urls)
        if arguments[:1] == ["--soak"]:
            return run_pytest(checks.full, "-s", "-m", "soak", *arguments[1:])
        if arguments:
            return run_pytest(checks.full, *arguments)
        return everything(checks)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

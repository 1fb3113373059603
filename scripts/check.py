"""What ./test does once its packages are installed: services, then every check, or pytest alone."""

import contextlib
import difflib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, NoReturn
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
        clean = {name: value for name, value in os.environ.items() if not OWN_SWITCHES.match(name)}
        clean |= {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{clean.get('PATH', os.defpath)}"}
        clean |= {"PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "editai.settings", "COLUMNS": "120"}
        self.embedded = clean | {"EDITAI_DATA_DIR": str(folder / "embedded")}
        self.full = clean | urls | {"EDITAI_DATA_DIR": str(folder / "full"), "EDITAI_SECRET_KEY": secrets.token_hex(40)}
        self.full |= {"EDITAI_ENCRYPTION_KEYS": fernet_key()}
        self.production = self.full | {"EDITAI_PUBLIC_URL": "https://editai.example.org"}

    def step(self, name: str, work: Callable[[], str | None]) -> None:
        """Runs `work`, which gives what is wrong, or None when all is well."""
        print(f"== {name} … ", end="", flush=True)
        started = time.monotonic()
        wrong = work()
        seconds = time.monotonic() - started
        print(f"{'ok' if wrong is None else 'FAILED'} ({seconds:.1f} s)", flush=True)
        if wrong is None:
            self.tally.passed += 1
        else:
            print(wrong.rstrip(), flush=True)
            self.tally.failed += 1
            self.tally.broken.append(name)

    def command(self, name: str, environment: dict[str, str], *command: str) -> None:
        """A step that is one command of the environment."""

        def work() -> str | None:
            done = run(environment, *command)
            return None if done.returncode == 0 else done.stdout

        self.step(name, work)

    def static(self) -> None:
        self.command("ruff check", self.embedded, PYTHON, "-m", "ruff", "check", "--output-format", "concise", ".")
        self.command("ruff format", self.embedded, PYTHON, "-m", "ruff", "format", "--check", ".")
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
        report = self._report(name)
        code = run_pytest(environment, f"--junitxml={report}", *arguments)
        self._count(name, code, report, time.monotonic() - started)

    @contextlib.contextmanager
    def pytest_beside(self, name: str, environment: dict[str, str], *arguments: str) -> Iterator[None]:
        """The same beside the steps inside the `with`; what it said is shown after theirs."""
        report, said = self._report(name), self.folder / "beside.log"
        started = time.time()
        with (
            said.open("wb") as output,
            pytest_process(environment, f"--junitxml={report}", *arguments, output=output) as process,
        ):
            yield
            code = process.wait()
        print(f"== {name}\n{said.read_text(errors='replace').rstrip()}", flush=True)
        self._count(name, code, report, said.stat().st_mtime - started)  # its last word: it may have ended long ago

    def _report(self, name: str) -> Path:
        return self.folder / f"{name.split()[-1]}.xml"

    def _count(self, name: str, code: int, report: Path, seconds: float) -> None:
        tests = counts(report)
        self.tally.passed += tests.passed
        self.tally.failed += tests.failed + (code != 0 and tests.failed == 0)
        self.tally.skipped += tests.skipped
        if code != 0:
            self.tally.broken.append(name)
        print(f"== {name}: {'ok' if code == 0 else 'FAILED'} ({seconds:.1f} s)", flush=True)


def fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def run(environment: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    """A static check: it takes the processor time that the tests beside it leave."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=partial(os.nice, 19),
    )


def run_pytest(environment: dict[str, str], *arguments: str) -> int:
    with pytest_process(environment, *arguments) as process:
        return process.wait()


@contextlib.contextmanager
def pytest_process(
    environment: dict[str, str], *arguments: str, output: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A pytest at work, for a caller that waits for it."""
    process = subprocess.Popen(
        [PYTHON, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        preexec_fn=partial(die_with_parent, signal.SIGINT, os.getpid()),
    )
    try:
        yield process
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
    # the embedded tests mostly wait for processes to start and to end
    with checks.pytest_beside("pytest on SQLite and folders, embedded", checks.embedded, "-q", "-m", "embedded"):
        checks.static()
        checks.django()
    checks.pytest("pytest on PostgreSQL and Redis", checks.full, "-n", "2", "-q", "-m", "not soak and not embedded")
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

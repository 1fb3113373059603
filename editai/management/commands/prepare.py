"""Everything between an installed program and a running one; ./run calls it at every start."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from profiles.first_login import ensure_first_login

KEPT_COPIES = 5
SSL_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
ADVISORY_LOCK = 0x45646974_4149  # "EditAI": one machine at a time migrates a shared database


class Command(BaseCommand):
    help = "Brings the database, the first login and the static files up to date; quiet when there is nothing to do."
    requires_system_checks: list[str] = []  # ./run starts often; ./test and `check` do them

    def handle(self, *args: Any, **options: Any) -> None:
        with one_at_a_time(settings.DATA_DIR / "prepare.lock"):
            try:
                connection.ensure_connection()
            except OperationalError as error:
                raise CommandError(f"the database does not answer: {str(error).strip().splitlines()[0]}") from error
            with one_machine_at_a_time():
                self.migrate()
                ensure_first_login(self.stdout)  # type: ignore[arg-type]  # OutputWrapper has write()
            self.collect_static_files()

    def migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if unknown := unknown_migrations(executor):
            raise CommandError(
                f"this database was made by a newer version of EditAI (it has {unknown[0]}"
                f"{f' and {len(unknown) - 1} more' if unknown[1:] else ''}, which this version does not know): "
                "start that version or a later one."
            )
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not pending:
            return
        if executor.loader.applied_migrations:
            copy = copy_database(settings.DATA_DIR / "backups", len(pending))
            self.stdout.write(f"{len(pending)} changes to the database; a copy from before them: {copy}\n")
        else:
            self.stdout.write("Making the database …\n")
        call_command("migrate", interactive=False, verbosity=0)

    def collect_static_files(self) -> None:
        """Copies the static files of all apps to STATIC_ROOT when one has changed since the last time."""
        root = Path(settings.STATIC_ROOT)
        stamp = root.with_name(f"{root.name}.stamp")
        state = static_state()
        if root.is_dir() and stamp.is_file() and stamp.read_text() == state:
            return
        self.stdout.write("Collecting the static files …\n")
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(state)


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Waits for a `prepare` in another process on the same data folder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def one_machine_at_a_time() -> Iterator[None]:
    """Waits for a `prepare` on another machine with the same PostgreSQL database."""
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        yield
    finally:
        connection.close()  # the lock is the session's: it ends with it, also when a migration failed half-way


def unknown_migrations(executor: MigrationExecutor) -> list[str]:
    """Migrations that the database has and this program does not, as `app.name`, in order."""
    known = set(executor.loader.disk_migrations)
    for migration in executor.loader.disk_migrations.values():
        known |= {(app, name) for app, name in migration.replaces}  # squashed: the old names stay in the database
    return sorted(f"{app}.{name}" for app, name in set(executor.loader.applied_migrations) - known)


def copy_database(folder: Path, pending: int) -> str:
    """A copy of the database as it is now in `folder`, of which the last `KEPT_COPIES` stay; gives its path.

    Raises CommandError when no copy can be made, unless EDITAI_MIGRATE_WITHOUT_BACKUP=1 says to go on without.
    """
    suffix = "sqlite3" if connection.vendor == "sqlite" else "dump"
    target = folder / f"db-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-before-{pending}.{suffix}"
    unfinished = target.with_suffix(f".{suffix}.part")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.touch(mode=0o600)
        if connection.vendor == "sqlite":
            copy_sqlite(Path(connection.settings_dict["NAME"]), unfinished)
        else:
            copy_postgresql(unfinished)
        unfinished.replace(target)
    except (OSError, sqlite3.Error, CommandError) as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        if os.environ.get("EDITAI_MIGRATE_WITHOUT_BACKUP", "").strip() == "1":
            return f"none, as EDITAI_MIGRATE_WITHOUT_BACKUP=1 allows ({error})"
        raise CommandError(
            f"the database is to be changed, and no copy could be made before: {error} "
            "Make one yourself, then start with EDITAI_MIGRATE_WITHOUT_BACKUP=1."
        ) from error
    for old in sorted(folder.glob("db-*-before-*"))[:-KEPT_COPIES]:
        old.unlink()
    return str(target)


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy, also of what is still in the write-ahead log and while others read."""
    size, free = source.stat().st_size, shutil.disk_usage(target.parent).free
    if free < size + 64 * 2**20:
        raise CommandError(f"{free // 2**20} MB are free, the copy needs {size // 2**20 + 64} MB.")
    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def copy_postgresql(target: Path) -> None:
    """A dump in pg_dump's own format; `pg_restore` reads it. The password goes through the environment."""
    database = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    place = {name: str(database[key]) for name, key in names.items() if database.get(key)}
    options = database.get("OPTIONS", {})
    place |= {f"PG{name.upper()}": str(options[name]) for name in SSL_OPTIONS if name in options}
    if shutil.which("pg_dump") is None:
        raise CommandError("pg_dump is not installed.")
    done = subprocess.run(
        ["pg_dump", "--format=custom", "--no-password", f"--file={target}"],
        env={**os.environ, **place},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(f"pg_dump: {' '.join(done.stderr.split())}")


def static_state() -> str:
    """What `collectstatic` would copy, as a digest of names, sizes and times."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            facts = os.stat(storage.path(name))
            digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()

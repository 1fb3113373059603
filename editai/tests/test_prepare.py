"""`manage.py prepare` on databases of its own: first start, second start, newer program, older program."""

import json
import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent.parent


class Installation:
    """A data folder on the embedded default and the commands that work on it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.database = data / "editai.sqlite3"

    def prepare(self, **switches: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("EDITAI_") and k not in {"DATABASE_URL"}}
        kept.pop("REDIS_URL", None)
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "prepare"],
            env={**kept, "EDITAI_DATA_DIR": str(self.data), **switches},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            rows = connection.execute(statement).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def go_back_one_migration(self) -> None:
        """Makes the database look as if this program were newer by one migration, which makes a table."""
        self.sql("DELETE FROM django_migrations WHERE app = 'sessions'")
        self.sql("DROP TABLE django_session")

    def has_new_table(self) -> bool:
        return self.sql("SELECT count(*) FROM sqlite_master WHERE name = 'django_session'") == [(1,)]

    def copies(self) -> list[Path]:
        return sorted((self.data / "backups").glob("*"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after its first start; copied, never used."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    done = Installation(data).prepare()
    assert done.returncode == 0, done.stderr
    assert "password" in done.stdout
    return data


@pytest.fixture
def installation(prepared: Path, tmp_path: Path) -> Installation:
    subprocess.run(["cp", "-a", str(prepared), str(tmp_path / "data")], check=True)
    return Installation(tmp_path / "data")


def test_first_start_makes_a_private_login(prepared):
    file = prepared / "first-login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(prepared.stat().st_mode) == 0o700
    assert json.loads(file.read_text()).keys() >= {"url", "username", "password", "token", "profile_id"}
    assert list((prepared / "static" / "admin").iterdir())


def test_second_start_is_silent_and_keeps_everything(installation):
    login = (installation.data / "first-login.json").read_text()
    done = installation.prepare()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (installation.data / "first-login.json").read_text() == login
    assert installation.copies() == []


def test_newer_program_copies_the_database_first(installation):
    installation.go_back_one_migration()
    done = installation.prepare()
    assert done.returncode == 0, done.stderr
    (copy,) = installation.copies()
    assert copy.name.endswith("-before-1.sqlite3")
    assert str(copy) in done.stdout
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    kept = Installation(installation.data)
    kept.database = copy
    assert kept.sql("PRAGMA integrity_check") == [("ok",)]
    assert not kept.has_new_table()
    assert installation.has_new_table()
    assert kept.sql("SELECT username FROM profiles_user") == [("admin",)]


def test_only_the_last_copies_are_kept(installation):
    (installation.data / "backups").mkdir()
    for day in range(1, 8):
        (installation.data / "backups" / f"db-2026010{day}T000000000000Z-before-1.sqlite3").touch()
    installation.go_back_one_migration()
    assert installation.prepare().returncode == 0
    names = [copy.name for copy in installation.copies()]
    assert len(names) == 5
    assert names[0].startswith("db-20260104")


def test_no_copy_no_change(installation):
    (installation.data / "backups").write_text("in the way")
    installation.go_back_one_migration()
    done = installation.prepare()
    assert done.returncode == 1
    assert "no copy could be made" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not installation.has_new_table()
    done = installation.prepare(EDITAI_MIGRATE_WITHOUT_BACKUP="1")
    assert done.returncode == 0, done.stderr
    assert "none, as EDITAI_MIGRATE_WITHOUT_BACKUP=1 allows" in done.stdout
    assert installation.has_new_table()


def test_older_program_refuses_a_newer_database(installation):
    installation.sql(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('profiles', '9000_later', '2030-01-01')"
    )
    before = installation.database.read_bytes()
    done = installation.prepare()
    assert done.returncode == 1
    assert "made by a newer version of EditAI (it has profiles.9000_later" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert installation.database.read_bytes() == before


def test_two_first_starts_at_once_make_one_login(tmp_path):
    installation = Installation(tmp_path / "data")
    done: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda: done.append(installation.prepare())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert sorted("password" in one.stdout for one in done) == [False, True]
    assert installation.sql("SELECT count(*) FROM profiles_user") == [(1,)]


# --- PostgreSQL ----------------------------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The switches of an installation on a PostgreSQL database of its own, empty."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        pytest.skip("needs DATABASE_URL")
    name = f"prepare_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield {
            "DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl(),
            "EDITAI_SECRET_KEY": secrets.token_hex(40),
            "EDITAI_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        }
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_newer_program_on_postgresql(tmp_path, shared):
    installation = Installation(tmp_path / "data")
    first = installation.prepare(**shared)
    assert first.returncode == 0, first.stderr
    assert not (installation.data / "first-login.json").exists()
    assert installation.copies() == []
    silent = installation.prepare(**shared)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")

    with psycopg.connect(shared["DATABASE_URL"], autocommit=True) as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        database.execute("DROP TABLE django_session")
    (tmp_path / "bin").mkdir()
    refused = installation.prepare(**shared, PATH=str(tmp_path / "bin"))
    assert refused.returncode == 1
    assert "pg_dump is not installed. Make one yourself" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

    done = installation.prepare(**shared)
    assert done.returncode == 0, done.stderr
    (copy,) = installation.copies()
    assert copy.name.endswith("-before-1.dump")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    listed = subprocess.run(["pg_restore", "--list", str(copy)], capture_output=True, text=True, check=True).stdout
    assert "TABLE DATA public profiles_user" in listed
    assert "django_session" not in listed


def test_two_machines_at_once_on_one_postgresql(tmp_path, shared):
    machines = [Installation(tmp_path / name) for name in ("one", "two")]
    done: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda m: done.append(m.prepare(**shared)), args=[m]) for m in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]


def test_database_that_does_not_answer_is_one_line(tmp_path, shared):
    shared["DATABASE_URL"] = "postgres://somebody:opensesame@127.0.0.1:1/nothing"
    refused = Installation(tmp_path / "data").prepare(**shared)
    assert refused.returncode == 1
    assert refused.stderr.startswith("CommandError: the database does not answer")
    assert len(refused.stderr.splitlines()) == 1
    assert "opensesame" not in refused.stderr

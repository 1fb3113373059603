"""Triggers that hold publications to `states.ALLOWED`, on both engines, whoever writes.

They are made anew after every migration: the table of steps may have changed, and SQLite loses triggers when it
remakes a table.
"""

from typing import Any

from django.db import connections

from publishing.states import ALLOWED, State

TABLE = "publishing_publication"
TRIGGER = "publication_state_guard"
BEGINNINGS = (State.DRAFT, State.AWAITING_APPROVAL, State.SCHEDULED)


def install(using: str = "default", **_: Any) -> None:
    """A receiver of post_migrate."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return  # migrated back to before there were publications
        for statement in _postgresql() if connection.vendor == "postgresql" else _sqlite():
            cursor.execute(statement)


def _steps() -> str:
    steps = sorted(f"{old}>{new}" for old, following in ALLOWED.items() for new in following)
    return ", ".join(f"'{step}'" for step in steps)


def _beginnings() -> str:
    return ", ".join(f"'{state}'" for state in BEGINNINGS)


def _sqlite() -> list[str]:
    refused = "SELECT RAISE(ABORT, 'publication: this step is not allowed');"
    return [
        f"DROP TRIGGER IF EXISTS {TRIGGER}",
        f"DROP TRIGGER IF EXISTS {TRIGGER}_insert",
        f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE OF state ON {TABLE} FOR EACH ROW "
        f"WHEN OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN ({_steps()}) BEGIN {refused} END",
        f"CREATE TRIGGER {TRIGGER}_insert BEFORE INSERT ON {TABLE} FOR EACH ROW "
        f"WHEN NEW.state NOT IN ({_beginnings()}) BEGIN {refused} END",
    ]


def _postgresql() -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'INSERT' AND NEW.state NOT IN ({_beginnings()}) OR TG_OP = 'UPDATE' "
        f"AND OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN ({_steps()}) THEN "
        "RAISE EXCEPTION 'publication: this step is not allowed' USING ERRCODE = 'check_violation'; "
        "END IF; RETURN NEW; END $$",
        f"DROP TRIGGER IF EXISTS {TRIGGER} ON {TABLE}",
        f"CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OF state ON {TABLE} "
        f"FOR EACH ROW EXECUTE FUNCTION {TRIGGER}()",
    ]

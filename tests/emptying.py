"""Leaves the database after a test with transactions of its own as migrations leave it, in a tenth of Django's time.

Django truncates every table and then seeds them again. Here, on PostgreSQL, the few tables that got rows are emptied,
and what migrations seed stays when the test has left it as it was. Whatever the test changed there, and SQLite, is
Django's own matter. As with TRUNCATE, all tables are locked first: who still writes to them is waited for.
"""

from typing import Any

from django.db import connection, transaction
from django.test import TransactionTestCase

_of_django = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
_seeded: dict[str, str] = {}  # a digest of each table that migrations fill


def install() -> None:
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


def remember_seeds() -> None:
    """To be called when the tables hold nothing but what migrations seed."""
    _seeded.clear()
    if connection.vendor == "postgresql":
        _seeded.update(_digests(_filled(_tables())))


def _empty(case: Any) -> None:
    if connection.vendor != "postgresql" or case.available_apps is not None or case.serialized_rollback:
        _of_django(case)
        return
    with transaction.atomic():
        tables = _tables()
        _run(f"LOCK TABLE {', '.join(map(connection.ops.quote_name, tables))} IN ACCESS EXCLUSIVE MODE")
        _run("SET LOCAL session_replication_role = replica")  # no trigger refuses, no key is looked up: all rows go
        filled = _filled(tables)
        is_seeded = _digests(list(_seeded)) == _seeded
        for table in filled:
            if table not in _seeded:
                _run(f"DELETE FROM {connection.ops.quote_name(table)}")
    if not is_seeded:
        _of_django(case)
        remember_seeds()


def _tables() -> list[str]:
    return sorted(set(connection.introspection.django_table_names(only_existing=True, include_views=False)))


def _filled(tables: list[str]) -> list[str]:
    """Those with a row."""
    return [row[0] for row in _run(" UNION ALL ".join(map(_one_if_filled, tables)))]


def _one_if_filled(table: str) -> str:
    return f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"


def _digests(tables: list[str]) -> dict[str, str]:
    return dict(row for table in tables for row in _run(_digest(table)))


def _digest(table: str) -> str:
    rows = "string_agg(t::text, ' ' ORDER BY t::text)"
    return f"SELECT '{table}', md5({rows}) FROM {connection.ops.quote_name(table)} t"


def _run(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []

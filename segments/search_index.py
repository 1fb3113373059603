"""The index behind `?q=`: trigrams of `search_text`, on PostgreSQL."""

import logging
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

log = logging.getLogger(__name__)


class TrigramIndex(Operation):
    """Indexes `search_text` of a model for LIKE '%word%', over the rows outside the trash.

    Needs the extension pg_trgm, which PostgreSQL brings along and lets the owner of a database switch on. Where that
    is not possible, searching works without the index, by looking at the profile's rows one by one; a line in the log
    says so. Nothing on SQLite.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, app_label: str, model: str, name: str) -> None:
        self.app, self.model, self.name = app_label, model, name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.app, self.model, self.name], {}

    def describe(self) -> str:
        return f"Index the search text of {self.app}.{self.model}"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing changes in the models."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        if not _has_trigrams(schema_editor.connection):
            log.warning("pg_trgm is not available: searching %s.%s has no index.", self.app, self.model)
            return
        table = to_state.apps.get_model(self.app, self.model)._meta.db_table
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        schema_editor.execute(
            f"CREATE INDEX {self.name} ON {table} USING gin (search_text gin_trgm_ops) WHERE trashed_at IS NULL"
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX IF EXISTS {self.name}")


def _has_trigrams(connection: Any) -> bool:
    """Whether the extension is there, or may be switched on by this user."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') OR ("
            "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') "
            "AND has_database_privilege(current_database(), 'CREATE'))"
        )
        return bool(cursor.fetchone()[0])

"""The index behind `?q=`: trigrams of `search_text`, on PostgreSQL."""

import logging
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Model

from profiles.schema import PostgresOperation

log = logging.getLogger(__name__)


class TrigramIndex(PostgresOperation):
    """Indexes `search_text` of a model for LIKE '%word%', over the rows outside the trash.

    Needs the extension pg_trgm, which PostgreSQL brings along and lets the owner of a database switch on. Where that
    is not possible, searching works without the index, by looking at the profile's rows one by one; a line in the log
    says so. `target` is the name of the index.
    """

    def describe(self) -> str:
        return f"Index the search text of {self.app}.{self.model}"

    def add(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        if not _has_trigrams(schema_editor.connection):
            log.warning("pg_trgm is not available: searching %s.%s has no index.", self.app, self.model)
            return
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        schema_editor.execute(
            f"CREATE INDEX {self.target} ON {model._meta.db_table} "
            "USING gin (search_text gin_trgm_ops) WHERE trashed_at IS NULL"
        )

    def remove(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        schema_editor.execute(f"DROP INDEX IF EXISTS {self.target}")


def _has_trigrams(connection: Any) -> bool:
    """Whether the extension is there, or may be switched on by this user."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') OR ("
            "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') "
            "AND has_database_privilege(current_database(), 'CREATE'))"
        )
        return bool(cursor.fetchone()[0])

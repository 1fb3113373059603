"""Migration operations for net 1, the schema: links between tenant rows cannot cross profiles on PostgreSQL."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation


class LinkWithinProfile(Operation):
    """Backs `model.field` by a composite foreign key `(profile_id, field_id) -> parent (profile_id, id)`.

    PostgreSQL only; SQLite has no way to add it later, there `ProfileOwned.save` is the check. The parent needs
    `UniqueConstraint(fields=["profile", "id"])`. The key is deferred like Django's own, so that rows of one
    transaction may come in any order.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, app_label: str, model: str, field: str) -> None:
        self.app, self.model, self.field = app_label, model, field

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.app, self.model, self.field], {}

    def describe(self) -> str:
        return f"Keep {self.app}.{self.model}.{self.field} within one profile"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing changes in the models."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        child, field, parent = self._tables(to_state)
        schema_editor.execute(
            f"ALTER TABLE {child} ADD CONSTRAINT {self._name()} FOREIGN KEY (profile_id, {field}) "
            f"REFERENCES {parent} (profile_id, id) DEFERRABLE INITIALLY DEFERRED"
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        child, _, _ = self._tables(from_state)
        schema_editor.execute(f"ALTER TABLE {child} DROP CONSTRAINT {self._name()}")

    def _name(self) -> str:
        return f"{self.app}_{self.model}_{self.field}_within_profile"

    def _tables(self, state: Any) -> tuple[str, str, str]:
        model = state.apps.get_model(self.app, self.model)
        field = model._meta.get_field(self.field)
        return model._meta.db_table, field.column, field.related_model._meta.db_table


class RunOnPostgres(RunSQL):
    """SQL for what only PostgreSQL can hold to."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)

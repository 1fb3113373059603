"""Migration operations for what only PostgreSQL has; above all net 1: no link between tenant rows crosses profiles."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation
from django.db.models import Model


class PostgresOperation(Operation):
    """Something about one model that the models do not tell, on PostgreSQL only: subclasses `add` and `remove` it.

    `target` is what it is about within the model: a field, or the name of an index.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, app_label: str, model: str, target: str) -> None:
        self.app, self.model, self.target = app_label, model, target

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.app, self.model, self.target], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing changes in the models."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            self.add(schema_editor, to_state.apps.get_model(self.app, self.model))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            self.remove(schema_editor, from_state.apps.get_model(self.app, self.model))

    def add(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        raise NotImplementedError

    def remove(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        raise NotImplementedError


class LinkWithinProfile(PostgresOperation):
    """Backs a foreign key of a model by a composite one, `(profile_id, field_id) -> parent (profile_id, id)`.

    SQLite has no way to add it later, there `ProfileOwned.save` is the check. The parent needs
    `UniqueConstraint(fields=["profile", "id"])`. The key is deferred like Django's own, so that rows of one
    transaction may come in any order.
    """

    def describe(self) -> str:
        return f"Keep {self.app}.{self.model}.{self.target} within one profile"

    def add(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        field: Any = model._meta.get_field(self.target)
        child, parent = model._meta.db_table, field.related_model._meta.db_table
        schema_editor.execute(
            f"ALTER TABLE {child} ADD CONSTRAINT {self._name()} FOREIGN KEY (profile_id, {field.column}) "
            f"REFERENCES {parent} (profile_id, id) DEFERRABLE INITIALLY DEFERRED"
        )

    def remove(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        schema_editor.execute(f"ALTER TABLE {model._meta.db_table} DROP CONSTRAINT {self._name()}")

    def _name(self) -> str:
        return f"{self.app}_{self.model}_{self.target}_within_profile"


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

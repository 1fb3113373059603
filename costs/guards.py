"""What the database itself refuses, on both engines, whoever asks: changing or deleting what is in the ledger,
deleting a call's row, rewriting a price that has been in force, deleting one, and two prices that hold at once.

The triggers are made anew after every migration: SQLite loses them when it remakes a table. On PostgreSQL overlaps
are held by an exclusion constraint (`costs.migrations`), which also holds against two transactions at once.
"""

from typing import Any

from django.apps import apps as global_apps
from django.db import connections

_ALWAYS = "9999-12-31"
# what makes two prices the same one at different times
PRICE_KEY = ("provider", "model", "match", "meter", "service_tier", "tier_min")


def install(using: str = "default", **_: Any) -> None:
    """A receiver of post_migrate."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        make = _postgresql if connection.vendor == "postgresql" else _sqlite
        for table, statements in make().items():
            if table in tables:  # else migrated back to before there was one
                for statement in statements:
                    cursor.execute(statement)


def _sqlite() -> dict[str, list[str]]:
    ledger, rates, calls, rules, own = (
        f"costs_{name}" for name in ("ledgerentry", "exchangerate", "usageattempt", "pricerule", "priceoverride")
    )
    return {
        ledger: [
            *_lite(f"{ledger}_frozen_update", f"BEFORE UPDATE ON {ledger}", "the ledger is never changed"),
            *_lite(f"{ledger}_frozen_delete", f"BEFORE DELETE ON {ledger}", "the ledger is never changed"),
        ],
        rates: [
            *_lite(f"{rates}_frozen_update", f"BEFORE UPDATE ON {rates}", "exchange rates are only added"),
            *_lite(f"{rates}_frozen_delete", f"BEFORE DELETE ON {rates}", "exchange rates are only added"),
        ],
        calls: _lite(f"{calls}_kept", f"BEFORE DELETE ON {calls}", "the calls are part of the books"),
        rules: [
            *_lite_price(rules, ()),
            *_lite(f"{rules}_kept", f"BEFORE DELETE ON {rules}", "a price is ended, not deleted"),
        ],
        own: _lite_price(own, ("profile_id",)),
    }


def _lite(name: str, moment: str, why: str, condition: str = "") -> list[str]:
    when = f" WHEN {condition}" if condition else ""
    body = f"BEGIN SELECT RAISE(ABORT, 'costs: {why}'); END"
    return [f"DROP TRIGGER IF EXISTS {name}", f"CREATE TRIGGER {name} {moment} FOR EACH ROW{when} {body}"]


def _lite_price(table: str, more: tuple[str, ...]) -> list[str]:
    same = " AND ".join(f"other.{column} = NEW.{column}" for column in (*more, *PRICE_KEY))
    # a rule that ends where it begins was never in force
    overlap = (
        f"EXISTS (SELECT 1 FROM {table} other WHERE other.id <> NEW.id AND {same} "  # noqa: S608 - our own names
        f"AND other.valid_from < COALESCE(NEW.valid_to, '{_ALWAYS}') "
        f"AND NEW.valid_from < COALESCE(other.valid_to, '{_ALWAYS}') "
        f"AND other.valid_from < COALESCE(other.valid_to, '{_ALWAYS}') "
        f"AND NEW.valid_from < COALESCE(NEW.valid_to, '{_ALWAYS}'))"
    )
    fixed = ", ".join(_fixed_columns(table))
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    # some minutes: the clock of the program may be behind
    lately = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-5 minutes')"
    past = f"OLD.valid_to < {now} OR (NEW.valid_to < {lately} AND NEW.valid_to <> NEW.valid_from)"
    return [
        *_lite(f"{table}_overlap", f"BEFORE INSERT ON {table}", "two prices hold at once", overlap),
        *_lite(f"{table}_overlap_later", f"BEFORE UPDATE OF valid_to ON {table}", "two prices hold at once", overlap),
        *_lite(f"{table}_fixed", f"BEFORE UPDATE OF {fixed} ON {table}", "only the end of a price changes"),
        *_lite(f"{table}_past", f"BEFORE UPDATE OF valid_to ON {table}", "a price that was in force stays", past),
    ]


def _fixed_columns(table: str) -> list[str]:
    model = next(model for model in global_apps.get_app_config("costs").get_models() if model._meta.db_table == table)
    return [str(field.column) for field in model._meta.concrete_fields if field.column != "valid_to"]


def _postgresql() -> dict[str, list[str]]:
    ledger, rates, calls, rules, own = (
        f"costs_{name}" for name in ("ledgerentry", "exchangerate", "usageattempt", "pricerule", "priceoverride")
    )
    price = (
        "IF to_jsonb(OLD) - 'valid_to' <> to_jsonb(NEW) - 'valid_to' THEN "
        f"{_raise('only the end of a price changes')} END IF; "
        "IF OLD.valid_to < now() OR "
        "(NEW.valid_to < now() - interval '5 minutes' AND NEW.valid_to <> NEW.valid_from) THEN "
        f"{_raise('a price that was in force stays')} END IF; RETURN NEW;"
    )
    frozen, added, kept, ended = (
        _raise(why)
        for why in (
            "the ledger is never changed",
            "exchange rates are only added",
            "the calls are part of the books",
            "a price is ended, not deleted",
        )
    )
    return {
        ledger: [
            *_full(f"{ledger}_frozen", f"BEFORE UPDATE OR DELETE ON {ledger} FOR EACH ROW", frozen),
            *_full(f"{ledger}_emptied", f"BEFORE TRUNCATE ON {ledger} FOR EACH STATEMENT", frozen),
        ],
        rates: _full(f"{rates}_frozen", f"BEFORE UPDATE OR DELETE ON {rates} FOR EACH ROW", added),
        calls: [
            *_full(f"{calls}_kept", f"BEFORE DELETE ON {calls} FOR EACH ROW", kept),
            *_full(f"{calls}_emptied", f"BEFORE TRUNCATE ON {calls} FOR EACH STATEMENT", kept),
        ],
        rules: [
            *_full(f"{rules}_price", f"BEFORE UPDATE ON {rules} FOR EACH ROW", price),
            *_full(f"{rules}_kept", f"BEFORE DELETE ON {rules} FOR EACH ROW", ended),
        ],
        own: _full(f"{own}_price", f"BEFORE UPDATE ON {own} FOR EACH ROW", price),
    }


def _raise(why: str) -> str:
    return f"RAISE EXCEPTION 'costs: {why}' USING ERRCODE = 'restrict_violation';"


def _full(name: str, moment: str, body: str) -> list[str]:
    table = moment.split(" ON ")[1].split()[0]
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} {moment} EXECUTE FUNCTION {name}()",
    ]

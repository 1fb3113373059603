"""What the models cannot say: links within a profile, and no two prices that hold at once (on SQLite a trigger does
that, see `costs.guards`)."""

from django.db import migrations

from profiles.schema import LinkWithinProfile, RunOnPostgres

KEY = "provider WITH =, model WITH =, match WITH =, meter WITH =, service_tier WITH =, tier_min WITH ="
SPAN = "tstzrange(valid_from, valid_to, '[)') WITH &&"


def no_overlap(table: str, key: str) -> RunOnPostgres:
    name = f"{table}_overlap"
    return RunOnPostgres(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} EXCLUDE USING gist ({key}, {SPAN})",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies = [("costs", "0001_initial")]

    operations = [
        RunOnPostgres("CREATE EXTENSION IF NOT EXISTS btree_gist", migrations.RunSQL.noop),
        no_overlap("costs_pricerule", KEY),
        no_overlap("costs_priceoverride", f"profile_id WITH =, {KEY}"),
        LinkWithinProfile("costs", "ledgerentry", "attempt"),
    ]

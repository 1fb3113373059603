"""Rules of tenancy that hold for all models and all code, now and later."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, models

from profiles.erasure import tenant_models
from profiles.models import ApiToken, Invitation, Membership, Profile, User
from profiles.scope import SYSTEM_REASONS
from profiles.tenancy import Booked, Guarded, tenant_links

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = [
    path
    for folder in ("profiles", "jobs", "costs", "segments", "publishing", "editai")
    for path in (ROOT / folder).rglob("*.py")
    if "tests" not in path.parts and "migrations" not in path.parts
]

# Read before any scope exists, or of no brand at all; everything else is a tenant row.
UNGUARDED = {User, Profile, Membership, Invitation, ApiToken} | {
    apps.get_model(label)
    for label in (
        "jobs.QueueState",
        "jobs.Worker",
        "costs.PriceRule",
        "costs.ExchangeRate",
        "costs.ServerBudget",
        "costs.ServerPeriod",
        "costs.ProviderSwitch",
        "clips.ExportPreset",
        "publishing.NetworkRule",
    )
}

# Who may see all brands, and for what.
ALL_PROFILES = {
    ("jobs/dispatch.py", "dispatch waiting jobs"),
    ("jobs/dispatch.py", "reap lost jobs"),
    ("jobs/reaper.py", "reap lost jobs"),
    ("jobs/scratch.py", "reap lost jobs"),
    ("jobs/idempotency.py", "reap lost jobs"),
    ("jobs/leftovers.py", "sweep stored files"),
    ("profiles/files.py", "sweep stored files"),
    ("profiles/trash.py", "empty the trash"),
    ("profiles/credentials.py", "rotate encryption keys"),
    ("publishing/periodic.py", "hand over publications"),
    ("publishing/periodic.py", "ask about publications"),
    ("editai/notify/delivery.py", "deliver notifications"),
    ("costs/books/sweeper.py", "end paid calls"),
    ("costs/books/proof.py", "prove the books"),
    ("costs/overview.py", "show all costs to the operator"),
    ("costs/prices/effects.py", "show all costs to the operator"),
}

# SQL by hand passes the guarded managers by: each place touches no tenant rows.
RAW_SQL = {
    "editai/management/commands/prepare.py",  # the table of migrations, a lock
    "editai/health.py",  # SELECT 1
    "segments/search_index.py",  # an extension and its index
    "publishing/state_guard.py",  # its triggers
    "costs/guards.py",  # its triggers
    "costs/books/proof.py",  # how a transaction reads
}


BOOKS = [model for model in apps.get_models() if issubclass(model, Booked)]
TENANT_ROWS = [*tenant_models(), *BOOKS]


def own_models() -> set[type[models.Model]]:
    return {model for model in apps.get_models() if not model.__module__.startswith("django.")}


def test_every_model_is_a_tenant_row_or_listed() -> None:
    assert {model for model in own_models() if not issubclass(model, Guarded)} == UNGUARDED


@pytest.mark.parametrize("model", TENANT_ROWS, ids=lambda model: model.__name__)
def test_every_unique_rule_of_a_tenant_row_includes_the_profile(model: type[Guarded]) -> None:
    ours = {field.name for field in tenant_links(model)}
    for rule in model._meta.constraints:
        if isinstance(rule, models.UniqueConstraint):
            own = {"profile", "profile_id", *ours} & set(rule.fields)
            assert own, f"{rule.name} reaches over all profiles"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no composite keys; save() is the check there")
@pytest.mark.django_db
@pytest.mark.parametrize("model", TENANT_ROWS, ids=lambda model: model.__name__)
def test_every_link_between_tenant_rows_is_a_composite_key(model: type[Guarded]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid), condeferred FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype = 'f'",
            [model._meta.db_table],
        )
        keys = dict(cursor.fetchall())
    for link in tenant_links(model):
        parent = link.related_model._meta.db_table
        wanted = f"FOREIGN KEY (profile_id, {link.column}) REFERENCES {parent}(profile_id, id)"
        deferred = [is_deferred for text, is_deferred in keys.items() if text.startswith(wanted)]
        assert deferred == [True], f"{model.__name__}.{link.name}: LinkWithinProfile is missing in a migration"


def test_only_listed_work_sees_all_profiles() -> None:
    found = {
        (str(path.relative_to(ROOT)), reason)
        for path in PRODUCT
        for reason in re.findall(r'all_profiles\("([^"]+)"\)', path.read_text())
    }
    assert found == ALL_PROFILES
    assert {reason for _, reason in found} == SYSTEM_REASONS


def test_only_listed_files_speak_sql_themselves() -> None:
    pattern = re.compile(r"connection\.cursor\(|\.raw\(|\.extra\(|RawSQL")
    assert {str(path.relative_to(ROOT)) for path in PRODUCT if pattern.search(path.read_text())} == RAW_SQL


def test_only_the_runner_starts_programs() -> None:
    """ffmpeg and the probing child through `jobs.child`; beside them the supervisor, and pg_dump before a migration."""
    pattern = re.compile(
        r"^\s*(import subprocess|from subprocess|import multiprocessing)|os\.(system|popen|exec|spawn)", re.M
    )
    found = {str(path.relative_to(ROOT)) for path in PRODUCT if pattern.search(path.read_text())}
    assert found == {
        "jobs/child.py",
        "jobs/sandbox.py",
        "editai/supervisor.py",
        "editai/management/commands/prepare.py",
    }


def test_no_signals_between_apps() -> None:
    """`post_migrate` (Django's own, for rows that a migration seeds) is not one of them."""
    pattern = re.compile(r"\b(pre|post)_(save|delete|init)\b|m2m_changed|django\.dispatch")
    assert [path for path in PRODUCT if pattern.search(path.read_text())] == []

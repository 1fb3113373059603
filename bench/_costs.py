"""Time of `GET costs/`: a ledger of 1,000,000 rows against one of 10,000, both over 50 profiles.

    bench/costs [RUNS]

The answer reads the roll-up, so it should cost what the days cost that it shows, and not what was booked in them. Both
ledgers cover the same 60 days, models and operations; the large one has a hundred times the calls in each. The whole
request is measured, in one process, on a PostgreSQL of its own: RUNS times (20) after some to warm up. Prints the ratio
of the medians; the goal is at most 1.5, with the same number of queries.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.services import postgres, postgres_program  # noqa: E402

PROFILES, SMALL, LARGE = 50, 10_000, 1_000_000
DAYS, KINDS = 60, 3
WARM = 5
GOAL = 1.5
_CALLS = """
INSERT INTO costs_usageattempt (id, profile_id, call_key, attempt_no, state, provider, model_requested, model_billed,
    service_tier, operation, job_kind, estimate, usage, reserved_micros, server_reserved_micros, is_unpriced,
    request_id, occurred_at, sent_at,
    ended_at, expires_at, needs_reconciliation, note)
SELECT gen_random_uuid(), profile.id, md5(random()::text || number), 1, 'settled', 'gemini', 'm' || number % {kinds},
    'm' || number % {kinds}, 'standard', 'analysis', '', '{{}}', '{{}}', 20, 20, false, '', at.time, at.time, at.time,
    at.time, false, ''
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM profiles_profile) profile,
    generate_series({first}, {last}) number,
    LATERAL (SELECT date_trunc('day', now()) - make_interval(days => (number / {kinds} % {days})::int) AS time) at
"""
_ENTRIES = """
INSERT INTO costs_ledgerentry (id, profile_id, key, kind, attempt_id, amount_micros, server_micros, currency,
    provider, model, operation, usage, lines, is_unpriced, is_estimated, occurred_at, day, created_at, note)
SELECT gen_random_uuid(), profile_id, 'charge:' || id, 'charge', id, 15, 15, 'USD', provider, model_billed, operation,
    '{}', '[]', false, false, occurred_at, (occurred_at AT TIME ZONE 'UTC')::date, occurred_at, ''
FROM costs_usageattempt call WHERE NOT EXISTS (SELECT 1 FROM costs_ledgerentry WHERE attempt_id = call.id)
"""
_ROLL_UP = """
DELETE FROM costs_costdaily;
INSERT INTO costs_costdaily (id, profile_id, day, provider, model, operation, project_id, amount_micros, calls,
    unpriced_calls, estimated_calls, cache_hits, saved_micros)
SELECT gen_random_uuid(), profile_id, day, provider, model, operation, '00000000-0000-0000-0000-000000000000',
    sum(amount_micros), count(*), 0, 0, 0, 0
FROM costs_ledgerentry GROUP BY profile_id, day, provider, model, operation
"""


def fill(cursor: Any, first: int, last: int) -> None:
    """Calls, entries and roll-up: `first` to `last` of each profile."""
    cursor.execute(_CALLS.format(first=first, last=last, kinds=KINDS, days=DAYS))
    cursor.execute(_ENTRIES)
    cursor.execute(_ROLL_UP)
    cursor.execute("ANALYZE")


def measure(client: Any, runs: int) -> tuple[float, int]:
    """Median seconds of a request, and how many queries it makes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def ask() -> None:
        answer = client.get("/api/v1/costs/")
        assert answer.status_code == 200, answer.content
        assert len(answer.json()["results"]) == 30, answer.json()

    for _ in range(WARM):
        ask()
    with CaptureQueriesContext(connection) as captured:
        ask()
        queries = len(captured)  # the next request forgets them
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times), queries


def bench(runs: int) -> int:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from rest_framework.test import APIClient

    from profiles.models import User
    from profiles.tokens import token_create

    call_command("migrate", verbosity=0)
    users = [User.objects.create_user(f"user-{number}") for number in range(PROFILES)]
    client = APIClient(SERVER_NAME="127.0.0.1")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_create(user=users[7], name='bench')[1]}")
    with connection.cursor() as cursor:
        fill(cursor, 1, SMALL // PROFILES)
        small, queries = measure(client, runs)
        fill(cursor, SMALL // PROFILES + 1, LARGE // PROFILES)
        large, more = measure(client, runs)
        cursor.execute("SELECT count(*) FROM costs_ledgerentry")
        assert cursor.fetchone()[0] == LARGE
    ratio = large / small
    print(
        f"GET costs/ with {LARGE:,} ledger rows / with {SMALL:,}: {ratio:.2f} (goal <= {GOAL}; {large * 1000:.1f} ms / "
        f"{small * 1000:.1f} ms, {more} / {queries} queries, {PROFILES} profiles, median of {runs}, both warm)"
    )
    return 0 if ratio <= GOAL and queries == more else 1


def main() -> int:
    """Measure and print; 1 when the goal is missed."""
    if postgres_program("initdb") is None:
        sys.exit("This bench needs PostgreSQL's programs: type 'sudo apt install postgresql'.")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        with postgres(folder) as url:
            os.environ |= {"DATABASE_URL": url, "EDITAI_DATA_DIR": name, "EDITAI_SECRET_KEY": "bench" * 10}
            os.environ |= {"DJANGO_SETTINGS_MODULE": "editai.settings", "EDITAI_LOG_LEVEL": "error"}
            os.environ.setdefault("REDIS_URL", "")
            return bench(runs)


if __name__ == "__main__":
    sys.exit(main())

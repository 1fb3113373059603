"""What PostgreSQL does for a GET: the plan of every query that it makes, taken apart."""

import json
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Person


def plans(person: Person, url: str, tables: str) -> list[tuple[str, Any]]:
    """The SQL and the plan of every query of `GET url` on tables whose names contain `tables`; it must find rows."""
    with CaptureQueriesContext(connection) as captured:
        answer = person.client.get(url)
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["results"]) > 0
    found = []
    for query in captured.captured_queries:
        if query["sql"].startswith("SELECT") and tables in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (FORMAT JSON) " + query["sql"].replace("%", "%%"))
                found.append((query["sql"], cursor.fetchone()[0]))
    return found


def nodes(plan: Any, *, within: bool = True) -> list[dict[str, Any]]:
    """The steps of a plan; without those `within` each row (what a sub-select looks up for it)."""
    plan = json.loads(plan) if isinstance(plan, str) else plan
    open_, found = [plan[0]["Plan"]], []
    while open_:
        node = open_.pop()
        if within or node.get("Parent Relationship") != "SubPlan":
            found.append(node)
            open_ += node.get("Plans", [])
    return found


def page_plan(person: Person, url: str, tables: str) -> tuple[str, Any]:
    """The SQL and the plan of the query that fetches the page: 50 rows and one more."""
    return next((sql, plan) for sql, plan in plans(person, url, tables) if "LIMIT 51" in sql)


def check_is_one_range(person: Person, url: str, table: str, index: str) -> None:
    """The page is read from `table` by `index`, in its order: nothing is sorted, nothing is read through."""
    sql, plan = page_plan(person, url, table)
    steps = nodes(plan, within=False)
    assert not {"Sort", "Incremental Sort"} & {step["Node Type"] for step in steps}, (url, steps)
    assert [step["Index Name"] for step in steps if step.get("Relation Name") == table] == [index], (url, steps)
    assert "COUNT(*)" not in sql
    read_through = [step for step in nodes(plan) if step["Node Type"] == "Seq Scan" and step["Relation Name"] == table]
    assert read_through == [], url


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

"""Times in query strings: those at the edge of the calendar are refused like any other nonsense."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import Person
from publishing.tests.builders import make_publication

EDGES = ("9999-12-31T23:00:00-14:00", "0001-01-01T00:00:00+14:00", "yesterday")
FILTERS = (
    ("jobs", "created_after"),
    ("jobs", "created_before"),
    ("segments", "created_after"),
    ("source-videos", "created_before"),
    ("publishing/publications", "scheduled_after"),
    ("publishing/publications", "scheduled_before"),
)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("address", "name"), FILTERS)
def test_a_time_that_does_not_exist_is_refused(owner: Person, address: str, name: str, edge: str) -> None:
    answer = owner.client.get(f"/api/v1/{address}/", {name: edge})
    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [name]


def test_a_time_counts_with_its_offset(owner: Person, in_scope: object) -> None:
    moment = timezone.now().replace(microsecond=0) + timedelta(days=1)
    make_publication(owner.profile, scheduled_at=moment)
    for hours in (-14, 14):
        elsewhere = moment.astimezone(timezone.get_fixed_timezone(timedelta(hours=hours))).isoformat()
        answer = owner.client.get("/api/v1/publishing/publications/", {"scheduled_after": elsewhere})
        assert len(answer.json()["results"]) == 1
    later = (moment + timedelta(seconds=1)).isoformat()
    assert owner.client.get("/api/v1/publishing/publications/", {"scheduled_after": later}).json()["results"] == []

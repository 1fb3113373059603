"""No budget is passed by spending at the same moment: a small version of the proof in `./test --soak`."""

import pytest

from tests import cap_races

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_cap_is_passed_by_many_at_once() -> None:
    print(cap_races.run(8, 6))


@pytest.mark.embedded
def test_no_cap_is_passed_on_the_embedded_default() -> None:
    print(cap_races.run(8, 6))


def test_control_without_the_guard_the_cap_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    print(cap_races.overspend(6, monkeypatch))

"""Every fault of Postiz × a SIGKILL at every point around the call, each three times: never two posts, none lost."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.soak.crew import Crew, crew
from tests.soak.fault_matrix import FAULTS, KILLS, matrix, run_editai, run_naive

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200), pytest.mark.django_db(transaction=True)]
TIMES = 3


@pytest.fixture(scope="module")
def hands(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew(tmp_path_factory.mktemp("workers"), 3) as made:
        yield made


def test_no_fault_and_no_kill_makes_two_posts_or_none(hands: Crew, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = True
    with matrix(hands, FAULTS, KILLS, TIMES) as made:
        print(run_editai(made))


def test_a_naive_client_posts_twice_under_the_same(hands: Crew) -> None:
    with matrix(hands, FAULTS, KILLS, TIMES) as made:
        print(run_naive(made))

"""A few faults of Postiz × a few kills of the worker, once each; `./test --soak` has all of them, three times."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.soak.crew import Crew, crew
from tests.soak.fault_matrix import matrix, run_editai, run_naive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
ROWS = ("500 before commit", "drop after commit", "truncated JSON")
COLUMNS = ("no kill", "intended", "committed")


@pytest.fixture(scope="module")
def hands(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew(tmp_path_factory.mktemp("workers"), 2) as made:
        yield made


def test_some_faults_with_some_kills_make_one_post_each(hands: Crew, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = True
    with matrix(hands, ROWS, COLUMNS, 1) as made:
        print(run_editai(made))


def test_a_naive_client_posts_twice_under_the_same(hands: Crew) -> None:
    with matrix(hands, ROWS, COLUMNS, 1) as made:
        print(run_naive(made))

"""Every fault of a metered provider × a SIGKILL at every step around a paid call, each three times: our ledger never
says less than the provider's bill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.crew import Crew, crew
from tests.soak.paid_matrix import KILLS, ROWS, matrix, run_all

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200), pytest.mark.django_db(transaction=True)]
TIMES = 3


@pytest.fixture(scope="module")
def hands(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew(tmp_path_factory.mktemp("workers"), 3, "tests.soak.paid_child") as made:
        yield made


def test_the_ledger_never_says_less_than_the_bill(hands: Crew, tmp_path: Path) -> None:
    with matrix(hands, tmp_path, ROWS, KILLS, TIMES) as made:
        print(run_all(made))

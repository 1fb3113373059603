"""What a test with transactions of its own leaves to the next one: what migrations seed, and nothing else."""

import pytest
from django.test import TransactionTestCase

from editai.clips.models import ExportPreset
from profiles.models import Profile, User
from profiles.services import profile_create
from publishing.models import NetworkRule

pytestmark = pytest.mark.django_db(transaction=True)


def emptied() -> None:
    class Case(TransactionTestCase):
        def runTest(self) -> None: ...

    Case()._fixture_teardown()  # type: ignore[attr-defined]


def seeds() -> list[object]:
    presets = ExportPreset.objects.order_by("slug").values("slug", "max_seconds", "min_seconds")
    return [*presets, *NetworkRule.objects.order_by("network", "rule").values_list("network", "rule", "value")]


@pytest.fixture(autouse=True)
def _people(transactional_db: None) -> None:
    user = User.objects.create(username="rosa")
    profile_create(user=user, name="Second brand")
    assert (User.objects.count(), Profile.objects.count()) == (1, 2)


def is_empty() -> bool:
    return not User.objects.exists() and not Profile.objects.exists()


def test_rows_go_and_seeds_stay_untouched() -> None:
    before, keys = seeds(), set(NetworkRule.objects.values_list("pk", flat=True))
    emptied()
    assert is_empty()
    assert (seeds(), set(NetworkRule.objects.values_list("pk", flat=True))) == (before, keys)
    assert len(before) > 50


def test_seeds_that_the_test_changed_are_as_before() -> None:
    before = seeds()
    ExportPreset.objects.update(max_seconds=7)
    NetworkRule.objects.filter(network="mastodon").delete()
    assert seeds() != before
    for _ in range(2):  # the keys are others now, and that is no change
        emptied()
        assert is_empty()
        assert seeds() == before

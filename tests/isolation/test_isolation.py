"""Nothing crosses from one brand to another: every route and method, every kind of caller, generated from the URL conf.

Two controls show that the test can fail: a planted view without a filter is caught once the net underneath is off,
and with both nets off cases fail in every app.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse

from profiles import tenancy
from tests.isolation import world as worlds
from tests.isolation.calls import CALLS, PUBLIC
from tests.isolation.checker import Call, World, violations
from tests.isolation.planted import PLANTED
from tests.isolation.routes import Route, api_routes

ROUTES = [route for route in api_routes() if route.key not in PUBLIC]
TRIED: Counter[tuple[str, str]] = Counter()


@pytest.fixture
def world(db: None, tmp_path: Path) -> World:
    return worlds.build(tmp_path)


def test_every_route_is_known_and_no_row_is_left_over() -> None:
    existing = {route.key for route in api_routes()}
    assert existing - PUBLIC - set(CALLS) == set(), "tell tests/isolation/calls.py how to call these"
    assert (set(CALLS) | PUBLIC) - existing == set(), "these routes are gone"


def test_the_list_of_public_routes_is_the_list_of_views_that_need_no_profile() -> None:
    open_views = {route.key for route in api_routes() if not getattr(route.view, "profile_required", True)}
    assert open_views == PUBLIC


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method}-{route.name}")
def test_nobody_else_gets_in(route: Route, world: World) -> None:
    found = violations(route, CALLS[route.key], world)
    TRIED.update(world.tried)
    assert not found, "\n".join(found)


def test_public_routes_answer_anybody(world: World) -> None:
    for name, method in PUBLIC:
        assert getattr(Client(), method)(reverse(name)).status_code not in {401, 403, 404, 500}


@pytest.fixture(scope="module", autouse=True)
def _print_what_was_tried() -> Iterator[None]:
    yield
    for (method, caller), count in sorted(TRIED.items()):
        print(f"isolation: {method.upper():6} {caller:26} {count:4} cases")


# --- controls ------------------------------------------------------------------------------------------


@contextmanager
def net_off() -> Iterator[None]:
    """The guarded managers let everything through."""
    with mock.patch.object(tenancy.InActiveScope, "as_sql", return_value=("1=1", [])):
        yield


@contextmanager
def filters_off() -> Iterator[None]:
    """`.for_profile(…)` filters nothing."""
    with mock.patch.object(tenancy.GuardedQuerySet, "for_profile", lambda self, profile: self.all()):
        yield


@pytest.mark.parametrize(("route", "call"), PLANTED, ids=["list", "detail"])
def test_the_net_holds_a_planted_view_and_without_it_the_test_catches_it(
    route: Route, call: Call, world: World, settings: object
) -> None:
    settings.ROOT_URLCONF = "tests.isolation.planted"  # type: ignore[attr-defined]
    assert violations(route, call, world) == []
    with net_off():
        assert violations(route, call, world) != []


@pytest.mark.parametrize("app", ["profiles", "jobs", "notify", "costs", "segments", "projects", "clips", "publishing"])
def test_without_both_nets_cases_fail_in_every_app(app: str, world: World) -> None:
    with net_off(), filters_off():
        for route in ROUTES:
            if route.app == app and violations(route, CALLS[route.key], world):
                return
    pytest.fail(f"with both nets off no case failed in {app}: its cases prove nothing")

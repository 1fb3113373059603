"""Rates and logins. Attack C10."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, RequestFactory
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Person
from profiles.api import counters
from profiles.api.throttles import LOGINS_PER_ADDRESS, LOGINS_PER_NAME, client_ip, parse_rate

TOKEN = "/api/v1/auth/token/"
TOYS = "/api/v1/toys/"
toys = pytest.mark.urls("profiles.tests.toys")


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_rates(**rates: str) -> None:
        monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "", "profile": "", "anon": "", **rates})

    return set_rates


def login(name: str, password: str, address: str = "192.0.2.1", client: APIClient | None = None) -> Any:
    client = client or APIClient()
    return client.post(TOKEN, {"username": name, "password": password}, format="json", REMOTE_ADDR=address)


def test_rates_are_read() -> None:
    assert parse_rate("1200/min") == (1200, 60)
    assert parse_rate("5/hour") == (5, 3600)


@toys
@pytest.mark.django_db
def test_a_person_over_the_rate_is_429_with_the_time_to_wait(owner: Person, stranger: Person, rates: Any) -> None:
    rates(user="3/hour")
    for _ in range(3):
        assert owner.client.get(TOYS).status_code == 200
    refused = owner.client.get(TOYS)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many"
    assert 1 <= int(refused["Retry-After"]) <= 4800
    assert stranger.client.get(TOYS).status_code == 200


@toys
@pytest.mark.django_db
def test_a_brand_has_a_rate_over_all_its_people(owner: Person, viewer: Person, stranger: Person, rates: Any) -> None:
    rates(profile="3/hour")
    answers = [person.client.get(TOYS).status_code for person in (owner, viewer, owner, viewer)]
    assert answers == [200, 200, 200, 429]
    assert stranger.client.get(TOYS).status_code == 200


@toys
@pytest.mark.django_db
def test_callers_without_a_name_are_counted_by_address(rates: Any) -> None:
    rates(anon="2/hour")
    answers = [APIClient(raise_request_exception=False).get("/api/v1/broken/").status_code for _ in range(3)]
    assert answers == [500, 500, 429]
    other = APIClient(raise_request_exception=False).get("/api/v1/broken/", REMOTE_ADDR="192.0.2.9")
    assert other.status_code == 500


@toys
def test_ten_wrong_logins_close_the_door_for_that_name_and_address_only(owner: Person, stranger: Person) -> None:
    for _ in range(LOGINS_PER_NAME):
        assert login("olga", "wrong").status_code == 401
    refused = login("olga", PASSWORD)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many_logins"
    assert 1 <= int(refused["Retry-After"]) <= 1000
    assert login("OLGA ".strip().upper(), "wrong").status_code == 429
    assert login("olga", PASSWORD, address="192.0.2.2").status_code == 200
    assert login("stan", PASSWORD).status_code == 200


@toys
def test_right_logins_cost_nothing(owner: Person) -> None:
    assert [login("olga", PASSWORD).status_code for _ in range(LOGINS_PER_ADDRESS + 5)] == [200] * 55


@toys
def test_fifty_wrong_logins_close_the_address(owner: Person) -> None:
    answers = [login(f"name{number}", "wrong").status_code for number in range(LOGINS_PER_ADDRESS + 1)]
    assert answers == [401] * LOGINS_PER_ADDRESS + [429]
    assert login("olga", PASSWORD).status_code == 429


@toys
def test_an_unknown_name_answers_like_a_wrong_password(owner: Person) -> None:
    known, unknown = login("olga", "wrong"), login("nobody", "wrong")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


@toys
@pytest.mark.django_db
def test_the_login_page_has_the_same_throttle(owner: Person, client: Client) -> None:
    for _ in range(LOGINS_PER_NAME):
        page = client.post("/login/", {"username": "olga", "password": "wrong"})
        assert page.status_code == 200
        assert "sessionid" not in page.cookies
    page = client.post("/login/", {"username": "olga", "password": PASSWORD})
    assert page.status_code == 429
    assert int(page["Retry-After"]) > 0
    assert b"Too many wrong logins" in page.content
    assert login("olga", PASSWORD, address="127.0.0.1").status_code == 429  # one count for all doors
    assert client.post("/admin/login/", {"username": "olga", "password": PASSWORD}).status_code in {302, 404}


def test_only_trusted_proxies_speak_for_others(settings: Any) -> None:
    def ip(remote: str, forwarded: str = "") -> str:
        return client_ip(RequestFactory().get("/", REMOTE_ADDR=remote, headers={"X-Forwarded-For": forwarded}))

    settings.TRUSTED_PROXIES = []
    assert ip("203.0.113.5", "1.1.1.1") == "203.0.113.5"
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "unix"]
    assert ip("203.0.113.5", "1.1.1.1") == "203.0.113.5"
    assert ip("10.0.0.1", "6.6.6.6, 203.0.113.5") == "203.0.113.5"
    assert ip("10.0.0.1", "6.6.6.6, 203.0.113.5, 10.1.1.1") == "203.0.113.5"
    assert ip("", "203.0.113.5") == "203.0.113.5"
    assert ip("10.0.0.1", "nonsense") == "unknown"
    assert ip("2001:db8:1:2:aaaa::1") == ip("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert ip("::ffff:192.0.2.7") == "192.0.2.7"


def test_counters_are_exact_under_threads_and_shared_by_processes(tmp_path: Path) -> None:
    first, second = counters.FileCounters(tmp_path / "c"), counters.FileCounters(tmp_path / "c")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: (first, second)[number % 2].change("k", 60, 7, 1), range(400)))
    assert first.change("k", 60, 7, 0) == second.change("k", 60, 7, 0) == (400, 0)
    assert second.change("k", 60, 7, -1) == (399, 0)
    assert first.change("other", 60, 7, -1) == (0, 0)
    assert first.change("k", 60, 8, 1) == (1, 399)
    assert first.change("k", 60, 10, 1) == (1, 0)
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o600


def test_a_flood_of_keys_leaves_a_busy_counter_alone(tmp_path: Path) -> None:
    many = counters.FileCounters(tmp_path / "c")
    for _ in range(10):
        many.change("attacked", 60, 7, 1)
    for number in range(100_000):
        many.change(f"key {number}", 60, 7, 1)
    assert many.change("attacked", 60, 7, 0) == (10, 0)
    assert (tmp_path / "c").stat().st_size == 2**20


def test_no_border_between_windows_lets_more_through(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 900.0 * 1_000_000 + 899.5  # half a second before a border
    monkeypatch.setattr(time, "time", lambda: now)
    key = f"border {id(monkeypatch)}"
    assert [counters.admit(key, 900, 10) for _ in range(12)] == [True] * 10 + [False] * 2
    now += 1
    assert not counters.admit(key, 900, 10)
    now += counters.seconds_to_wait(900, 10) - 900  # as told before the border
    now += 90
    assert counters.admit(key, 900, 10)
    now += 1800
    assert [counters.admit(key, 900, 10) for _ in range(11)] == [True] * 10 + [False]

"""Replies that are not as they should be: read as far as that is safe, and no further."""

import datetime
import json
from typing import Any

import pytest

from publishing.postiz import errors
from publishing.postiz.client import Postiz
from tests.raw_server import raw_server, reply

pytestmark = pytest.mark.usefixtures("private_hosts")


def test_a_list_of_posts_is_whole_or_an_error() -> None:
    row = {"publishDate": "2026-11-23T10:02:03.417Z", "integration": {"id": "c"}, "state": "WHATEVER", "new": [1]}
    start = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)

    def listed(rows: list[Any]) -> Any:
        with raw_server(reply(json.dumps({"posts": rows}).encode())) as server:
            return Postiz(f"http://127.0.0.1:{server.port}", "k", retries=0).list_posts(start, start)

    assert [post.state for post in listed([{"id": "p", **row}])] == ["WHATEVER"]
    with pytest.raises(errors.ListTooLong):
        listed([{"id": f"p{number}", **row} for number in range(1001)])
    with pytest.raises(errors.ListTooLong):
        listed([{"id": "p", **row, "content": "x" * 6 * 2**20}])
    early = {"publishDate": "0001-01-01T00:00:00+14:00"}
    for broken in ({"id": 5}, {}, {"id": "a\0"}, {"id": "p", "publishDate": "soon"}, "p", {"id": "p", **early}):
        with pytest.raises(errors.Unreadable):
            listed([{"id": "q", **row}, {**row, **broken} if isinstance(broken, dict) else broken])


def test_texts_can_be_stored_whatever_is_in_them() -> None:
    odd = rb'[{"id":"c1","name":"A\u0000B\ud800","picture":5,"profile":null,"customer":[],"disabled":"yes"}]'
    with raw_server(reply(odd)) as server:
        [channel] = Postiz(f"http://127.0.0.1:{server.port}", "k").integrations()
    assert (channel.name, channel.picture, channel.handle, channel.customer) == ("AB?", "", "", "")
    assert channel.disabled is False


def test_a_repeating_post_is_listed_once() -> None:
    days = [{"id": "p", "publishDate": f"2026-11-{day}T10:00:00Z", "integration": {"id": "c"}} for day in (25, 23, 24)]
    other = {"id": "q", "publishDate": "2026-11-24T09:00:00Z"}
    start = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
    with raw_server(reply(json.dumps({"posts": [*days, other]}).encode())) as server:
        listed = Postiz(f"http://127.0.0.1:{server.port}", "k").list_posts(start, start)
    assert [(post.id, post.publish_date.day) for post in listed] == [("p", 23), ("q", 24)]

"""What is no message is discarded, and the next message still arrives: through real files and a real Redis."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from kombu import Connection, Consumer, Queue

from editai import broker

REDIS_URL = f"{settings.REDIS_URL.rpartition('/')[0]}/6"  # a database of its own
Drop = Callable[[str, bytes], object]
QUEUE = "test-broker"
PROPERTIES = b'{"delivery_tag": "1", "delivery_info": {}}'
MALFORMED = {
    "nothing": b"",
    "words": b"not json",
    "bytes": b"\xff\xfe\x00",
    "empty object": b"{}",
    "list": b"[1,2]",
    "number": b"7",
    "null": b"null",
    "truncated": b'{"body": "W10=", "properties": {"deliv',
    "deep": b"[" * 100_000,
    "no tag": b'{"body": "W10=", "headers": {}, "properties": {"delivery_info": {}}}',
    "strange properties": b'{"body": "W10=", "headers": {}, "properties": [1]}',
    "strange headers": b'{"body": "W10=", "headers": 1, "properties": ' + PROPERTIES + b"}",
    "strange body": b'{"body": {"a": 1}, "headers": {}, "properties": ' + PROPERTIES + b"}",
    "task without id": b'{"body": "W10=", "headers": {"task": "x"}, "properties": ' + PROPERTIES + b"}",
    "strange encoding": b'{"body": "W10=", "headers": {}, "properties": '
    b'{"delivery_tag": "1", "delivery_info": {}, "body_encoding": "rot13"}}',
    "not base64": b'{"body": "W", "headers": {}, "properties": '
    b'{"delivery_tag": "1", "delivery_info": {}, "body_encoding": "base64"}}',
}


@pytest.fixture(params=["folder", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Connection, Drop]]:
    """A connection, and what puts bytes into its queue as they are."""
    broker.install()
    if request.param == "redis":
        if not settings.REDIS_URL:
            pytest.skip("there is no Redis here")
        server = redis.Redis.from_url(REDIS_URL)
        server.flushdb()
        with Connection(REDIS_URL) as connection:
            yield connection, server.lpush
        return
    options = {name: str(tmp_path / name) for name in ("data_folder_in", "control_folder")}
    for folder in options.values():
        Path(folder).mkdir()
    options["data_folder_out"] = options["data_folder_in"]

    def drop(queue: str, data: bytes) -> None:
        (Path(options["data_folder_in"]) / f"0_bad.{queue}.msg").write_bytes(data)

    with Connection("filesystem://", transport_options=options) as connection:
        yield connection, drop


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_message_is_discarded(
    place: tuple[Connection, Drop], data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    connection, drop = place
    received: list[Any] = []

    def receive(body: Any, message: Any) -> None:
        received.append(body)
        message.ack()

    queue = Queue(QUEUE)
    with caplog.at_level(logging.WARNING, "editai.broker"), Consumer(connection, [queue], callbacks=[receive]):
        drop(QUEUE, data)
        connection.Producer().publish({"well": "formed"}, routing_key=QUEUE, declare=[queue])
        while not received:
            connection.drain_events(timeout=10)
    assert received == [{"well": "formed"}]
    said = [record.getMessage() for record in caplog.records if record.name == "editai.broker"]
    if data or isinstance(connection.transport, broker.FolderTransport):
        assert len(said) == 1
        assert said[0].startswith("Discarded")


def test_an_error_of_the_receiver_is_not_hidden(place: tuple[Connection, Drop]) -> None:
    connection, _ = place

    def fail(body: Any, message: Any) -> None:
        message.ack()
        raise ValueError("a defect")

    queue = Queue(QUEUE)
    with Consumer(connection, [queue], callbacks=[fail]):
        connection.Producer().publish({}, routing_key=QUEUE, declare=[queue])
        with pytest.raises(ValueError, match="a defect"):
            connection.drain_events(timeout=10)

"""kombu's transports, made to survive what is no message: they discard it and say so, instead of ending the worker.

A message is a bell only (the row in the database is the truth), so nothing is lost: the reaper rings again.
"""

import logging
from queue import Empty
from typing import Any

from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES, filesystem, redis, virtual

# kombu's stubs leave out what is overridden here.
_folder: Any = filesystem
_redis: Any = redis
log = logging.getLogger(__name__)

# What parsing foreign text may raise: no JSON, no UTF-8, JSON of another shape, JSON nested too deeply.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def install() -> None:
    """Has every connection to `filesystem://`, `redis://` and `rediss://` use the transports below."""
    TRANSPORT_ALIASES["filesystem"] = "editai.broker:FolderTransport"
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "editai.broker:RedisTransport"


def flaw(raw: Any, channel: Any) -> str:
    """Why kombu or Celery could not take `raw` for a message; empty when they can."""
    if not isinstance(raw, dict):
        return "not an object"
    properties, headers = raw.get("properties"), raw.get("headers")
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_info"), dict):
        return "no properties"
    if not isinstance(headers, dict) or not isinstance(raw.get("body"), str):
        return "no headers or no body"
    if "task" in headers and not (isinstance(headers["task"], str) and isinstance(headers.get("id"), str)):
        return "a task without a name or an id"
    try:
        virtual.Message(raw, channel=channel)
    except (*_UNREADABLE, KombuError) as error:
        return type(error).__name__
    return ""


def _discard(queue: str, why: str) -> None:
    log.warning("Discarded what is no message from queue %s (%s).", queue, why)


class FolderChannel(_folder.Channel):
    def _get(self, queue: str) -> Any:
        """The next message; kombu's has taken the file away before it reads it."""
        while True:
            try:
                raw = super()._get(queue)
            except Empty:
                raise
            except _UNREADABLE as error:
                _discard(queue, type(error).__name__)
                continue
            why = flaw(raw, self)
            if not why:
                return raw
            _discard(queue, why)


class FolderTransport(_folder.Transport):
    Channel = FolderChannel


class RedisChannel(_redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        self.connection.is_delivering = False
        try:
            return super()._brpop_read(**options)
        except _UNREADABLE as error:
            if self.connection.is_delivering:  # a defect of the receiver's
                raise
            _discard("in Redis", type(error).__name__)
            return True


class RedisTransport(_redis.Transport):
    Channel = RedisChannel
    is_delivering = False

    def _deliver(self, message: Any, queue: str) -> None:
        self.is_delivering = True
        why = flaw(message, next((channel for channel in self.channels if channel), None))
        if why:
            _discard(queue, why)
            return
        super()._deliver(message, queue)

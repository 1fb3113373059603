"""The client of Postiz' public API: one call for each thing, typed results and typed errors, no database.

    postiz = Postiz("https://postiz.example.org/api/public/v1", key)
    media = postiz.upload(path, name="clip.mp4")
    created = postiz.create_post(PostRequest(channel_id=…, network="tiktok", text="…", media=[media], date=…))

Postiz knows no idempotency: the same body twice is published twice. So `create_post` is sent again only when surely
nothing was sent, always as "schedule" with a date to the millisecond, by which the caller finds it again. Of its
errors, `OutcomeUnknown` alone means that the post may exist; after every other one it does not.

Waits and retries: GET 20 s, ≤ 5 retries after 1, 2, 4, 8, 16 s and a bit (network, 5xx, empty 401, short 429);
POST 60 s; DELETE 30 s; uploads as in `postiz_upload`.
"""

import datetime
import email.utils
import html
import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from django.utils import timezone

from profiles.addresses import AddressNotAllowed
from profiles.outbound import Broken, Guarded, NotSent, Reply, Timeout, TooMuch
from publishing.postiz import errors, replies
from publishing.postiz.errors import PostizError, Refused
from publishing.postiz.refusals import DECIDED, is_success, problem_of
from publishing.postiz.replies import (
    Channel,
    ChannelSettings,
    Created,
    Features,
    Group,
    Media,
    NotificationPage,
    Post,
)
from publishing.postiz.upload import Upload

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

MAX_POST_BYTES = 90_000  # the JSON parser of its public API takes 100 kB
SHORTEST_KEY = 8  # what is shorter is no secret, and would be found in any text
RETRIES = 5
LONGEST_PAUSE = 60  # seconds; a 429 that asks for more is the caller's to wait for
GET_TIMEOUT = Timeout(connect=5, read=20, total=25)
POST_TIMEOUT = Timeout(connect=5, read=60, total=70)
DELETE_TIMEOUT = Timeout(connect=5, read=30, total=35)
DOUBT = datetime.timedelta(seconds=15)  # of clocks, and of what is begun a little early; a Date header has seconds
_FURTHEST_AHEAD = datetime.timedelta(days=1)  # no clock is that wrong: such a header says nothing
_BEARER = re.compile(r"\s*bearer\s+", re.IGNORECASE)


@dataclass(frozen=True)
class PostRequest:
    """A post of one channel. `date`: with a zone, unique among the channel's posts to the millisecond.

    `settings` as the network wants them; `client_ref` is our mark in them. `media`: what `upload` gave. `comment`: the
    first one below the post, if any.
    """

    channel_id: str
    network: str
    text: str
    media: Sequence[Media]
    date: datetime.datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    client_ref: str = ""
    comment: str = ""


class Postiz:
    """One organisation of one Postiz. The key goes nowhere but into the header of its calls.

    `retries`: of harmless calls (0 where a person waits). `sleep` and `jitter` (0…1) are for tests.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        key = _BEARER.sub("", key, count=1) if _BEARER.match(key) else key  # pasted with it; Postiz wants it bare
        self._key = key.encode()
        self._http = Guarded(self.base_url, headers={"Authorization": key})
        self._ahead = datetime.timedelta(0)  # its clock before ours, as last told
        self._retries = retries
        self._sleep = sleep
        self._jitter = jitter

    def __repr__(self) -> str:
        return f"<Postiz {self._http!r}>"

    def may_be_past(self, date: datetime.datetime) -> bool:
        """Whether it may be `date` by now: by our clock, or by that of Postiz as it told last. In doubt yes."""
        return timezone.now() + max(self._ahead, datetime.timedelta(0)) + DOUBT >= date

    # --- reading ---------------------------------------------------------------------------------------

    def is_connected(self, *, timeout: Timeout = GET_TIMEOUT, retries: int | None = None) -> None:
        """Passes when this is a Postiz that knows the key; else BadKey, NoSubscription, NotPostiz, Unavailable, …"""
        try:
            answer = self._get("/is-connected", timeout=timeout, retries=retries)
        except errors.Unsupported as error:  # every version knows it
            raise errors.NotPostiz(detail=error.detail) from error
        if not isinstance(answer, dict) or answer.get("connected") is not True:
            raise errors.NotPostiz

    def integrations(self) -> list[Channel]:
        """The channels, disabled ones too; of more than 1000 the first."""
        return replies.channels_of(self._get("/integrations"))

    def integration_settings(self, channel_id: str) -> ChannelSettings:
        """What the channel takes now. ChannelGone, or Unsupported before 2.18."""
        return replies.channel_settings_of(self._get(f"/integration-settings/{part(channel_id)}"))

    def groups(self) -> list[Group]:
        """Customers that channels are sorted by. Unsupported before 2.21.9."""
        return replies.groups_of(self._get("/groups"))

    def features(self) -> Features:
        """Probes what this version can do: there is no version to ask for."""
        try:
            self.groups()
        except errors.Unsupported:
            return Features(groups=False)
        return Features(groups=True)

    def list_posts(self, start: datetime.datetime, end: datetime.datetime) -> list[Post]:
        """All posts from `start` to `end`, both included, by date. ListTooLong above 1000, or 5 MB."""
        try:
            listed = self._get("/posts", {"startDate": moment(start), "endDate": moment(end)})
        except errors.ReplyTooLarge as error:
            raise errors.ListTooLong(detail=error.detail) from error
        return replies.posts_of(listed)

    def notifications(self, page: int = 0) -> NotificationPage:
        """What Postiz tells its people: the only place that says why a post failed. Unsupported before 2.17."""
        return replies.notifications_of(self._get("/notifications", {"page": str(page)}))

    def find_slot(self, channel_id: str) -> datetime.datetime:
        """The next free time of the channel by its own timetable."""
        return replies.slot_of(self._get(f"/find-slot/{part(channel_id)}"))

    # --- writing ---------------------------------------------------------------------------------------

    def create_post(self, post: PostRequest, *, ends_at: float | None = None) -> Created:
        """Hands a post over. OutcomeUnknown: it may exist; any other error: it does not. Retries included it is over,
        and surely no byte leaves any more, at `ends_at` (of `time.monotonic`; by default after POST_TIMEOUT.total).

        Refused (with fields), ChannelGone, TooLarge, QuotaUsedUp, RateLimited, BadKey, NoSubscription: Postiz said no.
        Unavailable and NotSent: it was not reached, or turned the call away before looking at it.
        """
        body = post_body(post)
        end = time.monotonic() + POST_TIMEOUT.total if ends_at is None else ends_at
        reply = self._again(lambda: self._create(body, end), on=(errors.NotSent,))
        if not is_success(reply):
            if reply.status in DECIDED:
                raise problem_of(reply)
            raise errors.OutcomeUnknown(detail=f"{reply.status} {replies.said(reply)}")
        return replies.created_of(reply, post.channel_id)

    def _create(self, body: bytes, ends_at: float) -> Reply:
        headers = {"Content-Type": "application/json"}
        left = ends_at - time.monotonic()
        if left <= 0:
            raise errors.NotSentInTime
        timeout = replace(POST_TIMEOUT, total=min(left, POST_TIMEOUT.total))
        try:
            return self.call("POST", "/posts", content=body, headers=headers, timeout=timeout)
        except errors.NotSent:
            raise
        except errors.Unavailable as error:  # broken off after bytes may have left, or a reply without end
            raise errors.OutcomeUnknown(detail=error.detail) from error

    def delete_group(self, group: str) -> None:
        """Takes the posts of the group (of `list_posts`) back. Passes for unknown ones too: list them to be sure.

        It can't stop what is being published this moment, and removes nothing from the network.
        """
        self._again(lambda: self._done("DELETE", f"/posts/group/{part(group)}", timeout=DELETE_TIMEOUT))

    def delete_post(self, post_id: str) -> None:
        """The same by a post's id. Unavailable also for one that is gone already (a 500): list them to be sure."""
        self._again(
            lambda: self._done("DELETE", f"/posts/{part(post_id)}", timeout=DELETE_TIMEOUT), on=(errors.NotSent,)
        )

    def integration_trigger(self, channel_id: str, method: str, data: Mapping[str, Any] | None = None) -> Any:
        """Runs a tool of a channel (`boards`) and gives its output. ChannelDisconnected, ChannelGone, Unsupported."""
        body = {"methodName": method, "data": dict(data or {})}
        path = f"/integration-trigger/{part(channel_id)}"
        reply = self._again(lambda: self._done("POST", path, json=body, timeout=POST_TIMEOUT), on=(errors.NotSent,))
        content = replies.content_of(reply)
        if not isinstance(content, dict) or "output" not in content:
            raise errors.Unreadable
        return content["output"]

    def upload(
        self,
        path: Path,
        *,
        name: str,
        on_progress: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Media:
        """Sends a file; a second one of the same is harmless. See `postiz_upload.Upload` for retries and errors."""
        return Upload(self, path, name=name, on_progress=on_progress, should_stop=should_stop).run()

    # --- how -------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, **options: Any) -> Reply:
        """One call as it is; its failures as errors of ours. The key is taken out of what comes back."""
        began = timezone.now()
        try:
            reply = self._http.request(method, path, **options)
        except AddressNotAllowed as error:
            raise errors.AddressRefused(error.message) from error
        except NotSent as error:
            raise errors.NotSent(detail=str(error)) from error
        except TooMuch as error:
            raise errors.ReplyTooLarge(detail=str(error)) from error
        except Broken as error:
            raise errors.Unavailable(detail=str(error)) from error
        self._ahead = _ahead(reply, began, self._ahead)
        if len(self._key) >= SHORTEST_KEY and self._key in reply.body:
            reply = Reply(reply.status, reply.headers, reply.body.replace(self._key, b"***"))
        return reply

    def pause(self, attempt: int) -> None:
        """1, 2, 4, 8, 16 s and up to half as much again, before retry `attempt` (from 0)."""
        self._sleep(2**attempt * (1 + self._jitter() / 2))

    def _done(self, method: str, path: str, **options: Any) -> Reply:
        reply = self.call(method, path, **options)
        if not is_success(reply):
            raise problem_of(reply)
        return reply

    def _get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: Timeout = GET_TIMEOUT,
        retries: int | None = None,
    ) -> Any:
        return self._again(
            lambda: replies.content_of(self._done("GET", path, params=params, timeout=timeout)),
            on=(errors.Unavailable, errors.RateLimited),
            retries=retries,
        )

    def _again(
        self,
        act: Callable[[], Result],
        *,
        on: tuple[type[PostizError], ...] = (errors.Unavailable,),
        retries: int | None = None,
    ) -> Result:
        for attempt in range(self._retries if retries is None else retries):
            try:
                return act()
            except on as error:
                if isinstance(error, errors.ReplyTooLarge | errors.NotSentInTime):
                    raise
                if isinstance(error, errors.RateLimited) and error.retry_after > LONGEST_PAUSE:
                    raise
                logger.info("Postiz: %s (%s), again", error.code, error.detail)
            self.pause(attempt)
        return act()


def _ahead(reply: Reply, began: datetime.datetime, known: datetime.timedelta) -> datetime.timedelta:
    """By how much its clock is ahead of ours, rather too much than too little; `known` when the reply does not say."""
    try:
        told = email.utils.parsedate_to_datetime(reply.headers.get("date", ""))
        ahead = (told if told.tzinfo else told.replace(tzinfo=datetime.UTC)) - began
    except (ValueError, OverflowError):
        return known
    return ahead if abs(ahead) <= _FURTHEST_AHEAD else known


def part(value: str) -> str:
    """An id as one part of a path, whatever is in it."""
    if value in {"", ".", ".."}:
        raise Refused("This is no id of Postiz.")
    return quote(value, safe="")


def moment(date: datetime.datetime) -> str:
    """As Postiz wants it: UTC, milliseconds, Z. ValueError without a zone."""
    if date.tzinfo is None:
        raise ValueError("a time of day without a zone")
    return date.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def post_text(text: str) -> str:
    """Postiz cleans texts as HTML: without "<" a text stays as it is; else each line becomes an escaped paragraph."""
    if "<" not in text:
        return text
    return "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in text.splitlines())


def post_body(post: PostRequest) -> bytes:
    """The JSON of POST /posts: nothing in it edits, replaces or repeats another post. TooLarge above 90 kB."""
    settings = {**post.settings, "__type": post.network}
    if post.client_ref:
        settings["client_ref"] = post.client_ref
    if any("plug-" in name for name in settings):  # would set off a plug of Postiz
        raise Refused("A setting has a name that Postiz keeps for itself.", fields={"settings": ["Not allowed: plug-"]})
    values = [{"content": post_text(post.text), "image": list(_images(post.media))}]
    if post.comment:
        values.append({"content": post_text(post.comment), "image": []})
    body = {
        "type": "schedule",  # anything but "draft" and "now" is one, a typo too: never from outside
        "date": moment(post.date),
        "shortLink": False,
        "tags": [],
        "posts": [{"integration": {"id": post.channel_id}, "value": values, "settings": settings}],
    }
    packed = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    if len(packed) >= MAX_POST_BYTES:
        raise errors.TooLarge("Text and settings of the post are too long for Postiz.", detail=f"{len(packed)} bytes")
    return packed


def _images(media: Iterable[Media]) -> Iterable[dict[str, str]]:
    for one in media:
        optional = {name: value for name, value in (("thumbnail", one.thumbnail), ("alt", one.alt)) if value}
        yield {"id": one.id, "path": one.path, **optional}

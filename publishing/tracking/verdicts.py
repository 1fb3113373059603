"""What a post of Postiz' list means. No state of it is taken at its word alone:

- what has a link or an id on the network is there, even when the state says ERROR;
- ERROR is provisional: its workflow may try again and succeed, and "could not confirm" may be live;
- QUEUE long after its time is a post that nobody works at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from publishing.channels.texts import clean, web_link
from publishing.models import Publication
from publishing.postiz.replies import Notification, Post
from publishing.tracking.rhythm import WATCHED_FOR
from publishing.transitions import problem

WITH_REASON = timedelta(minutes=10)  # an error that stays that long, and says why, is one
WITHOUT_REASON = timedelta(minutes=60)
LATE = timedelta(minutes=60)
_INBOX = "tiktok.com/messages"
_MISSING = "missing"  # a release id that Postiz could not find out
_COULD_NOT_CONFIRM = ("could not confirm", "couldn't confirm")
_UPLOADED_ALL_THE_SAME = "we have uploaded your video but"
_LIVE_BEFORE = "already posted"
_RECONNECT = ("need to reconnect", "refresh channel needed")
_DISABLED = ("it's disabled", "channel disabled")


class Meaning(Enum):
    WAITS = auto()
    LATE = auto()
    STUCK = auto()
    PUBLISHED = auto()
    ERROR = auto()  # provisional: look again
    FAILED = auto()
    UNCERTAIN = auto()


@dataclass(frozen=True)
class Verdict:
    """`problem`: for people; of a published one what is left to do. `url` is fit for a link."""

    meaning: Meaning
    problem: dict[str, Any] | None = None
    url: str = ""
    release_id: str = ""
    may_be_live: bool = False


def judge(publication: Publication, post: Post, notices: Sequence[Notification], now: datetime) -> Verdict:
    if post.state == "PUBLISHED" or post.release_url or post.release_id:
        return _published(post)
    if post.state == "ERROR":
        return _error(publication, post, reason_of(post, notices), now)
    late = now - post.publish_date
    if late >= WATCHED_FOR:
        return Verdict(Meaning.STUCK, _not_published("It stays there until somebody deletes it, and won't go out."))
    if late >= LATE:
        return Verdict(Meaning.LATE, _not_published("Look whether its worker (Temporal) runs; it may still go out."))
    return Verdict(Meaning.WAITS)


def _not_published(next_step: str) -> dict[str, Any]:
    return problem("stuck_at_postiz", "Accepted but not published by Postiz (worker/Temporal?).", next_step=next_step)


def _published(post: Post) -> Verdict:
    url, release_id = web_link(post.release_url), clean(post.release_id, 500)
    remark = None
    if post.release_id == _MISSING and _INBOX in post.release_url:
        step = "Finish it in the app within 24 hours."
        remark = problem("tiktok_inbox", "Sent to the TikTok inbox.", next_step=step)
    elif post.state == "ERROR":
        remark = problem("error_but_live", "Postiz reports an error, but it is on the network.")
    return Verdict(Meaning.PUBLISHED, remark, url, "" if release_id == _MISSING else release_id)


def _error(publication: Publication, post: Post, reason: str, now: datetime) -> Verdict:
    low = reason.lower()
    if _UPLOADED_ALL_THE_SAME in low:
        step = "Set the thumbnail on YouTube by hand."
        return Verdict(Meaning.PUBLISHED, problem("thumbnail_refused", clean(reason, 500), next_step=step))
    if any(words in low for words in _COULD_NOT_CONFIRM):
        step = "Look at the channel before you post it again."
        message = "May be live; check the account before reposting."
        return Verdict(Meaning.UNCERTAIN, problem("may_be_live", message, next_step=step), may_be_live=True)
    seen = publication.error_seen_at or now
    if now - seen < (WITH_REASON if reason else WITHOUT_REASON):
        return Verdict(Meaning.ERROR)
    return Verdict(Meaning.FAILED, _failure(reason), may_be_live=not reason or _LIVE_BEFORE in low)


def _failure(reason: str) -> dict[str, Any]:
    low = reason.lower()
    if not reason:
        step = "Look at the channel and at Postiz before you post it again."
        return problem("failed_at_network", "Postiz reports an error and does not say why.", next_step=step)
    if any(words in low for words in _RECONNECT):
        return problem("channel_disconnected", clean(reason, 500), next_step="Reconnect the channel in Postiz.",
                       retryable=True)  # fmt: skip
    if any(words in low for words in _DISABLED):
        return problem("channel_disabled", clean(reason, 500), next_step="Switch the channel on in Postiz.",
                       retryable=True)  # fmt: skip
    return problem("failed_at_network", clean(reason, 500), retryable=True)


def reason_of(post: Post, notices: Sequence[Notification]) -> str:
    """Why a post failed: what its row says (newer versions), else the first notice after its date that fits channel and
    network. Texts that name no channel are the best guess that there is."""
    if post.error:
        return post.error
    after = [notice for notice in notices if notice.created_at >= post.publish_date and _is_trouble(notice)]
    fitting = [notice for notice in after if _names(notice, post.network)]
    named = [notice for notice in fitting if post.channel_name and post.channel_name in notice.content]
    unnamed = [notice for notice in fitting if "an error occurred while posting on" in notice.content.lower()]
    found = min(named or unnamed, key=lambda notice: notice.created_at, default=None)
    return found.content if found else ""


def _is_trouble(notice: Notification) -> bool:
    return "has been published" not in notice.content.lower()


def _names(notice: Notification, network: str) -> bool:
    return network.partition("-")[0].lower() in notice.content.lower()

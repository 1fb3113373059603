"""What can go wrong with Postiz, as errors with a text for people.

Every error has `code`, `message`, `next_step` ("" when there is nothing to do), and `retryable`: whether the same call
may simply be made again later. `detail` is what Postiz said, shortened, for the log. No error holds the key.
"""

from collections.abc import Mapping, Sequence


class PostizError(Exception):
    code = "postiz_error"
    text = "Postiz did not do what was asked."
    next_step = ""
    retryable = False

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message or self.text)
        self.message = message or self.text
        self.detail = detail


class Unavailable(PostizError):
    """Nothing was decided: no connection, no reply in time, 5xx, 408, a 401 without a word (its database is down)."""

    code = "postiz_unavailable"
    text = "Postiz is unavailable; we keep trying."
    next_step = "Nothing, if it is back soon; else who runs Postiz has to look."
    retryable = True


class NotSent(Unavailable):
    """Surely nothing left this machine: name, connection or TLS failed."""


class NotSentInTime(NotSent):
    """Its time was over before anything was sent."""

    text = "It was not handed over in time; we keep trying."


class Unreadable(Unavailable):
    """A reply came, and is no JSON, of another shape, or larger than allowed."""

    code = "postiz_reply_unreadable"
    text = "Postiz gave a reply that can't be read."
    next_step = "Check that the address leads to Postiz; who runs it looks at what stands in front of it."


class ReplyTooLarge(Unreadable):
    """Larger than is read: asking again gives the same."""


class OutcomeUnknown(PostizError):
    """The post may have been created, or still be: look for it by its date, never send it again because of this."""

    code = "postiz_outcome_unknown"
    text = "Postiz did not confirm; checking – do not repost."


class AddressRefused(PostizError):
    """The name of the stored address points to an address now that may not be called."""

    code = "address_not_allowed"
    next_step = "Enter the address of Postiz again, or have it allowed by who runs this server."


class NotPostiz(PostizError):
    """HTML, a redirect, or JSON of something else."""

    code = "not_postiz"
    text = "This address is not a Postiz API (try …/api) or version too old."
    next_step = "Check the address of Postiz."


class Unsupported(PostizError):
    """This Postiz does not know the route: its version is too old, which says nothing about the data."""

    code = "postiz_too_old"
    text = "This version of Postiz can't do that."
    next_step = "Update Postiz."


class BadKey(PostizError):
    code = "postiz_key_refused"
    text = "Postiz rejected the API key – paste it again (Settings → Developers → Public API), without 'Bearer'."
    next_step = "Enter the API key again."


class NoSubscription(PostizError):
    code = "postiz_no_subscription"
    text = "The Postiz account has no active plan."
    next_step = "Renew the plan in Postiz."


class QuotaUsedUp(PostizError):
    """`url`: where the plan is changed (https), or empty."""

    code = "postiz_quota_used_up"
    text = "Posting quota of the Postiz plan used up."

    def __init__(self, message: str = "", *, url: str = "", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.url = url
        self.next_step = f"Change the plan: {url}" if url else "Change the plan in Postiz."


class RateLimited(PostizError):
    """`retry_after`: seconds until calls are let in again (each call before makes it no longer)."""

    code = "postiz_rate_limited"
    retryable = True

    def __init__(self, retry_after: int, *, detail: str = "") -> None:
        minutes = max(1, round(retry_after / 60))
        super().__init__(f"Hourly limit of Postiz reached; continues in {minutes} min.", detail=detail)
        self.retry_after = retry_after


class Refused(PostizError):
    """Postiz said no to what was sent, and will again. `fields`: what is wrong, by the name of the setting or field."""

    code = "postiz_refused"
    text = "Postiz refused this."
    next_step = "Change what it names (words, settings or media), then retry."

    def __init__(
        self, message: str = "", *, fields: Mapping[str, Sequence[str]] | None = None, detail: str = ""
    ) -> None:
        super().__init__(message, detail=detail)
        self.fields = {name: list(texts) for name, texts in (fields or {}).items()}


class ChannelGone(Refused):
    code = "postiz_channel_gone"
    text = "Channel was removed from Postiz; reload channels."
    next_step = "Reload the channels."


class ChannelDisconnected(Refused):
    """The token of the network ran out; the API key is good."""

    code = "postiz_channel_disconnected"
    text = "Reconnect the channel in Postiz."
    next_step = "Reconnect the channel in Postiz."


class MediaRefused(Refused):
    code = "postiz_media_refused"
    next_step = "Fix the clip for this network, then retry."
    text = "Video must be MP4, max 1 GB."


class TooLarge(Refused):
    """Of a file by a 413; of a post before anything is sent."""

    code = "postiz_too_large"
    next_step = "Who runs Postiz raises the limit, or make a smaller file; then retry."
    text = "The server in front of Postiz limits uploads (413): raise client_max_body_size / use a smaller file."


class ListTooLong(PostizError):
    """More rows than are read. A part of them would look like the whole: ask for a shorter time."""

    code = "postiz_list_too_long"
    text = "Postiz lists more posts than can be read at once."


class Stopped(PostizError):
    """`should_stop` said so."""

    code = "stopped"
    text = "The upload was stopped."

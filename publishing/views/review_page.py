"""The page behind a review link: plain HTML, no script, no cookie, no account; a phone is enough.

Whoever has the address may look, so nothing is told apart from outside: a wrong, expired, revoked or foreign one gets
the same 404, and twenty wrong ones a minute end in 429. No CSRF token: there is no cookie that could be misused, and
what a form says counts only together with the signed token of the page that it came from.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from profiles import scope
from profiles.api import counters
from profiles.api.errors import page_error
from profiles.api.media import serve_file
from profiles.api.throttles import client_ip
from profiles.errors import Conflict, DomainError, NotFound, TooMany
from profiles.models import Profile, StoredFile
from publishing.models import Decision, Publication, ReviewLink
from publishing.planning.schedule import zone_of
from publishing.preferences import preferences_of
from publishing.review import links as review
from publishing.rules.facts import name_of

MINUTE = 60
WRONG_TRIES = 20  # a minute from one address
LOOKS = 120  # a minute from one address
WORDS = 10  # decisions a minute with one link
MEDIA = 600  # ranges a minute from one address

View = Callable[..., HttpResponseBase]


class ReviewForm(forms.Form):
    """What a reviewer says. Names and comments are one's own words: characters that only turn or hide are dropped."""

    shown = forms.CharField(max_length=500)
    verdict = forms.ChoiceField(choices=[("approve", "Approve"), ("change", "Ask for a change")])
    name = forms.CharField(max_length=100, error_messages={"required": "Say who you are."})
    comment = forms.CharField(max_length=2000, required=False)

    def clean_name(self) -> str:
        name = "".join(letter for letter in self.cleaned_data["name"] if letter.isprintable()).strip()
        if not name:
            raise forms.ValidationError("Say who you are.")
        return name

    def clean_comment(self) -> str:
        text = self.cleaned_data["comment"].replace("\r\n", "\n")
        return "".join(letter for letter in text if letter.isprintable() or letter == "\n").strip()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("verdict") == "change" and not data.get("comment") and "comment" not in self.errors:
            self.add_error("comment", "Say what should change.")
        return data


def _public(view: View) -> View:
    """Needs no profile and no CSRF token; its answers, refusals too, are for nobody's index, history or cache: the
    address of a dead link may be one that was only mistyped."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except DomainError as error:
            response = page_error(request, error)
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex, nofollow"
        if "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        return response

    wrapped.profile_required = False  # type: ignore[attr-defined]
    return csrf_exempt(wrapped)


@contextmanager
def _opened(request: HttpRequest, profile_id: UUID, secret: str, *, limit: int) -> Iterator[tuple[Profile, ReviewLink]]:
    """The link of this address, in the scope of its profile. An attempt counts before it is looked at, and is taken
    back when it was right."""
    address = client_ip(request)
    _admit(f"review-wrong:{address}", WRONG_TRIES)
    profile = Profile.objects.filter(pk=profile_id, state=Profile.State.ACTIVE).first()
    if profile is None:
        raise NotFound
    with scope.activate(profile.pk):
        link = review.link_named(profile, secret)
        counters.forgive(f"review-wrong:{address}", MINUTE)
        _admit(f"review:{limit}:{address}", limit)
        yield profile, link


def _admit(key: str, limit: int) -> None:
    if not counters.admit(key, MINUTE, limit):
        wait = counters.seconds_to_wait(MINUTE, limit)
        raise TooMany(f"Too many requests from here. Try again in {wait} s.", retry_after=wait)


@_public
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, profile_id: UUID, secret: str) -> HttpResponseBase:
    """Shows the clip with all that waits for a decision; takes the decision."""
    with _opened(request, profile_id, secret, limit=LOOKS) as (profile, link):
        if request.method == "POST":
            return _decide(request, profile, link, secret)
        review.note_opened(link)
        return _shown(profile, link, secret)


@_public
@require_safe
def clip_media(request: HttpRequest, profile_id: UUID, secret: str, variant: str) -> HttpResponseBase:
    """The clip of the link, or its poster."""
    with _opened(request, profile_id, secret, limit=MEDIA) as (_, link):
        return _served(request, link.clip.file if variant == "video" else link.clip.poster, link)


@_public
@require_safe
def publication_media(
    request: HttpRequest, profile_id: UUID, secret: str, publication_id: UUID, variant: str
) -> HttpResponseBase:
    """The file that was chosen for a publication of the link's clip, or its cover."""
    with _opened(request, profile_id, secret, limit=MEDIA) as (_, link):
        row = review.publication_named(link, publication_id)
        return _served(request, row.file if variant == "video" else row.cover, link)


def _served(request: HttpRequest, file: StoredFile | None, link: ReviewLink) -> HttpResponseBase:
    return serve_file(request, file, name=link.clip.name)


def _decide(request: HttpRequest, profile: Profile, link: ReviewLink, secret: str) -> HttpResponse:
    _admit(f"review-word:{link.pk}", WORDS)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _shown(profile, link, secret, form=form, status=400)
    data = form.cleaned_data
    try:
        review.decide(
            profile=profile,
            link=link,
            token=data["shown"],
            approves=data["verdict"] == "approve",
            reviewer=data["name"],
            comment=data["comment"],
        )
    except Conflict:
        return _shown(profile, link, secret, form=form, has_changed=True, status=409)
    response = HttpResponseRedirect(reverse("review-page", args=[profile.pk, secret]))
    response.status_code = 303
    return response


# --- what the page shows --------------------------------------------------------------------------------


@dataclass
class _Film:
    """One video, and the publications it is meant for: channels may get files of their own."""

    video: str
    posts: list["_Post"] = field(default_factory=list)


@dataclass
class _Post:
    channel: str
    network: str
    when: str
    caption: str
    first_comment: str
    title: str
    cover: str
    settings: list[tuple[str, str]]


def _shown(
    profile: Profile,
    link: ReviewLink,
    secret: str,
    *,
    form: ReviewForm | None = None,
    has_changed: bool = False,
    status: int = 200,
) -> HttpResponse:
    rows, zone = review.waiting(link), zone_of(preferences_of(profile))
    context = {
        "brand": profile.name,
        "clip": link.clip.name,
        "films": _films(link, rows, secret, zone),
        "poster": reverse("review-poster", args=[profile.pk, secret]) if link.clip.poster_id else "",
        "shown": review.form_token(link, rows),
        "count": len(rows),
        "decisions": [_Word(decision, zone) for decision in review.decisions(link)],
        "expires": _time(link.expires_at, zone),
        "form": form,
        "errors": form.errors if form else {},
        "has_changed": has_changed,
    }
    return HttpResponse(render_to_string("review.html", context), status=status)


def _films(link: ReviewLink, rows: list[Publication], secret: str, zone: ZoneInfo) -> list[_Film]:
    if not rows:
        return [_Film(reverse("review-video", args=[link.profile_id, secret]))]
    films: dict[Any, _Film] = {}
    for row in rows:
        address = reverse("review-publication-video", args=[link.profile_id, secret, row.pk])
        film = films.setdefault(row.file_id, _Film(address if row.file_id else ""))
        film.posts.append(_post(row, secret, zone))
    return list(films.values())


def _post(row: Publication, secret: str, zone: ZoneInfo) -> _Post:
    settings = {str(name): value for name, value in row.settings.items() if value not in ("", None, [], {})}
    title = settings.pop("title", "")
    return _Post(
        channel=str(row.integration),
        network=name_of(row.integration.identifier),
        when="as soon as it is approved" if row.is_immediate else _time(row.scheduled_at, zone),
        caption=row.caption,
        first_comment=row.first_comment,
        title=str(title),
        cover=reverse("review-publication-cover", args=[row.profile_id, secret, row.pk]) if row.cover_id else "",
        settings=[(name.replace("_", " "), _plain(value)) for name, value in sorted(settings.items())],
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(entry)}" for name, entry in value.items())
    return str(value)


def _time(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({zone.key})"


class _Word:
    """Something that was said with this link."""

    def __init__(self, decision: Decision, zone: ZoneInfo) -> None:
        self.is_yes = decision.verdict == Decision.Verdict.APPROVED
        self.said = decision.get_verdict_display()
        self.reviewer, self.comment = decision.reviewer, decision.comment
        self.channel = str(decision.publication.integration)
        self.when = _time(decision.at, zone)

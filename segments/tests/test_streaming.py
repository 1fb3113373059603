import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from conftest import Person
from profiles import scope, storage
from profiles.models import Membership
from profiles.services import member_remove
from segments.models import Segment, SourceVideo
from segments.tests.conftest import V1, content_of, stored

pytestmark = pytest.mark.django_db(transaction=True)

MakeSource = Callable[..., SourceVideo]


def link(person: Person, source: SourceVideo, variant: str = "proxy") -> str:
    found: str = person.client.get(f"{V1}/source-videos/{source.pk}/").json()["links"][variant]
    return found


def test_one_range_a_suffix_and_what_lies_outside(owner: Person, make_source: MakeSource) -> None:
    url = f"{V1}/source-videos/{make_source().pk}/stream/?variant=original"
    whole = owner.client.get(url)
    assert (whole.status_code, whole["Accept-Ranges"], content_of(whole)) == (200, "bytes", b"0123456789")
    part = owner.client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part["Content-Range"], content_of(part)) == (206, "bytes 2-4/10", b"234")
    assert content_of(owner.client.get(url, headers={"Range": "bytes=-3"})) == b"789"
    outside = owner.client.get(url, headers={"Range": "bytes=10-"})
    assert (outside.status_code, outside["Content-Range"]) == (416, "bytes */10")


def test_only_what_we_made_is_shown_inline(owner: Person, make_source: MakeSource, viewer: Person) -> None:
    url = f"{V1}/source-videos/{make_source(name='Beach <b>').pk}/stream/"
    shown = {}
    for variant in ("", "proxy", "poster", "original"):
        answer = viewer.client.get(f"{url}?variant={variant}" if variant else url)
        shown[variant] = (answer["Content-Type"], answer["Content-Disposition"].split(";")[0])
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        answer.close()
    assert shown["proxy"] == ("video/mp4", "inline")
    assert shown["poster"] == ("image/jpeg", "inline")
    assert shown[""] == shown["original"] == ("application/octet-stream", "attachment")


def test_unknown_and_missing_variants(owner: Person, make_source: MakeSource) -> None:
    source = make_source(has_audio=False)
    url = f"{V1}/source-videos/{source.pk}/stream/?variant="
    assert owner.client.get(f"{url}passwd").status_code == 400
    missing = owner.client.get(f"{url}filmstrip")
    assert (missing.status_code, missing.json()["error"]["code"]) == (409, "not_made_yet")
    assert "no sound" in owner.client.get(f"{url}waveform").json()["error"]["message"]


def test_before_the_proxy_there_is_the_original(owner: Person, make_source: MakeSource) -> None:
    url = f"{V1}/source-videos/{make_source(state='processing', proxy=None).pk}/stream/"
    assert content_of(owner.client.get(url)) == b"0123456789"
    assert owner.client.get(f"{url}?variant=proxy").status_code == 409


def test_a_signed_link_works_without_a_token_and_under_a_brand_prefix(owner: Person, make_source: MakeSource) -> None:
    source = make_source()
    nobody = APIClient()
    signed = link(owner, source)
    assert content_of(nobody.get(signed)) == b"0123456789"
    assert nobody.head(signed).status_code == 200
    assert nobody.post(signed).status_code == 404
    prefixed = owner.client.get(f"/p/{owner.profile.slug}{V1}/source-videos/{source.pk}/").json()["links"]["proxy"]
    assert prefixed.startswith(f"{V1}/")
    assert content_of(nobody.get(prefixed)) == b"0123456789"
    assert nobody.get(f"/p/{owner.profile.slug}{prefixed}").status_code == 200


def test_nothing_of_a_signed_link_can_be_changed(
    owner: Person, stranger: Person, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = make_source(), make_source()
    nobody = APIClient()
    signed = link(owner, source)
    changed = [
        signed.replace("variant=proxy", "variant=original"),
        signed.replace("variant=proxy&", ""),
        signed.replace(str(source.pk), str(other.pk)),
        signed.replace("/stream/", "/"),
        signed[:-2] + ("aa" if signed[-2:] != "aa" else "bb"),
        f"{signed}&download=1",
    ]
    for address in changed:
        assert nobody.get(address).status_code == 404, address
    assert nobody.get(signed, headers={"X-Profile-Id": str(stranger.profile.pk)}).status_code == 404
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert nobody.get(signed).status_code == 404


def test_a_link_dies_with_its_file_its_source_and_the_membership(
    owner: Person, viewer: Person, make_source: MakeSource, tmp_path: Any
) -> None:
    source = make_source()
    nobody = APIClient()
    old, viewers = link(owner, source), link(viewer, source)
    with scope.activate(owner.profile.pk):
        newer = stored(owner.profile, tmp_path, content=b"newer")
        SourceVideo.objects.filter(pk=source.pk).update(proxy=newer)
    assert nobody.get(old).status_code == 404
    assert content_of(nobody.get(link(owner, source))) == b"newer"
    viewers = link(viewer, source)
    assert nobody.get(viewers).status_code == 200
    membership = Membership.objects.get(user=viewer.user, profile=owner.profile)
    member_remove(profile=owner.profile, membership=membership)
    assert nobody.get(viewers).status_code == 404
    fresh = link(owner, source)
    owner.client.delete(f"{V1}/source-videos/{source.pk}/")
    assert nobody.get(fresh).status_code == 404


def test_a_file_that_vanished_is_a_404(owner: Person, make_source: MakeSource) -> None:
    source = make_source()
    with scope.activate(owner.profile.pk):
        storage.delete(source.original.key)
    assert owner.client.get(f"{V1}/source-videos/{source.pk}/stream/").status_code == 404


def test_a_segment_streams_its_file_or_says_what_to_do(
    owner: Person, stranger: Person, make_segment: Callable[..., Segment], tmp_path: Any
) -> None:
    segment = make_segment()
    url = f"{V1}/segments/{segment.pk}/stream/"
    answer = owner.client.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_extracted")
    assert "extract/" in answer.json()["error"]["message"]
    with scope.activate(owner.profile.pk):
        file = stored(owner.profile, tmp_path)
        Segment.objects.filter(pk=segment.pk).update(extracted=file, extracted_revision=1)
    assert content_of(owner.client.get(url)) == b"0123456789"
    links = owner.client.get(f"{V1}/segments/{segment.pk}/").json()["links"]
    nobody = APIClient()
    inline, download = nobody.get(links["stream"]), nobody.get(links["download"])
    assert inline["Content-Disposition"].startswith("inline")
    assert download["Content-Disposition"].startswith("attachment; filename")
    assert stranger.client.get(url).status_code == 404
    forged = urlencode({"variant": "extracted", "sig": "x"})
    assert nobody.get(f"{V1}/segments/{uuid4()}/stream/?{forged}").status_code == 404
    with scope.activate(owner.profile.pk):
        Segment.objects.filter(pk=segment.pk).update(revision=2)
    assert nobody.get(links["stream"]).status_code == 409

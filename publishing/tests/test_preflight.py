"""Pre-flight: every rule of every network refuses a clip that breaks it, and says where that was read."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from publishing.models import NetworkRule, Rendition
from publishing.rules import facts as network_facts
from publishing.rules import preflight
from publishing.rules.facts import EVERY, NETWORKS
from publishing.rules.kinds import KINDS
from publishing.rules.media_facts import Media, of_clip, of_rendition
from publishing.rules.media_rules import _VALUES, check_media
from publishing.rules.preflight import Item, Level, check, check_many
from publishing.rules.rulebook import Book, Rule, load
from publishing.tests.builders import make_clip, make_integration

FINE = Media(
    seconds=30,
    size=5_000_000,
    container="mp4",
    faststart=True,
    width=1080,
    height=1920,
    fps=30,
    video_codec="h264",
    pix_fmt="yuv420p",
    video_bitrate=1_300_000,
    has_sound=True,
    audio_codec="aac",
    audio_rate=48_000,
    audio_channels=2,
    is_measured=True,
    lufs=-14.1,
    true_peak=-1.2,
)
RULES: dict[str, dict[str, Rule]] = {}
for _row in network_facts.rows():
    RULES.setdefault(_row["network"], {})[_row["rule"]] = Rule(**{k: v for k, v in _row.items() if k != "network"})
BOOK = Book(RULES)
BREAKABLE = [(network, name) for network in (*NETWORKS, "vimeo") for name in BOOK.of(network) if name in _VALUES]


def broken(name: str, rule_value: Any) -> Media:
    """The fine one, with a fault that `name` forbids."""
    limit = rule_value if isinstance(rule_value, int | float) else 1
    faults: dict[str, dict[str, Any]] = {
        "min_seconds": {"seconds": limit * 0.5},
        "max_seconds": {"seconds": limit + 1},
        "story_max_seconds": {"seconds": limit + 1},
        "advised_max_seconds": {"seconds": limit + 1},
        "max_bytes": {"size": limit + 1},
        "upload_max_bytes": {"size": limit + 1},
        "min_width": {"width": limit - 2},
        "max_width": {"width": limit + 2},
        "min_height": {"height": limit - 2},
        "max_height": {"height": limit + 2},
        "min_side": {"width": limit - 2},
        "max_side": {"height": limit + 2},
        "aspect_min": {"width": 200, "height": round(200 / limit * 1.1)},
        "aspect_max": {"height": 200, "width": round(200 * limit * 1.1)},
        "aspects": {"width": 1920, "height": 1080},
        "containers": {"container": "matroska"},
        "upload_containers": {"container": "mov"},
        "video_codecs": {"video_codec": "mpeg4"},
        "pix_fmts": {"pix_fmt": "yuv444p"},
        "min_fps": {"fps": limit - 1},
        "max_fps": {"fps": limit + 1},
        "max_video_bitrate": {"video_bitrate": limit + 1},
        "audio_codecs": {"audio_codec": "mp3"},
        "max_audio_rate": {"audio_rate": 96_000},
        "min_audio_rate": {"audio_rate": 22_050},
        "audio_channels": {"audio_channels": 1},
        "faststart": {"faststart": False},
        "min_lufs": {"lufs": -30.0},
        "max_lufs": {"lufs": -8.0},
        "max_peak": {"true_peak": 0.3},
    }
    return replace(FINE, **faults[name])


@pytest.mark.parametrize(("network", "name"), BREAKABLE)
def test_a_clip_that_breaks_a_rule_is_refused_with_its_source(network, name):
    rules = BOOK.of(network)
    rule = rules[name]
    found = {f.rule: f for f in check_media(network, rules, broken(name, rule.value), is_story=True)}
    finding = found[name]
    assert finding.level is (Level.WARN if rule.is_advice else Level.FAIL)
    assert finding.source == rule.source != ""
    assert finding.checked_on == network_facts.CHECKED_ON
    assert finding.limit == rule.value
    assert finding.certainty == rule.certainty
    assert "This one: " in finding.message
    assert finding.can_fix <= KINDS[name].can_fix


@pytest.mark.parametrize("network", [*NETWORKS, "vimeo"])
def test_a_clip_of_the_safe_master_passes_everywhere(network):
    found = check_media(network, BOOK.of(network), FINE)
    assert [f.message for f in found if f.level is not Level.PASS] == []
    assert len(found) >= 15


def test_what_is_not_known_is_a_warning():
    found = check_media("tiktok", BOOK.of("tiktok"), Media())
    assert {f.level for f in found} == {Level.WARN}
    assert "not known" in found[0].message
    assert not any(f.can_fix for f in found)


def test_silence_and_a_missing_sound_break_no_rule_about_sound():
    silent = replace(FINE, lufs=None, true_peak=None)
    mute = replace(FINE, has_sound=False, audio_codec=None, audio_rate=None, audio_channels=None, lufs=None)
    for media in (silent, mute):
        found = check_media("instagram", BOOK.of("instagram"), media)
        assert [f.rule for f in found if f.level is not Level.PASS] == []


def test_limits_are_met_exactly_and_by_rounded_values():
    rules = BOOK.of("linkedin")
    for media in (replace(FINE, width=1000, height=2400), replace(FINE, width=2400, height=1000)):
        assert {f.level for f in check_media("linkedin", rules, media)} == {Level.PASS}
    assert {f.level for f in check_media("youtube", BOOK.of("youtube"), replace(FINE, width=1080, height=1080))} == {
        Level.PASS
    }


def test_a_network_of_its_own_takes_the_place_of_what_counts_for_all():
    assert BOOK.of("bluesky")["max_seconds"] == RULES[EVERY]["max_seconds"]
    assert BOOK.of("youtube")["max_seconds"].value == 180
    assert "upload_max_bytes" not in BOOK.of("outbox")
    assert all(rule.is_advice for rule in BOOK.of("outbox").values())


@pytest.fixture
def clip(in_scope):
    return make_clip(in_scope, is_stale=False)


def run(clip, network="threads", **words):
    integration = words.pop("integration", None) or make_integration(clip.profile, network)
    return check(profile=clip.profile, clip=clip, integration=integration, **words)


def by_rule(findings):
    return {finding.rule: finding for finding in findings}


def test_a_good_clip_with_good_words_passes(clip):
    found = run(clip, "instagram", caption="Look #one #two", settings={"post_type": "post"})
    assert not found.failed
    told = [finding.as_dict() for finding in found]
    assert {row["level"] for row in told} == {"pass"}
    one = next(row for row in told if row["rule"] == "caption_max")
    assert one["checked_on"] == "2026-11-01"
    assert one["value"] == 14
    assert one["limit"] == 2200


@pytest.mark.parametrize(
    ("network", "words", "rule", "value", "field"),
    [
        ("threads", {"caption": "x" * 501}, "caption_max", 501, "caption"),
        ("x", {"caption": "日" * 141, "settings": {"who_can_reply_post": "everyone"}}, "caption_max", 282, "caption"),
        ("instagram", {"caption": "#a #b #c #d #e #f"}, "hashtags_max", 6, "caption"),
        ("threads", {"caption": "ok", "first_comment": "x" * 501}, "comment_max", 501, "first_comment"),
        ("youtube", {"settings": {"title": "x", "type": "public"}}, "title_min", 1, "settings.youtube.title"),
        ("pinterest", {"settings": {"board": "1", "title": "x" * 101}}, "title_max", 101, "settings.pinterest.title"),
        ("pinterest", {"settings": {"board": "1"}}, "cover_required", False, "cover"),
        ("reddit", {}, "cover_required", False, "cover"),
        ("tiktok", {"settings": {}}, "settings", False, "settings.tiktok.privacy_level"),
    ],
)
def test_words_and_settings_that_do_not_fit_are_refused_at_their_field(clip, network, words, rule, value, field):
    found = run(clip, network, **words)
    broken_rules = [f for f in found.failures if f.rule == rule and f.field == field]
    assert [f.value for f in broken_rules] == [value]
    assert broken_rules[0].source
    assert not broken_rules[0].can_fix


def test_a_missing_cover_is_forgiven_when_there_is_one(clip):
    found = run(clip, "pinterest", settings={"board": "1"}, has_cover=True)
    assert not found.failed


def test_postiz_counts_ampersands_as_five(clip):
    found = by_rule(run(clip, caption="&" * 101))
    assert found["caption_max"].level is Level.PASS
    assert found["postiz_text_max"].level is Level.FAIL
    assert "every & as five" in found["postiz_text_max"].message


@pytest.mark.parametrize(
    ("network", "live", "length", "passes"),
    [("threads", 400, 401, False), ("threads", 400, 400, True), ("threads", 600, 501, False), ("x", 4000, 3999, True)],
)
def test_the_limit_of_the_account_counts_when_it_is_smaller_and_on_x_always(clip, network, live, length, passes):
    integration = make_integration(clip.profile, network, max_length=live)
    settings = {"who_can_reply_post": "everyone"} if network == "x" else {}
    found = run(clip, caption="x" * length, integration=integration, settings=settings)
    assert found.failed is not passes
    finding = by_rule(found)["caption_max"]
    assert (finding.source == "Postiz, for this account") is (live == finding.limit)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"is_stale": True}, "clip_fresh"),
        ({"state": "queued"}, "clip_ready"),
        ({"state": "failed"}, "clip_ready"),
        ({"trashed_at": timezone.now()}, "clip_ready"),
    ],
)
def test_a_clip_that_is_not_ready_or_out_of_date_cannot_go(in_scope, fields, rule):
    found = run(make_clip(in_scope, **fields))
    assert [f.rule for f in found.failures] == [rule]
    assert [f.field for f in found.failures] == ["clip_id"]


def test_a_clip_without_a_file_is_only_refused(in_scope):
    clip = make_clip(in_scope)
    clip.file, clip.state, clip.rendered_hash = None, "queued", ""
    found = run(clip)
    assert [f.rule for f in found.failures] == ["clip_ready"]
    assert "max_seconds" not in by_rule(found)


@pytest.mark.parametrize("fields", [{"is_disabled": True}, {"removed_at": timezone.now()}])
def test_a_channel_that_cannot_be_used_fails(clip, fields):
    found = run(clip, integration=make_integration(clip.profile, "threads", **fields))
    assert [f.field for f in found.failures] == ["integration_ids"]


def test_the_local_outbox_takes_anything_and_advises(clip):
    clip.duration_seconds = 4_000.0
    found = run(clip, "outbox", caption="x" * 50_000)
    assert not found.failed
    assert [f.rule for f in found.warnings] == ["max_seconds"]


def test_the_facts_kept_with_a_clip_count_and_else_what_its_preset_gives(clip):
    assert of_clip(clip).width == 1080
    clip.quality = "draft"
    assert (of_clip(clip).width, of_clip(clip).height) == (540, 960)
    clip.media = {"duration_seconds": 200.0, "size": 9, "video": {"width": 160, "height": 90}, "audio": None}
    assert of_clip(clip) == Media(
        seconds=200.0, size=9, width=160, height=90, has_sound=False, is_measured=True, lufs=None, true_peak=None
    )


def test_a_fresh_rendition_is_judged_instead_of_the_clip(clip):
    clip.duration_seconds = 200.0
    assert "max_seconds" in {f.rule for f in run(clip, "facebook", settings={"post_type": "post"}).failures}
    facts = {"duration_seconds": 89.0, "lufs": -14.0, "true_peak_dbtp": -1.5, "container": "mp4"}
    other = make_clip(clip.profile)
    row = Rendition.objects.create(
        profile=clip.profile,
        clip=clip,
        network="facebook",
        made_from=clip.file.sha256,
        file=other.file,
        media=facts,
    )
    assert of_rendition(row.media).lufs == -14.0
    assert not run(clip, "facebook", settings={"post_type": "post"}).failed
    Rendition.objects.filter(pk=row.pk).update(made_from="of an older file")
    assert run(clip, "facebook", settings={"post_type": "post"}).failed


def test_many_checks_are_two_queries(clip, django_assert_num_queries):
    others = [make_integration(clip.profile, network) for network in NETWORKS]
    items = [Item(each, integration) for each in (clip, make_clip(clip.profile)) for integration in others]
    for item in items:
        item.clip.file, item.clip.preset  # noqa: B018 - loaded, as a view does it
    with django_assert_num_queries(2):
        found = check_many(profile=clip.profile, items=items)
    assert [findings.network for findings in found] == [item.integration.identifier for item in items]


def test_an_edited_rule_counts_at_once_and_a_senseless_value_is_left_out(clip):
    NetworkRule.objects.filter(network="threads", rule="max_seconds").update(value=5, is_edited=True)
    NetworkRule.objects.filter(network="threads", rule="min_fps").update(value="fast")
    found = by_rule(run(clip))
    assert found["max_seconds"].level is Level.FAIL
    assert found["min_fps"].source == RULES[EVERY]["min_fps"].source
    assert preflight.check(profile=clip.profile, clip=clip, integration=make_integration(clip.profile), book=load())

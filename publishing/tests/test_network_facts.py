"""The facts of the networks: complete, sensible, seeded again and again, and never over what a person changed."""

import pytest

from publishing.models import NetworkRule
from publishing.rules import facts as network_facts
from publishing.rules.kinds import KINDS, fault_of, shown

pytestmark = pytest.mark.django_db


def test_every_fact_has_a_kind_a_fitting_value_a_source_and_a_date():
    rows = network_facts.rows()
    assert [row for row in rows if fault_of(row["rule"], row["value"])] == []
    assert {row["network"] for row in rows} == {*network_facts.NETWORKS, network_facts.EVERY}
    assert all(row["source"] and row["checked_on"].year == 2026 for row in rows)
    assert all(len(row["source"]) <= 300 and len(row["note"]) <= 300 for row in rows)
    assert len({(row["network"], row["rule"]) for row in rows}) == len(rows)
    assert all(shown(row["rule"], row["value"]) for row in rows)


@pytest.mark.parametrize("network", network_facts.NETWORKS)
def test_for_each_network_all_that_a_video_needs_is_known(network):
    known = {row["rule"] for row in network_facts.rows() if row["network"] in {network, network_facts.EVERY}}
    needed = {"min_seconds", "max_seconds", "max_bytes", "video_codecs", "pix_fmts", "min_fps", "max_fps"}
    needed |= {"audio_codecs", "max_audio_rate", "faststart", "min_lufs", "max_lufs", "max_peak"}
    assert known >= needed | {"caption_max", "postiz_text_max", "upload_max_bytes", "upload_containers"}


def test_facts_are_there_after_migrating_and_seeding_again_changes_nothing():
    before = list(NetworkRule.objects.values())
    assert len(before) == len(network_facts.rows()) > 150
    network_facts.seed(using="default")
    assert list(NetworkRule.objects.values()) == before


def test_what_was_edited_stays_and_all_else_follows_the_code():
    NetworkRule.objects.filter(network="youtube", rule="max_seconds").update(value=170, is_edited=True)
    NetworkRule.objects.filter(network="tiktok", rule="max_seconds").update(value=1)
    NetworkRule.objects.filter(network="x", rule="max_seconds").delete()
    more = {"value": 5, "source": "s", "checked_on": network_facts.CHECKED_ON}
    NetworkRule.objects.create(network="vimeo", rule="caption_max", is_edited=True, **more)
    NetworkRule.objects.create(network="vimeo", rule="title_max", **more)
    network_facts.seed(using="default")
    values = {(rule.network, rule.rule): rule.value for rule in NetworkRule.objects.all()}
    assert values["youtube", "max_seconds"] == 170
    assert values["tiktok", "max_seconds"] == 600
    assert values["x", "max_seconds"] == 1200
    assert values["vimeo", "caption_max"] == 5
    assert ("vimeo", "title_max") not in values


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("max_seconds", "90", 90.5),
        ("max_seconds", True, 90),
        ("max_seconds", -1, 0),
        ("max_bytes", 1.5, 2**40),
        ("faststart", 1, True),
        ("containers", "mp4", ["mp4"]),
        ("containers", [], ["mp4", "mov"]),
        ("aspects", ["9x16"], ["9:16"]),
        ("min_lufs", 14, -14),
        ("safe_zone", [1, 2, 3], [1, 2, 3, 4]),
        ("suggested_bitrate", [2, 1], [1, 2]),
    ],
)
def test_a_value_has_the_shape_of_its_kind(rule, bad, good):
    assert KINDS[rule].unit
    assert fault_of(rule, bad)
    assert fault_of(rule, good) is None


def test_an_unknown_kind_is_named_as_such():
    assert "no such rule" in str(fault_of("max_secs", 3))

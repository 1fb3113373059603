"""Plans to mend a file, by numbers alone: what comes out keeps the rules, whatever the file was."""

import itertools
from dataclasses import replace

import pytest

from publishing.renditions.plan import SOUND_RATES, NotFixableError, plan, to_mend
from publishing.rules import facts as network_facts
from publishing.rules.facts import NETWORKS
from publishing.rules.media_facts import Media
from publishing.rules.media_rules import check_media
from publishing.rules.rulebook import Book, Level, Rule

RULES: dict[str, dict[str, Rule]] = {}
for _row in network_facts.rows():
    RULES.setdefault(_row["network"], {})[_row["rule"]] = Rule(**{k: v for k, v in _row.items() if k != "network"})
BOOK = Book(RULES)
FILE = Media(
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
SIZES = [(90, 160), (160, 90), (400, 100), (399, 101), (64, 401), (4200, 640), (7680, 4320), (1080, 1080), (2, 2000)]


@pytest.mark.parametrize("network", [*NETWORKS, "vimeo"])
def test_whatever_the_picture_the_planned_one_keeps_the_rules(network):
    rules = BOOK.of(network)
    for (width, height), fps, seconds in itertools.product(SIZES, (1, 10, 29.97, 90, 240), (0.05, 2, 59, 2000)):
        file = replace(FILE, width=width, height=height, fps=fps, seconds=seconds)
        broken = to_mend(network, rules, file)
        if not broken:
            continue
        made = plan(rules, file, broken)
        assert made.canvas[0] % 2 == made.canvas[1] % 2 == made.inner[0] % 2 == made.inner[1] % 2 == 0
        assert made.inner[0] <= made.canvas[0]
        assert made.inner[1] <= made.canvas[1]
        assert made.changes
        after = replace(file, width=made.canvas[0], height=made.canvas[1], fps=float(made.fps), seconds=made.seconds)
        left = [f.message for f in check_media(network, rules, after) if f.level is Level.FAIL]
        assert left == [], (file, made)


def test_nothing_to_mend_in_a_good_file_and_advice_does_not_shorten_one():
    assert to_mend("instagram", BOOK.of("instagram"), FILE) == []
    assert to_mend("bluesky", BOOK.of("bluesky"), replace(FILE, seconds=500, size=400_000_000)) == []


def test_only_what_has_to_be_encoded_again_is():
    rules = BOOK.of("instagram")
    quiet = replace(FILE, lufs=-30.0)
    made = plan(rules, quiet, to_mend("instagram", rules, quiet))
    assert (made.copies_picture, made.copies_sound) == (True, False)
    small = replace(FILE, width=360, height=640)
    made = plan(rules, small, to_mend("instagram", rules, small))
    assert (made.copies_picture, made.copies_sound, made.canvas) == (False, True, (540, 960))
    late = replace(FILE, faststart=False)
    made = plan(rules, late, to_mend("instagram", rules, late))
    assert (made.copies_picture, made.copies_sound) == (True, True)
    long = replace(FILE, seconds=901)
    made = plan(rules, long, to_mend("instagram", rules, long))
    assert (made.copies_picture, made.copies_sound, made.is_cut) == (False, False, True)
    assert 899.9 < made.seconds < 900


@pytest.mark.parametrize("limit", [1_500_000, 5_000_000, 50_000_000])
def test_the_bits_of_picture_and_sound_stay_below_the_size(limit):
    rules = {**BOOK.of("threads"), "max_bytes": replace(BOOK.of("threads")["max_bytes"], value=limit)}
    file = replace(FILE, size=limit + 1, seconds=60)
    made = plan(rules, file, to_mend("threads", rules, file))
    bits = (made.max_bitrate + SOUND_RATES[made.sound_quality]) * made.seconds
    assert 0.5 * limit < bits / 8 < limit or made.max_bitrate == 15_000_000
    assert made.canvas[0] * made.canvas[1] <= 1080 * 1920


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("max_bytes", 100_000, "too little for 30 s"),
        ("video_codecs", ["av1"], "av1 only"),
        ("min_seconds", 500, "contradict"),
    ],
)
def test_what_cannot_be_is_said(rule, value, said):
    known = BOOK.of("threads")
    rules = {**known, rule: replace(known[rule], value=value)}
    with pytest.raises(NotFixableError) as caught:
        plan(rules, FILE, to_mend("threads", rules, FILE))
    assert said in caught.value.message


def test_a_rule_that_no_file_can_keep_is_named():
    rules = {"story_max_seconds": BOOK.of("facebook")["story_max_seconds"], "aspects": BOOK.of("threads")["aspects"]}
    rules["aspects"] = replace(rules["aspects"], is_advice=False)
    with pytest.raises(NotFixableError) as caught:
        to_mend("threads", rules, replace(FILE, width=1920, height=1080))
    assert "9:16" in caught.value.message

"""For each network a clip breaks every rule that a file can break, in four ways; each is fixed, and passes then.

Limits that would need large or long files are made small by editing the rule, as a superuser may. With `pytest -s` the
table is printed: what was broken, what was done, how it ended.
"""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Status
from profiles.models import Profile
from publishing.models import Rendition
from publishing.renditions.requests import request_fix
from publishing.rules.facts import NETWORKS
from publishing.rules.kinds import KINDS
from publishing.rules.media_facts import Media
from publishing.rules.media_rules import check_media
from publishing.rules.preflight import Level, check
from publishing.rules.rulebook import load
from publishing.tests.builders import make_integration
from publishing.tests.fixing import Footage, broken_clip, edit_rules, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]

_LONGEST = 200  # seconds that are really made; longer limits are edited to a few


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.SCRATCH_DIR = tmp_path / "attempts"
    settings.SCRATCH_DIR.mkdir(mode=0o700)


def binding(network: str) -> dict[str, Any]:
    """The values of the rules that a file can break and a fix can mend, without mere advice."""
    rules = load().of(network)
    known = {finding.rule for finding in check_media(network, rules, Media())}
    return {name: rules[name].value for name in known if KINDS[name].can_fix and not rules[name].is_advice}


def ways(rules: dict[str, Any]) -> dict[str, Footage]:
    longest = rules.get("max_seconds", 0)
    is_long = 0 < longest < _LONGEST
    widest = max(rules.get("max_width", 0), rules.get("max_side", 0)) or 640
    small = {"max_bytes": 400_000, "upload_max_bytes": 380_000, "max_video_bitrate": 800_000}
    return {
        "short, wrong codecs, quiet": Footage(
            seconds=1,
            size=(90, 160),
            fps=10,
            codec="mpeg4",
            audio_codec="libmp3lame",
            audio_rate=22_050,
            channels=1,
            volume=0.02,
            faststart=False,
            rules={"min_seconds": 2} if 0 < rules.get("min_seconds", 9) < 1 else {},
        ),
        "long and wide": Footage(
            seconds=longest + 20 if is_long else 15,
            size=(400, 100),
            fps=1,
            volume=0.02,
            rules={"max_seconds": 12} if longest and not is_long else {},
        ),
        "narrow, no MP4, 4:4:4, 96 kHz": Footage(
            size=(64, 400),
            fps=90,
            pix_fmt="yuv444p",
            audio_rate=96_000,
            container="matroska" if "mov" in rules.get("containers", []) else "mov",
        ),
        "large": Footage(
            seconds=5,
            size=(widest + 104, 640),
            noise=True,
            rules={name: value for name, value in small.items() if name in rules},
        ),
    }


def judge(clip: Any, network: str) -> Any:
    return check(profile=clip.profile, clip=clip, integration=make_integration(clip.profile, network))


@pytest.mark.parametrize("network", NETWORKS)
def test_every_rule_is_broken_and_mended(in_scope: Profile, tmp_path: Path, network: str) -> None:
    rules = binding(network)
    seen: set[str] = set()
    print(f"\n{network}: {len(rules)} rules bind a file")
    for way, footage in ways(rules).items():
        edit_rules(network, footage.rules)
        clip = broken_clip(in_scope, tmp_path, footage)
        broken = [finding for finding in judge(clip, network).failures if finding.field == "clip_id"]
        assert all(finding.source and finding.checked_on and finding.can_fix for finding in broken)
        if not broken:  # the network has none of these rules
            continue
        job = run(request_fix(profile=in_scope, clip=clip, networks=[network], by=None))
        assert (job.status, job.error) == (Status.SUCCEEDED, None)
        row = Rendition.objects.get(clip=clip, network=network)
        after = judge(clip, network)
        names = sorted(finding.rule for finding in broken)
        tell(way, names, row.changes, after)
        assert [finding.message for finding in after.failures if finding.field == "clip_id"] == []
        assert not {finding.rule for finding in after.warnings} & {"min_lufs", "max_lufs", "max_peak", "faststart"}
        seen |= set(names)
    assert seen == set(rules)


def tell(way: str, broken: list[str], changes: list[str], after: Any) -> None:
    left = [finding.rule for finding in after.warnings]
    passed = "passes" if not any(f.field == "clip_id" and f.level is Level.FAIL for f in after) else "FAILS"
    print(f"  {way}")
    for label, text in (("broken", ", ".join(broken)), ("done", "; ".join(changes))):
        print(textwrap.fill(text, 110, initial_indent=f"    {label:7}", subsequent_indent=" " * 11))
    print(f"    then   {passed}" + (", advice left: " + ", ".join(left) if left else ""))

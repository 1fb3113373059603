"""`match-srt/`: subtitles against the keywords of one profile's segments. Matching itself is in `segments.matching`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from profiles.models import Profile
from segments.matching import Hint, KeywordIndex, combined
from segments.models import Segment
from segments.selectors import segments, segments_with, vocabulary
from segments.subtitles import Cue, Subtitles

SEGMENTS_FOR_KEYWORD = 20  # the newest ones


@dataclass(frozen=True)
class Matches:
    """The answer: every cue with its best segments, and these segments once each."""

    subtitles: Subtitles
    cues: list[dict[str, Any]]
    segments: list[Segment]
    keyword_count: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "encoding": self.subtitles.encoding,
            "cue_count": len(self.cues),
            "matched_count": sum(1 for cue in self.cues if cue["matches"]),
            "keyword_count": self.keyword_count,
            "cues": self.cues,
            "segments": self.segments,
        }


def match_srt(
    *,
    profile: Profile,
    subtitles: Subtitles,
    source_ids: Collection[UUID] | None = None,
    min_confidence: float = 0.5,
    max_matches: int = 5,
) -> Matches:
    """For each subtitle, the segments whose keywords are spoken in it, the surest first. A handful of queries,
    whatever the number of subtitles; of a keyword that many segments share, the newest are taken."""
    index = KeywordIndex(vocabulary(profile, source_ids))
    hints = [index.hints(cue.text) for cue in subtitles.cues]
    spoken = {hint.keyword for found in hints for hint in found}
    carriers = segments_with(profile, spoken, source_ids, each=SEGMENTS_FOR_KEYWORD)
    cues = []
    wanted: dict[UUID, None] = {}
    for cue, found in zip(subtitles.cues, hints, strict=True):
        matches = [match for match in _ranked(found, carriers) if match["confidence"] >= min_confidence][:max_matches]
        wanted.update(dict.fromkeys(match["segment_id"] for match in matches))
        cues.append({**_shown(cue), "matches": matches})
    rows = segments(profile).in_bulk(list(wanted))
    return Matches(subtitles, cues, [rows[pk] for pk in wanted if pk in rows], index.size)


def _shown(cue: Cue) -> dict[str, Any]:
    return {"number": cue.number, "start_time": cue.start_time, "end_time": cue.end_time, "text": cue.text}


def _ranked(hints: list[Hint], carriers: dict[str, list[tuple[UUID, str]]]) -> list[dict[str, Any]]:
    """Segments of one cue with their reasons, the surest first, the newest among equals."""
    reasons: dict[UUID, list[dict[str, Any]]] = {}
    for hint in hints:
        for segment_id, keyword in carriers.get(hint.keyword, ()):
            reason = {"keyword": keyword, "kind": hint.kind, "spoken": hint.spoken, "confidence": hint.confidence}
            reasons.setdefault(segment_id, []).append(reason)
    matches = [
        {"segment_id": pk, "confidence": combined(reason["confidence"] for reason in given), "reasons": given}
        for pk, given in reasons.items()
    ]
    return sorted(matches, key=lambda match: (match["confidence"], match["segment_id"].int), reverse=True)

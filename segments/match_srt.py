"""`match-srt/`: subtitles against the keywords of one profile's segments. Matching itself is in `segments.matching`."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from profiles.models import Profile
from segments.matching import Hint, KeywordIndex, combined
from segments.selectors import briefly, segments_with, vocabulary
from segments.subtitles import Subtitles

SEGMENTS_FOR_KEYWORD = 10  # the newest ones, or as many as are asked for
MAX_REASONS = 4  # of one match, the best ones

Carriers = dict[str, list[tuple[UUID, str]]]


def match_srt(
    *,
    profile: Profile,
    subtitles: Subtitles,
    source_ids: Collection[UUID] | None = None,
    min_confidence: float = 0.5,
    max_matches: int = 5,
) -> dict[str, Any]:
    """For each subtitle, the segments whose keywords are spoken in it, the surest first; plain values in the shape of
    MatchAnswerSerializer.

    The number of queries grows with the number of keywords that are spoken, by the hundred. Of a keyword that many
    segments share, the newest are taken.
    """
    index = KeywordIndex(vocabulary(profile, source_ids))
    hints = [index.hints(cue.text) for cue in subtitles.cues]
    spoken = {hint.keyword for found in hints for hint in found}
    carriers = segments_with(profile, spoken, source_ids, each=max(SEGMENTS_FOR_KEYWORD, max_matches))
    wanted: dict[UUID, None] = {}
    cues = []
    for cue, found in zip(subtitles.cues, hints, strict=True):
        matches = _best(found, carriers, min_confidence, max_matches)
        wanted.update(dict.fromkeys(match["segment_id"] for match in matches))
        cues.append({**vars(cue), "matches": matches})
    return {
        "encoding": subtitles.encoding,
        "cue_count": len(cues),
        "matched_count": sum(1 for cue in cues if cue["matches"]),
        "keyword_count": index.size,
        "cues": cues,
        "segments": briefly(profile, wanted),
    }


def _best(hints: Iterable[Hint], carriers: Carriers, least: float, most: int) -> list[dict[str, Any]]:
    """The segments of one cue with their reasons, the surest first, the newest among equals."""
    reasons: dict[UUID, list[tuple[Hint, str]]] = {}
    for hint in hints:
        for segment_id, keyword in carriers.get(hint.keyword, ()):
            reasons.setdefault(segment_id, []).append((hint, keyword))
    sure = [(combined(hint.confidence for hint, _ in given), pk.int, pk) for pk, given in reasons.items()]
    ranked = sorted((entry for entry in sure if entry[0] >= least), reverse=True)[:most]
    return [
        {
            "segment_id": pk,
            "confidence": confidence,
            "reasons": [{**vars(hint), "keyword": keyword} for hint, keyword in reasons[pk][:MAX_REASONS]],
        }
        for confidence, _, pk in ranked
    ]

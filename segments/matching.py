"""Which segments fit what is being said: the words of subtitles against the keywords of segments.

No database here. Every word is looked up by hash under its stems, so the cost grows with the number of words in the
subtitles plus the number of words in the keywords, never with their product; both tables of candidates are capped.

Two words are one when they are equal, or when they begin alike and differ only by a short ending: "mașini" and
"mașina", "running" and "runner". A stem has at least four letters and three fifths of the longer word, and at most
three letters are taken off; words with digits are taken as they are. This is deliberately blunt: it knows no
language, and it explains itself.

Confidence of one keyword in one cue: 0.9 for a word as written, 0.97 for a phrase as written, less for endings that
differ, and times 0.7 when the words of a phrase are all said but not one after the other. Several keywords of one
segment add up as independent hints: 1 - (1 - a)(1 - b)…
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from segments.labels import words

MIN_STEM = 4  # letters
MAX_ENDING = 3  # letters
STEM_SHARE = 0.6
MAX_ALIKE = 50  # keyword words looked at for one spoken word
MAX_KEYWORDS_TRIED = 50  # for one spoken word
MAX_HINTS = 12  # for one cue, the best ones
WORD, PHRASE = 0.9, 0.97
APART = 0.7


@dataclass(frozen=True)
class Hint:
    """Why a cue fits a keyword. `kind`: exact, inflected (an ending differs) or apart (not one after the other);
    `spoken`: the words of the cue that were taken for it, folded."""

    keyword: str
    kind: str
    spoken: str
    confidence: float


class KeywordIndex:
    """The vocabulary of folded keywords, prepared for looking up spoken words. `operations` counts the steps taken.

    A keyword waits under the one of its words that the fewest other keywords have: "the red car" under "red", so
    that a frequent word does not bring all of its keywords into view.
    """

    def __init__(self, keywords: Iterable[str]) -> None:
        self.operations = 0
        self._parts = {keyword: tuple(keyword.split()) for keyword in keywords}
        uses = Counter(word for parts in self._parts.values() for word in set(parts))
        self._by_stem: dict[str, list[str]] = {}
        for word in uses:
            for stem in _stems(word):
                self.operations += 1
                self._by_stem.setdefault(stem, []).append(word)
        self._known = uses
        self._anchored: dict[str, list[str]] = {}
        for keyword, parts in self._parts.items():
            self.operations += len(parts)
            if parts:
                self._anchored.setdefault(min(parts, key=lambda word: uses[word]), []).append(keyword)
        self._alike: dict[str, list[tuple[str, float]]] = {}

    @property
    def size(self) -> int:
        """How many keywords there are."""
        return len(self._parts)

    def hints(self, text: str) -> list[Hint]:
        """What `text` says of the vocabulary: at most MAX_HINTS, one for a keyword, the best first."""
        spoken = words(text)
        said: dict[str, list[int]] = {}
        for position, word in enumerate(spoken):
            self.operations += 1
            said.setdefault(word, []).append(position)
        # keyword word -> (spoken word, likeness), the closest one
        heard: dict[str, tuple[str, float]] = {}
        for word in said:
            for known, likeness in self._words_like(word):
                self.operations += 1
                if known not in heard or heard[known][1] < likeness:
                    heard[known] = (word, likeness)
        found: dict[str, Hint] = {}
        for known in sorted(heard, key=lambda name: -heard[name][1]):
            for keyword in self._anchored.get(known, ())[:MAX_KEYWORDS_TRIED]:
                self.operations += 1
                if keyword in found:
                    continue
                hint = self._judge(keyword, heard, said)
                if hint is not None:
                    found[keyword] = hint
        return sorted(found.values(), key=lambda hint: (-hint.confidence, hint.keyword))[:MAX_HINTS]

    def _words_like(self, word: str) -> list[tuple[str, float]]:
        known = self._alike.get(word)
        if known is None:
            known = self._alike[word] = self._look_up(word)
        return known

    def _look_up(self, word: str) -> list[tuple[str, float]]:
        found: dict[str, float] = {}
        if word in self._known:
            found[word] = 1.0
        for stem in _stems(word):  # the longest first: the closest words
            for known in self._by_stem.get(stem, ())[: MAX_ALIKE - len(found)]:
                self.operations += 1
                if known not in found:
                    found[known] = len(stem) / max(len(known), len(word))
        return list(found.items())

    def _judge(
        self, keyword: str, heard: Mapping[str, tuple[str, float]], said: Mapping[str, Sequence[int]]
    ) -> Hint | None:
        parts = self._parts[keyword]
        if any(part not in heard for part in parts):
            return None
        self.operations += len(parts)
        matched = [heard[part] for part in parts]
        likeness = sum(share for _, share in matched) / len(matched)
        confidence = (WORD if len(parts) == 1 else PHRASE) * likeness
        kind = "exact" if likeness == 1.0 else "inflected"
        if not _in_a_row([said[word] for word, _ in matched]):
            kind, confidence = "apart", confidence * APART
        return Hint(keyword, kind, " ".join(word for word, _ in matched), round(confidence, 4))


def _stems(word: str) -> list[str]:
    """What may be left of `word` without its ending, the longest first; short words and numbers have none."""
    if not word.isalpha():
        return []
    shortest = max(MIN_STEM, len(word) - MAX_ENDING, ceil(len(word) * STEM_SHARE))
    return [word[:length] for length in range(len(word), shortest - 1, -1)]


def _in_a_row(places: Sequence[Sequence[int]]) -> bool:
    """Whether the words stand one after the other somewhere."""
    following = set(places[0])
    for positions in places[1:]:
        following = {position + 1 for position in following}.intersection(positions)
    return bool(following)


def combined(confidences: Iterable[float]) -> float:
    """Independent hints added up, 0…1."""
    doubt = 1.0
    for confidence in confidences:
        doubt *= 1.0 - confidence
    return round(1.0 - doubt, 4)

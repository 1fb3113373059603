"""Text in the form in which it is compared: without case, diacritics and punctuation.

`fold` serves keywords, tags and search alike, in the database and in memory, so that the same words always meet:
"Mașină  ROȘIE!" and "masina rosie" are one keyword.
"""

import re
import unicodedata
from collections.abc import Iterable

MAX_LABELS = 50  # of one kind, on one segment
MAX_LABEL_LENGTH = 100  # characters
MAX_FOLDED_LENGTH = 400  # folding may lengthen: one ligature is up to 18 letters
_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"['’ʼ`´]")
# Letters that Unicode does not take apart, but people leave the stroke off when they type in a hurry.
_STROKES = str.maketrans({"ł": "l", "đ": "d", "ð": "d", "ø": "o", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"})


def words(text: str) -> list[str]:
    """The words of `text`, folded, in order: "It's Mașina-mea" -> ["its", "masina", "mea"]."""
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text)).casefold()
    letters = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
    return _WORD.findall(letters.translate(_STROKES))


def fold(text: str) -> str:
    """The folded words of `text` with single spaces between them; empty when it has none."""
    return " ".join(words(text))


def distinct(texts: Iterable[str]) -> list[tuple[str, str]]:
    """`(text, folded)` of every text, in order, each folded form once; texts without a letter or digit (an emoji)
    stand for themselves."""
    found: dict[str, str] = {}
    for text in texts:
        tidy = " ".join(text.split())
        if tidy:
            found.setdefault((fold(tidy) or tidy)[:MAX_FOLDED_LENGTH], tidy)
    return [(tidy, folded) for folded, tidy in found.items()]


def searchable(*texts: str, limit: int = 8000) -> str:
    """What a search looks through: every text folded, at most `limit` characters."""
    return " | ".join(folded for folded in map(fold, texts) if folded)[:limit]

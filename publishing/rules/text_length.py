"""How long a text is, as a network counts it, and as Postiz counts before it lets the text through.

X counts by twitter-text's configuration of version 3 (github.com/twitter/twitter-text, config/v3.json): after NFC a
code point of Latin, Greek, Cyrillic, Hebrew, Arabic, … and common punctuation counts 1, any other 2, a URL 23, and an
emoji 2 however many code points it is made of. The Python ports on PyPI (twitter-text-parser 2023, twitter-text-python
2019) are not kept any more; the part that is needed is small. What differs from the original: which bare domains
("example.com", without https://) are URLs is judged by a short list of endings, any two letters included.

All others count as JavaScript does: in UTF-16 units.
"""

import re
import unicodedata
from collections.abc import Iterator

X = "x"
_SCALE = 100
_DEFAULT, _LIGHT = 200, 100
_LIGHT_RANGES = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
_URL = 23 * _SCALE

_ENDINGS = (
    "com|net|org|info|biz|name|pro|mobi|edu|gov|mil|int|app|dev|page|blog|shop|store|online|site|website|xyz|club|live|"
    "news|media|video|studio|agency|digital|tech|cloud|art|design|photo|photos|music|film|games|fun|life|world|today|"
    "link|click|email|social|network|space|zone|top|vip|win|work|works|team|group|company|global|academy|school|"
    "fitness|fashion|beauty|style|travel|restaurant|pizza|coffee|wine|fit|run|yoga|events|tickets|community|foundation"
)
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+"
_PATH = r"(?::\d{1,5})?(?:/[^\s<>\"'，。]*[^\s<>\"'.,:;!?()\[\]，。…]|/)?(?:\?[^\s<>\"']*[a-z0-9_&=#/-])?"
_LINK = re.compile(
    r"(?<![@＠A-Za-z0-9_$#＃.-])"
    rf"(?:https?://(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:[a-z]{{2,24}}|xn--[a-z0-9-]+)(?![a-z0-9])"
    rf"|{_HOST}(?:{_ENDINGS}|[a-z]{{2}})(?![\w@.-]*@)(?![a-z0-9_-]))(?:{_PATH})",
    re.IGNORECASE,
)

# Pictographs that show as pictures by themselves; those that need U+FE0F for it; and what they are joined with.
_PICTURE = (
    "\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be"
    "\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757"
    "\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f201"
    "\U0001f21a\U0001f22f\U0001f232-\U0001f236\U0001f238-\U0001f23a\U0001f250\U0001f251\U0001f300-\U0001faff"
)
_SIGN = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u2328\u23cf\u23ed-\u23ef\u23f1\u23f2\u23f8-\u23fa\u24c2"
    "\u25aa\u25ab\u25b6\u25c0\u25fb\u25fc\u2600-\u2604\u260e\u2611\u2618\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f"
    "\u2638-\u263a\u2640\u2642\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e\u2692\u2694-\u2697\u2699\u269b\u269c\u26a0"
    "\u26a7\u26b0\u26b1\u26c8\u26cf\u26d1\u26d3\u26e9\u26f0\u26f1\u26f4\u26f7-\u26f9\u2702\u2708\u2709\u270c\u270d\u270f"
    "\u2712\u2714\u2716\u271d\u2721\u2733\u2734\u2744\u2747\u2763\u2764\u27a1\u2934\u2935\u2b05-\u2b07\u3030\u303d\u3297"
    "\u3299\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f202\U0001f237"
)
_PERSON = (  # hands and people: they may have a tone of skin
    "\u261d\u26f9\u270a-\u270d\U0001f385\U0001f3c2-\U0001f3c4\U0001f3c7\U0001f3ca-\U0001f3cc\U0001f442\U0001f443"
    "\U0001f446-\U0001f450\U0001f466-\U0001f478\U0001f47c\U0001f481-\U0001f483\U0001f485-\U0001f487\U0001f48f\U0001f491"
    "\U0001f4aa\U0001f574\U0001f575\U0001f57a\U0001f590\U0001f595\U0001f596\U0001f645-\U0001f647\U0001f64b-\U0001f64f"
    "\U0001f6a3\U0001f6b4-\U0001f6b6\U0001f6c0\U0001f6cc\U0001f90c\U0001f90f\U0001f918-\U0001f91f\U0001f926"
    "\U0001f930-\U0001f939\U0001f93c-\U0001f93e\U0001f977\U0001f9b5\U0001f9b6\U0001f9b8\U0001f9b9\U0001f9bb"
    "\U0001f9cd-\U0001f9cf\U0001f9d1-\U0001f9dd\U0001fac3-\U0001fac5\U0001faf0-\U0001faf8"
)
_ONE = f"(?:[{_PERSON}][\U0001f3fb-\U0001f3ff]|[{_PICTURE}{_SIGN}]\ufe0f?)"
_EMOJI = re.compile(
    "[0-9#*]\ufe0f?\u20e3"  # a key
    "|[\U0001f1e6-\U0001f1ff]{2}"  # a country
    "|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"  # a part of one
    f"|{_ONE}(?:\u200d{_ONE})*"
)

_HASHTAG = re.compile(r"(?<![\w&/])[#＃](?=\w*[^\W\d_])\w+")
_MENTION = re.compile(r"(?<![\w&/.])[@＠][\w.]+")
_AMPERSAND = "&amp;"


def length(network: str, text: str) -> int:
    """Characters of `text` as the network counts them."""
    return weighted_length(text) if network == X else utf16_length(text)


def length_at_postiz(network: str, text: str) -> int:
    """The same in Postiz's own test, which refuses what is too long. Plain text goes through its cleaner, which makes
    `&amp;` of every `&`: five characters. Text with a `<` is sent as paragraphs, whose entities it decodes first."""
    return length(network, text if "<" in text else text.replace("&", _AMPERSAND))


def utf16_length(text: str) -> int:
    """`text.length` in JavaScript: characters beyond the first plane (most emoji) count 2."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def cut(text: str, most: int) -> str:
    """The beginning of `text`, of at most `most` characters as all but X count."""
    end = len(text)
    while utf16_length(text[:end]) > most:
        end -= 1
    return text[:end]


def weighted_length(text: str) -> int:
    """What X counts."""
    return sum(_weights(unicodedata.normalize("NFC", text))) // _SCALE


def _weights(text: str) -> Iterator[int]:
    links = {found.start(): found.end() for found in _LINK.finditer(text)}
    position = 0
    while position < len(text):
        if position in links:
            position = links[position]
            yield _URL
        elif emoji := _EMOJI.match(text, position):
            position = emoji.end()
            yield _DEFAULT
        else:
            yield _weight(ord(text[position]))
            position += 1


def _weight(point: int) -> int:
    return _LIGHT if any(first <= point <= last for first, last in _LIGHT_RANGES) else _DEFAULT


def hashtags(text: str) -> list[str]:
    """The hashtags of a text, with repetitions, without their `#`; a number alone is none."""
    return [found.group()[1:] for found in _HASHTAG.finditer(text)]


def mentions(text: str) -> list[str]:
    """The accounts that a text mentions, without their `@`."""
    return [found.group()[1:].rstrip(".") for found in _MENTION.finditer(text)]

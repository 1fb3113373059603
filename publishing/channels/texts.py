"""Words and links of others, as they may lie in the database and be shown."""

import re

_BREAKS = re.compile(r"[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]+")
_TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")  # they show what follows on a page in another order


def clean_name(text: str, limit: int) -> str:
    """A name as `clean` has it, in one line, and without the signs that turn the direction of reading."""
    return clean(_BREAKS.sub(" ", _TURNS.sub("", text)).strip(), limit)


def clean(text: str, limit: int) -> str:
    """Without what PostgreSQL can't store (NUL, half characters), and shortened."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]


def web_link(text: str) -> str:
    """An http(s) address as it comes; empty for anything else, because it will be a link on a page."""
    link = clean(text, 2001).strip()
    is_link = link.lower().startswith(("https://", "http://")) and link.isprintable() and len(link) <= 2000
    return link if is_link else ""

"""Words and links of others, as they may lie in the database and be shown."""


def clean(text: str, limit: int) -> str:
    """Without what PostgreSQL can't store (NUL, half characters), and shortened."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]


def web_link(text: str) -> str:
    """An http(s) address as it comes; empty for anything else, because it will be a link on a page."""
    link = clean(text, 2001).strip()
    is_link = link.lower().startswith(("https://", "http://")) and link.isprintable() and len(link) <= 2000
    return link if is_link else ""

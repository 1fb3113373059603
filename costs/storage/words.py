"""Sizes as people read them."""

_UNITS = ("kB", "MB", "GB", "TB")


def in_words(count: int) -> str:
    """`count` bytes for people, in powers of 1000: 950 bytes, 1.2 GB."""
    if count < 1000:
        return f"{max(count, 0)} bytes"
    size = float(count)
    for unit in _UNITS:
        size /= 1000
        if size < 999.95:
            break
    return f"{size:.1f} {unit}"

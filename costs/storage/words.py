"""Sizes as people read them."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def in_words(count: int) -> str:
    """`count` bytes for people, in powers of 1000: 950 bytes, 1.2 GB."""
    if count < 1000:
        return f"{max(count, 0)} bytes"
    size, power = float(count), 0
    while size >= 999.95 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.1f} {_UNITS[power]}"

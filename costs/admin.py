"""The admin of costs, by subject."""

from costs.storage import admin as storage

__all__ = ["storage"]

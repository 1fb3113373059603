"""Money and storage in the admin, by subject; and for the operator all brands together."""

from costs.admins import books, limits, prices
from costs.storage import admin as storage

__all__ = ["books", "limits", "prices", "storage"]

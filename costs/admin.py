"""Money in the admin: the books to look at, budgets and prices to set, and for the operator all brands together."""

from costs.admins import books, limits, prices

__all__ = ["books", "limits", "prices"]

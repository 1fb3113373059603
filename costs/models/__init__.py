"""Money and storage: prices, the ledger, budgets, the roll-up; what is kept and for how long."""

from costs.models.books import NOBODY, CostDaily, LedgerEntry, UnitsDaily, UsageAttempt
from costs.models.budgets import (
    ALL_PROVIDERS,
    Budget,
    Length,
    Period,
    ProfilePeriod,
    ProviderSwitch,
    ServerBudget,
    ServerPeriod,
)
from costs.models.compute import ComputeDaily
from costs.models.prices import PROMPT, ExchangeRate, Meter, Price, PriceOverride, PriceRule
from costs.models.storage import StorageQuota, StorageRetention

__all__ = [
    "ALL_PROVIDERS",
    "NOBODY",
    "PROMPT",
    "Budget",
    "ComputeDaily",
    "CostDaily",
    "ExchangeRate",
    "LedgerEntry",
    "Length",
    "Meter",
    "Period",
    "Price",
    "PriceOverride",
    "PriceRule",
    "ProfilePeriod",
    "ProviderSwitch",
    "ServerBudget",
    "ServerPeriod",
    "StorageQuota",
    "StorageRetention",
    "UnitsDaily",
    "UsageAttempt",
]

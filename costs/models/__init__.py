"""Money and storage: prices, the ledger, budgets, the roll-up; what is kept and for how long."""

from costs.models.storage import StorageQuota as StorageQuota
from costs.models.storage import StorageRetention as StorageRetention

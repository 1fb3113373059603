"""Money and storage: prices, the ledger, budgets, the roll-up; what is kept and for how long."""

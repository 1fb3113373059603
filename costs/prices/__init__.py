"""What things cost: the rules, which of them counts, and tables of them in and out."""

"""A profile's way out: its Postiz account and how that does, its channels, its webhook."""

"""Postiz over HTTP: its client, what it answers, what it refuses. No database."""

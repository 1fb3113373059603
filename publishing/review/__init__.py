"""Approval, and the links for people without an account."""

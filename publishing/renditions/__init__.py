"""Clips made over so that they keep a network's rules."""

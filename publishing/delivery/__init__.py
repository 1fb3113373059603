"""Exactly once to Postiz: from a post that is due to one that was handed over, or is not confirmed."""

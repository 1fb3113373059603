"""Paid calls, what is booked for them, what is spent and reserved; and the proof that all of it agrees."""

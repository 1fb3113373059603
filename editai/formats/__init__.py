"""How dates are written, instead of Django's own ways."""

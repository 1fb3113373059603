"""The admin of publishing, by subject. States, words and approvals change through the services alone."""

from publishing.admins import channels, publications, review, rules, texts

__all__ = ["channels", "publications", "review", "rules", "texts"]

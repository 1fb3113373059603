"""The tables of publishing, by subject."""

from publishing.models.accounts import Integration, MediaUpload, PostizAccount, PublishingSettings, Slot
from publishing.models.captions import CaptionSet, HashtagSet
from publishing.models.publication import Batch, OutboxItem, Publication, PublicationEvent
from publishing.models.review import Decision, ReviewLink
from publishing.models.rules import NetworkRule, Rendition

__all__ = [
    "Batch",
    "CaptionSet",
    "Decision",
    "HashtagSet",
    "Integration",
    "MediaUpload",
    "NetworkRule",
    "OutboxItem",
    "PostizAccount",
    "Publication",
    "PublicationEvent",
    "PublishingSettings",
    "Rendition",
    "ReviewLink",
    "Slot",
]

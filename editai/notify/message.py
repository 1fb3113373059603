"""What is sent, whichever way it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


class NotDelivered(Exception):
    """The text is for people, and holds neither keys nor what the other side wrote. `for_good`: no use in trying
    again."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


@dataclass(frozen=True)
class Message:
    """`delivery_id` stays the same when it is sent again, so that who receives it twice can drop one."""

    delivery_id: UUID
    event: str
    title: str
    text: str
    link: str  # an address, or empty
    created_at: datetime
    profile_id: UUID
    profile_name: str
    payload: Mapping[str, Any] = field(default_factory=dict)

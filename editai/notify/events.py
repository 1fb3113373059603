"""What can be told: each app registers its own events when the program starts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """`is_default`: told to a target that names no events. `owners_only`: not to targets of other members."""

    name: str
    label: str
    is_default: bool = True
    owners_only: bool = False


_events: dict[str, Event] = {}


def register_event(event: Event) -> None:
    _events[event.name] = event


def event_named(name: str) -> Event | None:
    return _events.get(name)


def events() -> list[Event]:
    """All of them, by name."""
    return sorted(_events.values(), key=lambda event: event.name)


DISK_LOW = Event("disk_low", "The server's disk is nearly full", owners_only=True)

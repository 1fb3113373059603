"""All routes of the API, walked from the URL conf: what exists must be known to the isolation test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One address with one method. `name`: as `reverse` knows it; `parameters`: its placeholders."""

    name: str
    method: str
    pattern: str
    parameters: frozenset[str]
    view: Any

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.method

    @property
    def app(self) -> str:
        module: str = self.view.__module__
        return module.removeprefix("editai.").split(".")[0]


def api_routes() -> list[Route]:
    return [route for route in _walk(get_resolver(), "") if route.pattern.startswith("api/v1/")]


def _walk(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, pattern)
        elif isinstance(entry, URLPattern):
            yield from _of_pattern(entry, pattern)


def _of_pattern(entry: URLPattern, pattern: str) -> Iterator[Route]:
    view = getattr(entry.callback, "cls", getattr(entry.callback, "view_class", entry.callback))
    actions = getattr(entry.callback, "actions", None)
    for method in actions or [method for method in METHODS if hasattr(view, method)]:
        if method in METHODS:
            yield Route(entry.name or pattern, method, pattern, frozenset(entry.pattern.converters), view)

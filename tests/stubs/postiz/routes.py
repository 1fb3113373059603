"""Which call is which, and since which version."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from . import channels, existing, posts, uploads
from .call import Handler
from .state import Features


@dataclass(frozen=True)
class Route:
    """`name` is what faults and gates are scripted for. `raw`: the handler reads the body itself."""

    name: str
    handler: Handler
    since: tuple[int, int, int] = (0, 0, 0)
    raw: bool = False

    @property
    def method(self) -> str:
        return self.name.split(" ")[0]

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r":(\w+)", r"(?P<\1>[^/]+)", self.name.split(" ")[1]))


ROUTES = (
    Route("GET /is-connected", channels.is_connected),
    Route("GET /integrations", channels.list_integrations),
    Route("DELETE /integrations/:id", channels.delete_integration, (2, 20, 0)),
    Route("GET /groups", channels.groups, (2, 21, 9)),
    Route("GET /integration-settings/:id", channels.integration_settings, (2, 18, 0)),
    Route("POST /integration-trigger/:id", channels.integration_trigger, (2, 18, 0)),
    Route("GET /social/:provider", channels.social, (2, 20, 0)),
    Route("GET /find-slot/:id", channels.find_slot),
    Route("POST /upload", uploads.upload, raw=True),
    Route("POST /upload-from-url", uploads.upload_from_url),
    Route("GET /posts", existing.list_posts),
    Route("POST /posts", posts.create),
    Route("PUT /posts/:id/status", existing.put_status, (2, 21, 7)),
    Route("PUT /posts/:id/settings", existing.put_settings, (2, 23, 1)),
    Route("GET /posts/:id/missing", existing.missing, (2, 19, 0)),
    Route("PUT /posts/:id/release-id", existing.put_release_id, (2, 19, 0)),
    Route("DELETE /posts/group/:group", existing.delete_group, (2, 18, 0)),
    Route("DELETE /posts/:id", existing.delete_post),
    Route("GET /analytics/post/:id", channels.post_analytics, (2, 18, 0)),
    Route("GET /analytics/:id", channels.analytics, (2, 18, 0)),
    Route("GET /notifications", channels.notifications, (2, 17, 0)),
)
THROTTLED_OF_OLD = ("GET /posts", "DELETE /posts/:id", "DELETE /posts/group/:group", "POST /upload")


def find(method: str, path: str, features: Features) -> tuple[Route, dict[str, str]] | None:
    """The route of a path below the prefix, with its arguments; None when this version has none."""
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found and route.method == method and features.since(*route.since):
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def is_throttled(route: Route, features: Features) -> bool:
    """POST /posts always; until 2.18 also reading, deleting and uploading, each with a count of its own."""
    return route.name == "POST /posts" or (route.name in THROTTLED_OF_OLD and not features.since(2, 19, 0))

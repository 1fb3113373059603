"""Django REST framework and the OpenAPI document."""

from editai.settings import env

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "profiles.api.authentication.TokenOrLinkAuthentication",
        "profiles.api.authentication.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["profiles.api.permissions.ProfileRole"],
    "DEFAULT_PARSER_CLASSES": [
        "profiles.api.parsers.StrictJSONParser",
        "rest_framework.parsers.MultiPartParser",
        "rest_framework.parsers.FormParser",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "profiles.api.renderers.ScopedBrowsableAPIRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "profiles.api.paging.TimeCursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["profiles.api.filters.StrictFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": [
        "profiles.api.throttles.UserThrottle",
        "profiles.api.throttles.ProfileThrottle",
        "profiles.api.throttles.AnonymousThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "user": env.rate("EDITAI_USER_RATE", "1200/min"),
        "profile": env.rate("EDITAI_PROFILE_RATE", "3000/min"),
        "anon": env.rate("EDITAI_ANONYMOUS_RATE", "120/min"),
    },
    "DEFAULT_SCHEMA_CLASS": "profiles.api.schema.EditAISchema",
    "EXCEPTION_HANDLER": "profiles.api.errors.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COERCE_DECIMAL_TO_STRING": False,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "EditAI",
    "VERSION": "1",
    "DESCRIPTION": (
        "Short vertical videos for several brands. Every call works inside one profile: the one the token is bound "
        "to, the one in the path, the one in `X-Profile-Id`, else your default. Lists are paged by cursor; errors "
        'have one shape: `{"error": {code, message, fields?}}`.'
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "profiles.api.schema.responses_are_complete",
        "profiles.api.examples.add_examples",
        "profiles.api.schema.name_credentials",
        "profiles.api.schema.document_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "jobs.models.Status",
        "JobEventKind": "jobs.models.JobEvent.Kind",
        "SourceState": "segments.selectors.STATES",
        "ClipState": "editai.clips.models.Clip.ShownState",
        "HealthState": "editai.health.State",
        "NotifyKind": "editai.notify.models.NotifyTarget.Kind",
        "DeliveryState": "editai.notify.models.Delivery.State",
        "PublicationState": "publishing.states.State",
        "Role": "profiles.models.Role",
        "Ceiling": "profiles.models.Ceiling",
    },
}

"""Logging: one line an event, plain for people (default) or JSON for machines."""

from typing import Any


def logging_config(*, json_lines: bool, level: str) -> dict[str, Any]:
    plain = "%(asctime)s %(levelname)s %(name)s %(profile_tag)s%(request_tag)s%(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": "profiles.logs.ContextFilter"}},
        "formatters": {
            "plain": {"()": "profiles.logs.OneLineFormatter", "format": plain},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(profile)s %(request_id)s %(message)s",
            },
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "filters": ["context"],
                "formatter": "json" if json_lines else "plain",
            },
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {"django.server": {"level": "WARNING"}, "botocore": {"level": "WARNING"}},
    }

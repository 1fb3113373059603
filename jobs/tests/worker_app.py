"""`celery --app jobs.tests.worker_app`: EditAI's own application, with the kinds of the tests."""

import django

from editai.celery import app

django.setup()

from jobs.tests import kinds  # noqa: E402, F401 - registers them

__all__ = ["app"]

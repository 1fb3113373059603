"""Settings: the embedded default needs no switch at all; `DATABASE_URL` turns on production rules."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from editai.settings import env
from editai.settings.api import REST_FRAMEWORK, SPECTACULAR_SETTINGS
from editai.settings.logs import logging_config

__all__ = ["REST_FRAMEWORK", "SPECTACULAR_SETTINGS"]

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = env.private_dir(Path(env.text("EDITAI_DATA_DIR") or BASE_DIR / "var").resolve())
EMBEDDED = not env.text("DATABASE_URL")

# --- who may talk to us --------------------------------------------------------------------------------
BIND = env.text("EDITAI_BIND", "127.0.0.1")
PORT = env.number("EDITAI_PORT", 8000, low=1, high=65535)
PUBLIC_URL = env.text("EDITAI_PUBLIC_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
WEB_THREADS = env.number("EDITAI_WEB_THREADS", 16, low=4)  # of one web process (gunicorn's)
TRUSTED_PROXIES = env.words("EDITAI_TRUSTED_PROXIES")
DEBUG = env.flag("EDITAI_DEBUG")
if DEBUG and (not EMBEDDED or BIND not in {"127.0.0.1", "localhost", "::1"}):
    raise ImproperlyConfigured("EDITAI_DEBUG works only on the embedded default bound to loopback.")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in {"http", "https"} or not _public.hostname:
    raise ImproperlyConfigured("EDITAI_PUBLIC_URL must look like https://editai.example.org.")
ALLOWED_HOSTS = sorted({"127.0.0.1", "localhost", "[::1]", _public.hostname, *env.words("EDITAI_ALLOWED_HOSTS")})
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = False  # the proxy in front speaks TLS; redirecting here would loop behind it
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
CSRF_FAILURE_VIEW = "profiles.api.errors.csrf_failure"
# not "no-referrer": under it browsers post forms with "Origin: null", which CSRF refuses
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # see SECURE_SSL_REDIRECT

# --- keys ----------------------------------------------------------------------------------------------
SECRET_KEY = env.secret_key("EDITAI_SECRET_KEY", DATA_DIR / "keys" / "secret.key", may_create=EMBEDDED)
ENCRYPTION_KEYS = env.words("EDITAI_ENCRYPTION_KEYS")  # else <data>/keys/encryption.keys, newest first
ENCRYPTION_KEYS_FILE = DATA_DIR / "keys" / "encryption.keys"

# --- the program ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "editai.admin_config.EditAIAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "editai",
    "profiles",
    "jobs",
    "editai.notify",
    "costs",
    "segments",
    "editai.projects",
    "editai.clips",
    "publishing",
]
MIDDLEWARE = [
    "profiles.middleware.RequestContextMiddleware",
    "editai.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "profiles.middleware.BodyLimitMiddleware",
    "profiles.middleware.ProfilePathMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "profiles.middleware.ProfileMiddleware",
    "profiles.middleware.PrivateCacheMiddleware",
    "profiles.api.errors.DomainErrorMiddleware",
]
ROOT_URLCONF = "editai.urls"
WSGI_APPLICATION = "editai.wsgi.application"
AUTH_USER_MODEL = "profiles.User"
AUTHENTICATION_BACKENDS = ["profiles.api.login.ThrottledBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "editai.formats"  # times say their zone, everywhere people read them
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
APPEND_SLASH = False  # a POST without its slash must be a 404 in the error shape, not a redirect that loses the body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "editai" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
LOGGING = logging_config(
    json_lines=env.choice("EDITAI_LOG_FORMAT", "plain", "json") == "json",
    level=env.choice("EDITAI_LOG_LEVEL", "info", "debug", "warning", "error", "critical").upper(),
)

# --- where things are kept -----------------------------------------------------------------------------
DATABASES: dict[str, Any]
CACHES: dict[str, Any]
if EMBEDDED:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "editai.sqlite3",
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},  # a file: in memory there is no real concurrency
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                # else INSERT OR REPLACE would delete rows of the ledger past its triggers
                "PRAGMA recursive_triggers=ON;",
            },
        }
    }
else:
    DATABASES = {"default": dj_database_url.parse(env.text("DATABASE_URL"), conn_max_age=60, conn_health_checks=True)}
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must be a postgres:// address; leave it out for SQLite.")

STORAGE_KIND = env.choice("EDITAI_STORAGE", "local", "s3")
_MEDIA = {
    "local": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": DATA_DIR / "media",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "s3": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.text("AWS_STORAGE_BUCKET_NAME", "editai"),
            "endpoint_url": env.text("AWS_S3_ENDPOINT_URL") or None,
            "default_acl": "private",
            "file_overwrite": False,
            "signature_version": "s3v4",
            "addressing_style": env.text("AWS_S3_ADDRESSING_STYLE") or None,
        },
    },
}
STORAGES = {
    "default": _MEDIA[STORAGE_KIND],
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
SCRATCH_DIR = Path(env.text("EDITAI_SCRATCH_DIR") or DATA_DIR / "scratch").resolve()
SOURCE_CACHE_DIR = Path(env.text("EDITAI_SOURCE_CACHE_DIR") or DATA_DIR / "source-cache").resolve()
SOURCE_CACHE_BYTES = env.number("EDITAI_SOURCE_CACHE_BYTES", 20 * 2**30)
FILE_UPLOAD_TEMP_DIR = env.private_dir(DATA_DIR / "uploads")  # same volume as the media: a rename, not a copy
FILE_UPLOAD_HANDLERS = ["profiles.api.uploads.GuardedUploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
MAX_UPLOAD_BYTES = env.number("EDITAI_MAX_UPLOAD_BYTES", 8 * 2**30, low=1)
MAX_JSON_BYTES = 2**20
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_JSON_BYTES
FREE_SPACE_MARK = env.number("EDITAI_FREE_SPACE_MARK", 2**30)  # bytes that uploads never take
TRASH_DAYS = env.number("EDITAI_TRASH_DAYS", 14)
STORAGE_QUOTA = env.number("EDITAI_STORAGE_QUOTA", 0)  # bytes that a brand may keep; 0: no limit
SIGNED_LINK_SECONDS = 600

# --- caches, broker, jobs ------------------------------------------------------------------------------
REDIS_URL = env.text("REDIS_URL")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": env.private_dir(DATA_DIR / "cache"),
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    }
BROKER_DIR = DATA_DIR / "broker"
JOB_LEASE_SECONDS = env.number("EDITAI_JOB_LEASE_SECONDS", 30, low=2)
JOB_REAP_SECONDS = env.number("EDITAI_JOB_REAP_SECONDS", 10, low=1)
JOB_QUEUE_LIMIT = env.number("EDITAI_JOB_QUEUE_LIMIT", 1000, low=1)  # jobs of one profile that wait in one queue

# --- money: hours until a call whose answer never came is charged as it was reserved ---------------------
UNKNOWN_CHARGE_HOURS = env.number("EDITAI_UNKNOWN_CHARGE_HOURS", 24, low=1)

# --- outside services ----------------------------------------------------------------------------------
GEMINI_API_KEY = env.text("GEMINI_API_KEY")
# what tenants type may point only to public addresses, and to these (profiles/addresses.py)
PRIVATE_HOSTS = env.hosts_and_ports("EDITAI_PRIVATE_HOSTS")
ALLOW_PRIVATE_HOSTS = env.flag("EDITAI_ALLOW_PRIVATE_HOSTS")

# --- e-mail (notifications) ----------------------------------------------------------------------------
_mail = env.mail_server("EDITAI_SMTP_URL")
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port  # no host: no e-mail
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.starttls, _mail.ssl
EMAIL_TIMEOUT = 10  # seconds for each step
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.mail_from("EDITAI_MAIL_FROM", needed=bool(_mail.host))

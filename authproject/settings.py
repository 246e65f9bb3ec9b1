"""All settings, from the environment alone; authproject/env.py says what each variable means."""

import base64
import secrets
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from accounts.crypto.breached import is_sorted_list
from accounts.federation.providers import parse_providers
from authproject.addresses import (
    caches_config,
    connection_options,
    database_config,
    mail_config,
    web_address,
)
from authproject.env import generated_secret, read_environment
from authproject.observability.logging import logging_config
from authproject.production import Deployment, refuse_unsafe
from authproject.web.headers import content_security_policy

BASE_DIR = Path(__file__).resolve().parent.parent

env = read_environment(BASE_DIR / ".env")

ENVIRONMENT = env.choice("ENVIRONMENT", "development", "production", "test")
PRODUCTION = ENVIRONMENT == "production"
DEVELOPMENT = ENVIRONMENT == "development"
DEBUG = env.flag("DEBUG")
DATA_DIR = (BASE_DIR / env.text("DATA_DIR")).resolve()
PORT = env.port("PORT")
EXAMPLE_PORT = env.port("EXAMPLE_PORT")


# Secrets. Production must be given its own; elsewhere they are made once and kept in DATA_DIR.
def _secret(name: str, new: str) -> str:
    given = env.text(name)
    return given if given or PRODUCTION else generated_secret(DATA_DIR / name.lower(), new=new)


def _encryption_keys(text: str) -> list[bytes]:
    try:
        keys = [base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)) for word in text.split(",")]
    except ValueError:
        keys = [b"not base64"]
    if any(len(key) != 32 for key in keys):
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS must be 32 bytes each, in base64url.")
    return keys


SECRET_KEY = _secret("SECRET_KEY", secrets.token_urlsafe(64))
_keys = _secret("FIELD_ENCRYPTION_KEYS", secrets.token_urlsafe(32))
FIELD_ENCRYPTION_KEYS = _encryption_keys(_keys) if _keys else []

# Addresses.
ISSUER_URL = (env.text("ISSUER_URL") or f"http://127.0.0.1:{PORT}").rstrip("/")
_issuer = web_address("ISSUER_URL", ISSUER_URL)
OVER_HTTPS = _issuer.scheme == "https"
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
if not PRODUCTION:
    ALLOWED_HOSTS += [_issuer.hostname or "", "localhost", "127.0.0.1", "[::1]"]
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT")
ROOT_URLCONF = "authproject.urls"
WSGI_APPLICATION = "authproject.wsgi.application"
APPEND_SLASH = False

# Database.
ALLOW_SQLITE = env.flag("ALLOW_SQLITE")
_database = database_config(
    env.text("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'authproject.sqlite3'}"
)
_database |= connection_options(
    _database, folder=DATA_DIR, statement_timeout=env.integer("STATEMENT_TIMEOUT")
)
DATABASES = {"default": _database}
CACHES = caches_config(env.text("CACHE_URL"))
RATELIMIT_USE_CACHE = "limits"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Apps and what a request passes through. `authproject` comes first: its templates and commands
# stand before those of the packages below.
INSTALLED_APPS = [
    "authproject.apps.AuthprojectConfig",
    "batchtokens.apps.BatchtokensConfig",
    "accounts.apps.AccountsConfig",
    "accounts.apps.StaffSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_otp",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "authproject.observability.counting.MetricsMiddleware",
    "authproject.web.request_id.RequestIdMiddleware",
    "authproject.web.context.RequestContextMiddleware",
    "authproject.web.rate_limits.RateLimitMiddleware",
    "authproject.web.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Below what hardens answers: its own are pages, too.
    "authproject.web.faults.FaultMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "authproject.web.hosts.HostMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.pages.middleware.BrowserSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# People, passwords and their mail.
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]  # cheap: the suite hashes thousands
    if ENVIRONMENT == "test"
    else ["accounts.crypto.passwords.BoundedArgon2PasswordHasher"]
)
PASSWORD_MIN_LENGTH = max(8, env.integer("PASSWORD_MIN_LENGTH"))
BREACHED_PASSWORDS_FILE = env.file("BREACHED_PASSWORDS_FILE", below=BASE_DIR)
if BREACHED_PASSWORDS_FILE and not is_sorted_list(BREACHED_PASSWORDS_FILE):  # nothing is found then
    raise ImproperlyConfigured(
        "BREACHED_PASSWORDS_FILE must hold SHA-1 digests in their order, one `DIGEST:count` a line."
    )
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"accounts.services.check_new_password.{name}"}
    for name in ("LengthValidator", "CommonValidator", "ExpectedValidator", "SimilarValidator")
]
EMAIL_VERIFICATION = env.choice("EMAIL_VERIFICATION", "", "required", "optional") or (
    "required" if PRODUCTION else "optional"
)
_mail = mail_config(env.text("EMAIL_URL"), folder=DATA_DIR / "mail", test=ENVIRONMENT == "test")
globals().update(_mail)  # Django's EMAIL_… settings
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM")

FEDERATED_PROVIDERS = parse_providers(env.text("FEDERATED_PROVIDERS"), production=PRODUCTION)

# Tokens, redemptions, deliveries.
ACCESS_TOKEN_LIFETIME = env.seconds("ACCESS_TOKEN_LIFETIME")
REFRESH_TOKEN_LIFETIME = env.seconds("REFRESH_TOKEN_LIFETIME")
SESSION_FAMILY_LIFETIME = env.seconds("SESSION_FAMILY_LIFETIME")
KEY_RING_TTL = env.seconds("KEY_RING_TTL")
KEY_PUBLISH_AHEAD = env.seconds("KEY_PUBLISH_AHEAD")
LEDGER_SINK = (BASE_DIR / (env.text("LEDGER_SINK") or DATA_DIR / "checkpoints")).resolve()
REDEMPTION_LEASE = env.seconds("REDEMPTION_LEASE")
DELIVERY_LEASE = env.seconds("DELIVERY_LEASE")
DELIVERY_TIMEOUT = env.seconds("DELIVERY_TIMEOUT")
DELIVERY_BACKOFF = (
    env.seconds("DELIVERY_BACKOFF")
    if env.text("DELIVERY_BACKOFF")
    else timedelta(seconds=1 if DEVELOPMENT else 5)  # nobody at a terminal likes to wait
)
RATE_LIMITS = env.flag("RATE_LIMITS")
RATE_LIMIT_ANONYMOUS = env.rates("RATE_LIMIT_ANONYMOUS")
RATE_LIMIT_SIGN_IN = env.rates("RATE_LIMIT_SIGN_IN")
RATE_LIMIT_EXPENSIVE = env.rates("RATE_LIMIT_EXPENSIVE")
RATE_LIMIT_REFRESH = env.rates("RATE_LIMIT_REFRESH")
FRESH_AUTHENTICATION = env.seconds("FRESH_AUTHENTICATION")
API_KEY_MAX_AGE = timedelta(days=env.integer("API_KEY_MAX_DAYS"))
BROWSER_SESSION_IDLE = env.seconds("BROWSER_SESSION_IDLE")
BROWSER_SESSION_LIFETIME = env.seconds("BROWSER_SESSION_LIFETIME")
STAFF_SHOW_SECOND_FACTOR = not DEVELOPMENT
ALLOW_SECONDLY_SCHEDULES = not PRODUCTION  # the demo's three runs are seconds apart
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME,
    "REFRESH_TOKEN_LIFETIME": REFRESH_TOKEN_LIFETIME,
    "AUTH_TOKEN_CLASSES": ("accounts.tokens.access.AccessToken",),
    "USER_ID_CLAIM": "sub",
}

# REST.
AUTHENTICATION = [
    "accounts.api.authentication.BearerAuthentication",
    "accounts.api.authentication.ClientBasicAuthentication",
    "accounts.api.authentication.ApiKeyAuthentication",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": AUTHENTICATION
    + ["authproject.web.browsable.BrowserSession"] * DEVELOPMENT,
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["authproject.web.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]
    + ["authproject.web.browsable.PageRenderer"] * DEVELOPMENT,
    "DEFAULT_PAGINATION_CLASS": "authproject.web.pagination.CursorPages",
    "DEFAULT_SCHEMA_CLASS": "authproject.web.openapi.ProblemSchema",
    "EXCEPTION_HANDLER": "authproject.problems.exception_handler",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%SZ",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "authproject",
    "DESCRIPTION": "A self-hosted identity service whose tokens can wait.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",  # so that tags and operation ids begin behind it
    "ENUM_NAME_OVERRIDES": {
        "OperationStatus": "batchtokens.models.Status",
        "RedemptionStatus": "batchtokens.models.RedemptionStatus",
    },
    "AUTHENTICATION_WHITELIST": AUTHENTICATION,  # not the browser session of development
}

# Browsers.
CONTENT_SECURITY_POLICY = content_security_policy()
_host_prefix = "__Host-" if OVER_HTTPS else ""
SESSION_ENGINE = "accounts.pages.session_store"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no further cookie
SESSION_COOKIE_AGE = int(BROWSER_SESSION_LIFETIME.total_seconds())
SESSION_COOKIE_NAME = f"{_host_prefix}session"
CSRF_COOKIE_NAME = f"{_host_prefix}csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = OVER_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "authproject.problems.csrf_failure"
SECURE_SSL_REDIRECT = OVER_HTTPS
SECURE_REDIRECT_EXEMPT = [
    r"^livez$",
    r"^readyz$",
    r"^metrics$",
]  # asked over plain HTTP from inside
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS") if OVER_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = OVER_HTTPS and env.flag("HSTS_SUBDOMAINS")
# Other hosts of the domain are its owner's decision (HSTS_SUBDOMAINS), no defect of this one.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 131_072  # bytes; no request of this service is larger

# Static files, languages, logs, metrics.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION  # no collectstatic
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_config(
    level=env.choice("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR"),
    form=env.choice("LOG_FORMAT", "", "json", "text") or ("text" if DEVELOPMENT else "json"),
)
METRICS_TOKEN = env.text("METRICS_TOKEN")

DEPLOYMENT = Deployment(
    secret_key=SECRET_KEY,
    field_encryption_keys=FIELD_ENCRYPTION_KEYS,
    debug=DEBUG,
    rate_limits=RATE_LIMITS,
    issuer_url=ISSUER_URL,
    allowed_hosts=ALLOWED_HOSTS,
    database_engine=_database["ENGINE"],
    allow_sqlite=ALLOW_SQLITE,
    email_backend=_mail["EMAIL_BACKEND"],
    metrics_token=METRICS_TOKEN,
)
if PRODUCTION:
    refuse_unsafe(DEPLOYMENT)

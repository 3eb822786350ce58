"""An ordinary django-allauth behind its headless API for apps: passwords are reset by a code.

Runs in the peers' own environment: `python allauth_site.py COUNT` makes the database of
BENCH_DATABASE with so many people, `gunicorn allauth_site:application` serves it. Mail goes
by SMTP to BENCH_SMTP_PORT, or else to Django's locmem backend, where `/bench/mail` returns the last
one. Rate limits are off. With BENCH_CHEAP_HASHES MD5 takes the place of a password hash, so that
nothing needs to be subtracted; without it the hashes are Django's default.
"""

# The peers are installed in an environment of their own, which mypy does not see.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.conf import settings

SMTP_PORT = int(os.environ.get("BENCH_SMTP_PORT", "0"))

CHEAP_HASHES: dict[str, Any] = {
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
}

settings.configure(
    SECRET_KEY="s" * 50,
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DATABASE"],
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "allauth.headless",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    AUTH_PASSWORD_VALIDATORS=[
        {"NAME": f"django.contrib.auth.password_validation.{name}"}
        for name in (
            "UserAttributeSimilarityValidator",
            "MinimumLengthValidator",
            "CommonPasswordValidator",
            "NumericPasswordValidator",
        )
    ],
    **(CHEAP_HASHES if os.environ.get("BENCH_CHEAP_HASHES") else {}),
    EMAIL_BACKEND=f"django.core.mail.backends.{'smtp' if SMTP_PORT else 'locmem'}.EmailBackend",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=SMTP_PORT,
    ACCOUNT_LOGIN_METHODS={"email"},
    ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"],
    ACCOUNT_EMAIL_VERIFICATION="mandatory",
    ACCOUNT_EMAIL_NOTIFICATIONS=True,
    ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED=True,
    ACCOUNT_RATE_LIMITS=False,
    HEADLESS_ONLY=True,
    HEADLESS_CLIENTS=["app"],
    HEADLESS_FRONTEND_URLS={
        "account_reset_password": "https://recovery.example/reset",
        "account_reset_password_from_key": "https://recovery.example/reset/{key}",
        "account_confirm_email": "https://recovery.example/confirm/{key}",
        "account_signup": "https://recovery.example/signup",
    },
)
django.setup()

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def last_mail(_: HttpRequest) -> HttpResponse:
    """Return the text of the last mail, and empty the outbox."""
    text = mail.outbox[-1].body
    mail.outbox.clear()
    return HttpResponse(text, content_type="text/plain")


def health(_: HttpRequest) -> HttpResponse:
    """Answer without any work."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns: list[Any] = [
    path("bench/mail", last_mail),
    path("health", health),
    path("_allauth/", include("allauth.headless.urls")),
]

mail.outbox = []
application = WSGIHandler()


def fill(count: int) -> None:
    """Make the tables and the people."""
    call_command("migrate", verbosity=0)
    people = get_user_model()
    # One hash for all: a slow one each would take minutes.
    password = make_password("Opening-password-1")
    made = people.objects.bulk_create(
        people(username=f"p{number}", email=f"p{number}@bench.example", password=password)
        for number in range(count)
    )
    EmailAddress.objects.bulk_create(
        EmailAddress(user=person, email=person.email, verified=True, primary=True)
        for person in made
    )


if __name__ == "__main__":
    fill(int(sys.argv[1]))

"""An ordinary Flask-Security-Too behind its JSON API: passwords are reset by a token in a link.

It has no reset by a code; a token that is mailed, looked at and then used is the nearest to one.
Runs in the peers' own environment: `python flask_site.py COUNT` makes the database of
BENCH_DATABASE with so many people, `gunicorn flask_site:application` serves it. Mail goes
by SMTP to BENCH_SMTP_PORT; without one it is built and not sent, and `/bench/mail` returns the last
one. There are no rate limits. With BENCH_CHEAP_HASHES the `plaintext` scheme takes the place of a
password hash, and MD5 of the token's, so that nothing needs to be subtracted; without it both are
Flask-Security-Too's default.
"""

# The peers are installed in an environment of their own, which mypy does not see.
# mypy: disable-error-code="import-not-found,misc"

from __future__ import annotations

import os
import sys
import uuid
from typing import Any

from flask import Flask
from flask_mail import Mail, email_dispatched
from flask_security import Security, SQLAlchemyUserDatastore, hash_password
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy

SMTP_PORT = int(os.environ.get("BENCH_SMTP_PORT", "0"))

CHEAP_HASHES: dict[str, Any] = {
    "SECURITY_PASSWORD_HASH": "plaintext",
    "SECURITY_PASSWORD_SCHEMES": ["plaintext"],
    "SECURITY_PASSWORD_SINGLE_HASH": True,
    "SECURITY_DEPRECATED_PASSWORD_SCHEMES": [],
    # By default a token holds a slow hash of the old hash, which would be no smaller than the other.
    "SECURITY_HASHING_SCHEMES": ["hex_md5"],
    "SECURITY_DEPRECATED_HASHING_SCHEMES": [],
}

application = Flask(__name__)
application.config.update(
    SECRET_KEY="s" * 50,
    SQLALCHEMY_DATABASE_URI=f"sqlite:///{os.environ['BENCH_DATABASE']}",
    MAIL_SUPPRESS_SEND=not SMTP_PORT,
    MAIL_SERVER="127.0.0.1",
    MAIL_PORT=SMTP_PORT,
    MAIL_DEFAULT_SENDER="recovery@bench.example",
    WTF_CSRF_ENABLED=False,
    SECURITY_PASSWORD_SALT="p" * 32,
    **(CHEAP_HASHES if os.environ.get("BENCH_CHEAP_HASHES") else {}),
    SECURITY_RECOVERABLE=True,
    SECURITY_REDIRECT_BEHAVIOR="spa",
    SECURITY_REDIRECT_HOST="recovery.example",
    SECURITY_RESET_VIEW="/reset-password",
    SECURITY_RESET_ERROR_VIEW="/reset-password",
    SECURITY_POST_CONFIRM_VIEW="/confirmed",
    SECURITY_CONFIRM_ERROR_VIEW="/confirmed",
    SECURITY_LOGIN_ERROR_VIEW="/login",
    SECURITY_POST_LOGIN_VIEW="/",
    SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
)

database: Any = SQLAlchemy(application)
fsqla_v3.FsModels.set_db_info(database)


class Role(database.Model, fsqla_v3.FsRoleMixin):
    """A role; nobody has one."""


class User(database.Model, fsqla_v3.FsUserMixin):
    """A person."""


Mail(application)
Security(application, SQLAlchemyUserDatastore(database, User, Role))

_outbox: list[str] = []


def _keep(_: Any, message: Any) -> None:
    _outbox.append(str(message.body))


if not SMTP_PORT:
    email_dispatched.connect(_keep)


@application.get("/bench/mail")
def last_mail() -> str:
    """Return the text of the last mail, and empty the outbox."""
    text = _outbox[-1]
    _outbox.clear()
    return text


@application.get("/health")
def health() -> str:
    """Answer without any work."""
    return "ok"


def fill(count: int) -> None:
    """Make the tables and the people."""
    with application.app_context():
        database.create_all()
        # One hash for all: a slow one each would take minutes.
        password = hash_password("Opening-password-1")
        database.session.add_all(
            User(
                email=f"p{number}@bench.example",
                password=password,
                active=True,
                fs_uniquifier=uuid.uuid4().hex,
            )
            for number in range(count)
        )
        database.session.commit()


if __name__ == "__main__":
    fill(int(sys.argv[1]))

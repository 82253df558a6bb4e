"""Passwords in addresses: refused where an address is given, and hidden wherever text is shown.

An address is kept with results, in MLflow and in reports, and printed in errors; a password must
not be. Programs have better places for it: environment variables and files of their own.
"""

import re

HIDDEN = "***"

_USER = re.compile(r"(?P<before>\b[a-zA-Z][\w+.-]*://[^\s:@/?#]*:)(?P<secret>\S*)@")
_NAMED = re.compile(
    r"(?P<before>[?&;\s](?:[\w.-]*(?:secret|passw|pwd|token|signature|credential|access_?key)[\w.-]*)=)"
    r"(?P<secret>[^&;\s]+)",
    re.IGNORECASE,
)


def has_secret(address: str) -> bool:
    """Return whether an address holds a password, a key or a signature.

    Examples
    --------
    >>> has_secret("s3://key:secret@bucket/photographs"), has_secret("s3://bucket/a:b@c")
    (True, False)
    """
    return "://" in address and redacted(address) != address


def redacted(text: str) -> str:
    """Return text in which the passwords of addresses are hidden.

    Examples
    --------
    >>> redacted("cannot reach postgresql://me:hunter2@host/db?sslmode=require")
    'cannot reach postgresql://me:***@host/db?sslmode=require'
    """
    text = _USER.sub(lambda found: f"{found['before']}{HIDDEN}@", text)
    return _NAMED.sub(lambda found: f"{found['before']}{HIDDEN}", text)

"""Addresses of endpoints: joined with operations, and shown without the secrets that they can hold."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, unquote, unquote_plus, urlsplit, urlunsplit

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_HOST = "api.openai.com"
HIDDEN = "[hidden]"
"""What stands in messages where a secret stood."""
SHORT = 4
"""Characters up to which a part is no secret; hiding it would only spoil messages."""
SHORTEST_BASE64 = 8
"""Letters of base64 that are looked for at least."""


def host_of(url: str) -> str:
    """Return the host name of a URL, in lower case; "" when it has none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def askable(url: str) -> bool:
    """Say whether requests can be sent to a URL: http or https, a host, and a port that is one.

    Example: "http://127.0.0.1:80O0/v1" -> False
    """
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "\\" not in url and parts.port != 0
    except ValueError:
        return False


def shown_url(url: str) -> str:
    """Return a URL as messages may show it: without user, password and query, which can be secrets."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a server may redirect to anything
        return "an address that cannot be read"
    if ":" in host:
        host = f"[{host}]"
    return urlunsplit((parts.scheme, f"{host}:{port}" if port else host, parts.path, "", ""))


def joined(url: str, path: str) -> str:
    """Return the address of one operation; a query in the base (Azure's api-version) stays at the end.

    Example: joined("https://host/v1/?api-version=1", "/models") -> "https://host/v1/models?api-version=1"
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, parts.query, ""))


def secrets_of(url: str) -> list[str]:
    """Return the parts of a URL that must not be shown: its password, and what its query says, quoted and plain."""
    parts = urlsplit(url)
    quoted = [parts.password or "", *(each.partition("=")[2] for each in parts.query.split("&"))]
    said = {spelling for each in quoted for spelling in (each, unquote(each), unquote_plus(each))}
    return [secret for secret in said if len(secret) > SHORT]


def spellings(secret: str) -> set[str]:
    """Return a secret as servers quote it back: plain, in a URL, escaped in JSON, and in base64."""
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], *_in_base64(secret.encode())}


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 makes of a secret inside any text, such as `user:secret` or a whole header.

    Three bytes become four letters, so a text begins at one of three places; letters that hold bits of what stands
    around it are left out. Too short a rest is found by chance in what is none.
    """
    for before in range(3):
        bits = 8 * before, 8 * (before + len(secret))
        letters = slice(-(-bits[0] // 6), bits[1] // 6)
        for encode in (b64encode, urlsafe_b64encode):
            inside = encode(b"\0" * before + secret).decode()[letters]
            if len(inside) >= SHORTEST_BASE64:
                yield inside

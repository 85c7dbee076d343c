"""Addresses of endpoints: joined with operations, and shown without the secrets that they can hold."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_HOST = "api.openai.com"
SHORT = 4
"""Characters up to which a part is no secret; hiding it would only spoil messages."""


def host_of(url: str) -> str:
    """Return the host name of a URL, in lower case."""
    return urlsplit(url).hostname or ""


def shown_url(url: str) -> str:
    """Return a URL as messages may show it: without user, password and query, which can be secrets."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


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

"""The lean way to an endpoint: bytes out, bytes in, over one pool of connections that scales.

An HTTP answer of any status is a `Reply`; everything else is a `Broken` that says whether the request can have
reached the endpoint. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

CONNECT_TIMEOUT = 15.0
"""Seconds for one connection to be made, TLS included in the whole time-out, not in this."""


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    earlier: bool = False
    """True when it answers what an earlier sitting sent, perhaps in another shape than would be sent now."""


class Broken(Exception):  # noqa: N818 - what happened; the connection turns it into an error of ours
    """No HTTP answer came, or only a part of one."""

    def __init__(self, what: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(what)
        self.sent = sent
        """True when the endpoint may have read the request, and so may bill it."""
        self.timed_out = timed_out


class Http:
    """One endpoint's session, with its headers and proxy."""

    def __init__(self, session: aiohttp.ClientSession, timeout: float, proxy: str | None) -> None:
        self._session = session
        self._timeout = timeout
        self._proxy = proxy

    async def post(self, url: URL, body: bytes) -> Reply:
        """Send JSON bytes. Raises: Broken."""
        try:
            async with self._session.post(url, data=body, proxy=self._proxy, allow_redirects=False) as answer:
                return Reply(answer.status, answer.headers, await answer.read())
        except aiohttp.ConnectionTimeoutError as error:
            raise Broken("no connection in time", sent=False) from error
        except TimeoutError as error:
            raise Broken(f"no answer within {self._timeout:g} s", sent=True, timed_out=True) from error
        except aiohttp.ClientConnectorError as error:  # DNS, refused, TLS, proxy
            reason = error.os_error.strerror or error.os_error
            raise Broken(f"cannot connect to {error.host}:{error.port}: {reason}", sent=False) from error
        except aiohttp.ClientHttpProxyError as error:  # its own words hold the proxy's address with the password
            raise Broken(f"the proxy answers HTTP {error.status} {error.message}", sent=False) from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise Broken(f"the connection broke: {error or type(error).__name__}", sent=True) from error


def tls_context(*, verify: bool, ca_file: str | None) -> ssl.SSLContext | bool:
    """Return what aiohttp takes as `ssl`: the system's trust, that and a file's, or none.

    Raises: OSError, ssl.SSLError for a file that cannot be read as certificates.
    """
    if not verify:
        return False
    if ca_file is None:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


def environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for a URL; looked up once, not per request."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


@asynccontextmanager
async def open_http(
    headers: Mapping[str, str],
    *,
    timeout: float,  # noqa: ASYNC109 - of each request, not of opening
    proxy: str | None,
    tls: ssl.SSLContext | bool,
) -> AsyncIterator[Http]:
    """Open the pool; no limit of its own, since places and pace are decided before."""
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, ssl=tls)
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT),
    ) as session:
        yield Http(session, timeout, proxy)

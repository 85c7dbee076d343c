"""How to reach the Hub, what its refusals mean, and which of them pass."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from instructgen.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)
T = TypeVar("T")
_ADDRESS = re.compile(r"https?://[^/]", re.IGNORECASE)
ARRIVING = ".pulling"
"""Folder inside of a pulled one while a pull is under way: what has arrived so far."""
RETRIED = frozenset({409, 412, 429, 500, 502, 503, 504})
"""Answers after which a commit is tried again: another writer was faster, or the Hub is busy."""
ATTEMPTS = 6
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; doubled each time."""


@dataclass(frozen=True)
class Access:
    """How to reach the Hub; what is left empty, the environment says (HF_TOKEN, HF_ENDPOINT)."""

    token: str = ""
    endpoint: str = ""
    pause: Callable[[float], None] = field(default=time.sleep)
    """Waits between attempts."""

    def api(self) -> HfApi:
        """Return the client. Raises: HubError for an endpoint that is no address, before anything is asked."""
        from huggingface_hub import HfApi

        endpoint = self.endpoint or os.environ.get("HF_ENDPOINT", "")
        if endpoint and not _ADDRESS.match(endpoint):
            raise HubError(
                f"endpoint {endpoint!r} is no address: it must begin with http:// or https://; "
                f"did you mean http://{endpoint.rpartition('://')[2]}?"
            )
        return HfApi(endpoint=self.endpoint or None, token=self.token or None, library_name="instructgen")

    def patiently(self, call: Callable[[], T], repo: str, endpoint: str) -> T:
        """Return what a call returns, made again, after longer and longer waits, while the Hub's answer is one that
        passes. Raises: HubError.
        """
        for attempt in range(ATTEMPTS):
            try:
                with explained(repo, endpoint):
                    return call()
            except Again as again:
                if attempt == ATTEMPTS - 1:
                    raise HubError(
                        f"{repo}: the Hub still says {again} after {ATTEMPTS} attempts; push again later"
                    ) from again
                wait = FIRST_PAUSE * 2**attempt
                log.warning("%s: %s; tried again in %.0f s (%d of %d)", repo, again, wait, attempt + 2, ATTEMPTS)
                self.pause(wait)
        raise AssertionError("unreachable")


class Again(HubError):  # noqa: N818 - where nothing tries again, its message is for the user
    """The Hub's answer is one that passes."""


@contextmanager
def explained(repo: str, endpoint: str) -> Iterator[None]:
    """Turn the client's errors into one message each, or into `Again`."""
    import httpx2
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except RevisionNotFoundError as error:
        raise HubError(f"{repo}: no such revision there; name a branch or tag that exists") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = error.server_message or str(error).splitlines()[0]
        if status in RETRIED and "already created" not in said:
            raise Again(f"{status} ({said})") from error
        if isinstance(error, RepositoryNotFoundError) and status == 404:
            raise HubError(
                f"{repo}: no such dataset at {endpoint}, or not yours to see; check the name and the token"
            ) from error
        raise HubError(f"{repo}: {_reason(status, said, endpoint)}") from error
    except UnicodeEncodeError as error:
        raise HubError(
            f"{repo}: the token or the address holds a letter that is not ASCII; give the token as the Hub's settings "
            "show it (--token or HF_TOKEN)"
        ) from error
    except httpx2.InvalidURL as error:
        raise HubError(f"{repo}: {endpoint} is no address: {error}; expected e.g. https://huggingface.co") from error
    except ValueError as error:
        if "YAML" in str(error) or "metadata" in str(error):
            raise HubError(f"{repo}: the Hub refuses the card: {' '.join(str(error).split())}") from error
        raise
    except (
        httpx2.HTTPError,
        LocalEntryNotFoundError,
        ConnectionError,
        RuntimeError,
    ) as error:  # hf_xet reports its own as RuntimeError
        raise Again(f"no answer from {endpoint}: {error or type(error).__name__}") from error


@contextmanager
def asked_once(place: str) -> Iterator[None]:
    """Say of a request whose answer was lost that it may have been done; `place` shows whether it was."""
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, ConnectionError) as error:
        raise HubError(
            f"the Hub's answer was lost ({error or type(error).__name__}): the pull request may be open all the same. "
            f"Look at {place} before you push again"
        ) from error


def _reason(status: int, said: str, endpoint: str) -> str:
    hints = {
        401: f"{endpoint} does not know us (401: {said}); give a token with --token or HF_TOKEN",
        403: f"the token may not write there (403: {said}); use one with write access to this name",
        404: f"not found at {endpoint} (404: {said})",
        409: f"the name is taken (409: {said}); choose another name",
        413: f"a file is too large (413: {said}); export with a smaller --shard-size",
    }
    return hints.get(status, f"the Hub refused it ({status}: {said})")

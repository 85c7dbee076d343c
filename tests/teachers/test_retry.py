"""How long to wait before asking again."""

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.teachers.retry import FIRST_CAP, GROWTH, LAST_CAP, asked_wait, backoff, seconds, spent_wait


def test_backoff_is_spread_over_a_growing_range_with_an_end():
    """The n-th wait lies anywhere between nothing and FIRST_CAP * GROWTH**(n-1), never above LAST_CAP."""
    for failures in (1, 2, 3, 5, 20, 5000):
        waits = [backoff(failures, Random(seed)) for seed in range(400)]
        cap = min(LAST_CAP, FIRST_CAP * GROWTH ** min(failures - 1, 30))

        assert all(0 <= wait <= cap for wait in waits)
        assert min(waits) < 0.05 * cap
        assert max(waits) > 0.95 * cap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20", 20), ("0", 0), (" 1.5 ", 1.5), ("350ms", 0.35), ("1m6.5s", 66.5), ("6m0s", 360), ("1h", 3600),
        ("2d3h", 183600), ("-3", None), ("soon", None), ("", None), ("inf", None), ("nan", None), ("1x", None),
    ],
)  # fmt: skip
def test_durations_of_rate_limit_headers(text, expected):
    """Plain seconds and Go-like durations are read; anything else is nothing, not an error."""
    assert seconds(text) == (pytest.approx(expected) if expected is not None else None)


@given(st.text(max_size=20))
def test_no_header_text_breaks_the_reader(text):
    """Whatever a server writes into these headers, the answer is a wait of at least nothing, or none."""
    assert (seconds(text) or 0) >= 0
    assert (asked_wait({"Retry-After": text}) or 0) >= 0
    assert spent_wait({"x-ratelimit-remaining": "0", "x-ratelimit-reset": text}) >= 0


def test_retry_after_as_date_counts_from_the_servers_own_clock():
    """A date is taken relative to the answer's Date, because our clock may be wrong by years."""
    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:20 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}

    assert asked_wait(headers) == 20
    assert asked_wait({"Retry-After": headers["Retry-After"]}) == 0
    assert asked_wait({"Retry-After": headers["Retry-After"], "Date": "never"}) == 0


def test_retry_after_date_without_a_date_header_counts_from_now():
    """Without the server's clock ours has to do."""
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))

    assert 27 < asked_wait({"Retry-After": then}) <= 30


def test_milliseconds_header_is_finer_and_comes_first():
    """OpenAI sends retry-after-ms beside Retry-After, which is rounded up."""
    assert asked_wait({"retry-after-ms": "350", "Retry-After": "1"}) == pytest.approx(0.35)
    assert asked_wait({}) is None


def test_spent_limits_are_waited_for_until_their_reset():
    """Only a limit that is used up makes us wait, for the longest of its resets."""
    used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
               "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "350ms"}  # fmt: skip

    assert spent_wait(used_up) == 2
    assert spent_wait(used_up | {"x-ratelimit-remaining-requests": "1"}) == pytest.approx(0.35)
    assert spent_wait({"x-ratelimit-remaining-requests": "0"}) == 0


@pytest.mark.parametrize(
    "moment", ["1445412500", "1445412500000", "2015-10-21T07:28:20Z", "Wed, 21 Oct 2015 07:28:20 GMT"]
)
def test_a_reset_may_be_a_moment(moment):
    """Seconds or milliseconds since 1970 (gateways), RFC 3339 or HTTP dates; by the server's own clock."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": moment, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}

    assert spent_wait(headers) == asked_wait({"Retry-After": moment} | headers) == 20
    assert spent_wait(headers | {"Date": "Wed, 21 Oct 2015 08:00:00 GMT"}) == 0

"""The circuit breaker, moment by moment."""

import math

from instructgen.teachers.breaker import MOST_REST, OPEN_AFTER, REST, Breaker


def opened(now=100.0):
    breaker = Breaker()
    rests = [breaker.failed(now, now) for _ in range(OPEN_AFTER)]
    assert rests == [0.0] * (OPEN_AFTER - 1) + [REST]
    return breaker


def test_opens_after_failures_in_a_row_only():
    """A success in between starts the count anew."""
    breaker = Breaker()
    for _ in range(5):
        for _ in range(OPEN_AFTER - 1):
            assert breaker.failed(0.0, 0.0) == 0
        assert not breaker.went_well()

    assert breaker.pause(0.0) == 0


def test_a_volley_that_fails_counts_once():
    """A hundred requests in flight when an endpoint stumbles are one failure, not a hundred."""
    breaker = Breaker()
    for now in range(1, OPEN_AFTER):
        assert [breaker.failed(now - 0.5, float(now)) for _ in range(100)] == [0.0] * 100

    assert breaker.pause(float(OPEN_AFTER)) == 0
    assert breaker.failed(OPEN_AFTER - 0.5, float(OPEN_AFTER)) == REST


def test_open_breaker_lets_one_probe_through_after_its_rest():
    """While the probe is out everyone else waits; its success closes the breaker and is told."""
    breaker = opened()
    assert breaker.pause(100.0) == REST
    assert breaker.pause(100.0 + REST) == 0

    assert breaker.asking()
    assert breaker.pause(100.0 + REST) > 0
    breaker.probe_ended()
    assert breaker.went_well()
    assert breaker.pause(101.0) == 0
    assert not breaker.asking()


def test_failed_probes_double_the_rest_up_to_a_limit():
    """An endpoint that stays down is asked less and less often, but at least once a minute."""
    breaker, now, rests = opened(), 100.0, []
    for _ in range(8):
        now += breaker.pause(now)
        assert breaker.asking()
        rests.append(breaker.failed(now, now, probe=True))
        breaker.probe_ended()

    assert rests == [10, 20, 40, MOST_REST, MOST_REST, MOST_REST, MOST_REST, MOST_REST]


def test_late_failures_of_requests_in_flight_do_not_prolong_the_rest():
    """What was sent before the breaker opened says nothing new."""
    breaker = opened()
    assert [breaker.failed(99.0, 103.0) for _ in range(50)] == [0.0] * 50

    assert breaker.pause(100.0 + REST) == 0


def test_given_up_means_for_good():
    """An endpoint that does not know our key is not asked again."""
    breaker = Breaker()
    assert breaker.give_up()
    assert not breaker.give_up()

    assert breaker.pause(1e9) == math.inf

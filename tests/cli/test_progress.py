"""The line of progress: what was accepted, rejected and spent, a rate once it means something, and what is to come."""

from decimal import Decimal

from instructgen.cli import progress as shown
from instructgen.engine import Progress
from instructgen.records import Usage
from instructgen.teachers.budget import Amount


def line(seconds, monkeypatch, *, priced=True):
    monkeypatch.setattr(shown.time, "monotonic", lambda: 100.0 + seconds)
    progress = Progress(target=400, parsed=150, accepted=100, spent=Usage(requests=60, completion_tokens=5_000))
    progress.reasons["filter/near_duplicate"] = 50
    progress.paid = Amount(Decimal("1.25"), 5_000, 60)
    return shown.line_of(progress, (100.0, 20), priced=priced)


def test_a_line_says_accepted_rejected_rate_spent_and_what_the_target_will_take(monkeypatch):
    """80 accepted in two minutes; the rest takes 7.5."""
    assert line(120, monkeypatch) == (
        "accepted 100/400 | rejected 50 (near_duplicate 50) | 40 a minute | 5,000 tokens | "
        "1.25 USD, 5.00 USD to the target | about 8 min left"
    )


def test_no_rate_is_made_of_the_first_moments(monkeypatch):
    """Eighty samples in a hundredth of a second are the store's, or one volley's, and no promise."""
    said = line(0.01, monkeypatch)

    assert "a minute" not in said
    assert "left" not in said


def test_no_dollars_without_a_price(monkeypatch):
    """Tokens are always known."""
    said = line(60, monkeypatch, priced=False)

    assert "5,000 tokens" in said
    assert "USD" not in said

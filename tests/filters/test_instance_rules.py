"""Instance rules on single samples; those on whole tasks are tested with the parser that shares them."""

import pytest

from instructgen.filters.instance_rules import InstanceRules
from instructgen.testing import evidence_of, make_sample


@pytest.mark.parametrize(
    ("options", "input_", "output", "reason"),
    [
        ({}, "2, 1", "1, 2", ""),
        ({}, "", "Paris", ""),
        ({}, "2, 1", " \n", "empty_output"),
        ({}, "", "", "empty_output"),
        ({}, "Hello", " Hello ", "output_repeats_input"),
        ({}, "Read this:", "Done", "trailing_colon"),
        ({}, "", "The three rivers are: ", "trailing_colon"),
        ({}, "", "三条河流如下：", "trailing_colon"),
        ({}, "", "12:30", ""),
        ({"rules": ("empty_output",)}, "Hello", "Hello", ""),
        ({"rules": ("trailing_colon",)}, "Hello", "", ""),
    ],
)
def test_each_rule_names_its_reason(options, input_, output, reason):
    """Every rule gives its own reason, and only the chosen ones apply."""
    verdict = InstanceRules(**options).check(make_sample(input=input_, output=output))

    assert reason == evidence_of(verdict)[0]
    assert not reason or reason in InstanceRules.reasons


def test_evidence_shows_the_ends():
    """A person sees the text behind the verdict: the last 40 characters of input and output."""
    verdict = InstanceRules().check(make_sample(input="a" * 50, output="These are the rivers:"))

    assert verdict.evidence == {"input_end": "a" * 40, "output_end": "These are the rivers:"}

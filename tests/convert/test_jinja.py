"""The sandbox: what a template may do, and how it is stopped."""

import pytest

from instructgen.convert.bank import environment
from instructgen.convert.jinja import BoundedEnvironment, Expression, Text, Unrenderable
from instructgen.errors import TemplateError

ROW = {"text": "hello " * 100, "words": ["a", "b"]}


def render(source, row=ROW, env=None):
    return Text(env or environment(), source, "pack.yaml: template 'wild'").render(row)


@pytest.mark.parametrize(
    "source",
    [
        "{{ text.__class__ }}",
        "{{ text.__class__.__mro__ }}",
        "{{ text | attr('__class__') }}",
        "{{ text['__class__'] }}",
        "{{ [text] | map(attribute='__class__') | join }}",
        "{{ range.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{{ text.encode }}{{ text.format_map({}) }}",
        "{{ words.append('c') }}",
        "{{ words.clear() }}",
    ],
)
def test_an_escape_is_stopped_and_the_template_named(source):
    """Private names, formatting methods and methods that change the row raise, with file and template."""
    with pytest.raises(TemplateError, match=r"pack\.yaml: template 'wild'.*stopped by the sandbox"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(90000) %}{{ text }}{% endfor %}",
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * 'x' }}",
        "{{ [1] * 10**10 }}",
        "{{ 9**9**9 }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ 'a'.expandtabs(10**9) }}",
        "{{ '%999999999d' | format(3) }}",
        "{{ '%*d' % (999999999, 3) }}",
        "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
        "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
        "{{ ('y' * 100000) | join('z' * 100000) }}",
        "{{ ('z' * 100000).join(range(99999) | map('string')) }}",
        "{{ text | indent(10**9) }}",
        "{% set ns = namespace(t='ab') %}{% for a in range(100) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set big = range(99999) | list %}{% for a in range(99999) %}{% set x = big | sort %}{% endfor %}",
        "{% set big = range(9999) | list %}{% for a in range(99999) %}{% if -1 in big %}{% endif %}{% endfor %}",
        "{% set big = range(9999) | list %}{% for a in range(99999) %}{% set x = big[1:] %}{% endfor %}",
        "{% set big = range(99999) | list %}{{ big | select('in', big) | list | length }}",
        "{{ ('%9999d' * 50000) % (1,) }}",
        "{{ ('%9999d' * 50000) | format(1) }}",
        "{{ ('%.9999f' * 50000) | format(1.5) }}",
        "{{ ('%(a)s' * 50000) | format(a='x' * 10000) }}",
        "{{ '%s' % ([[text] * 1000] * 1000) }}",
        "{% set a = [text] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c }}",
        "{% set a = [text] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c | tojson }}",
        "{% set a = [text] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c ~ 'x' }}",
        "{% set a = [text] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c | upper }}",
        "{% set a = [text] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c is lower }}",
        (
            "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}"
            "{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}"
        ),
        "{% for a in range(99999) %}{% set x = range(99999) | choice %}{% endfor %}",
        "{% set big = [text] * 9000 %}{% for a in range(99999) %}{% set x = big | safe %}{% endfor %}",
        "{% set big = text * 99 %}{% for a in range(99999) %}{% set x = big | sort %}{% endfor %}",
        "{{ (1).to_bytes(10**9, 'big') }}",
        "{{ 1.5 | round(1000000000, 'ceil') }}",
        "{{ ([[1] * 1000] * 900) | sum(start=[]) }}",
        "{% for a in range(90000) %}{% set x = (text * 900) | upper %}{% endfor %}",
        "{% for a in range(90000) %}{% set x = (text * 900).split() %}{% endfor %}",
        "{{ range(99999) | map('string') | map('upper') | map('lower') | list | length }}",
        "{% set ns = namespace(t='ab') %}{% for a in range(100) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set ns = namespace(n=7) %}{% for a in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
    ],
)
def test_a_runaway_template_is_stopped(source):
    """Loops within loops, and everything that makes a large value from a small one, end in an error that names it."""
    with pytest.raises(TemplateError, match=r"pack\.yaml: template 'wild'.*stopped by the sandbox"):
        render(source)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "uses Macro"),
        ("{% include 'x' %}", "uses Include"),
        ("{% import 'x' as x %}", "uses Import"),
        ("{% extends 'x' %}", "uses Extends"),
        ("{% set x %}{% for a in range(9) %}{{ text }}{% endfor %}{% endset %}", "uses AssignBlock"),
        ("{% for a in words recursive %}{{ loop(words) }}{% endfor %}", "recursive loop"),
        ("{{ text", "not a Jinja template"),
        ("{{ text | uper }}", "did you mean 'upper'"),
        ("{{ text | center(9) }}", "No filter named 'center'"),
    ],
)
def test_what_cannot_be_bounded_is_refused_when_it_is_compiled(source, said):
    """Macros, includes and set blocks never run; syntax errors and unknown filters say what and where."""
    with pytest.raises(TemplateError, match=said) as error:
        render(source)
    assert "pack.yaml: template 'wild'" in str(error.value)


def test_a_list_that_grows_by_itself_is_stopped():
    """Where promptsource's templates may change lists."""
    source = "{% set a = [1] %}{% for i in range(60) %}{% set _ = a.extend(a) %}{% endfor %}{{ a | length }}"
    with pytest.raises(TemplateError, match="stopped by the sandbox"):
        render(source, env=BoundedEnvironment(strict=False))


@pytest.mark.parametrize("text", ["<" * 300_000, "<!--" * 100_000, "<b>a &amp; b</b>" * 30_000])
def test_markup_is_taken_off_in_linear_time(text):
    """Text full of openings without ends; Jinja's own filter copies the rest of the text for each tag."""
    made = render("{{ text | striptags }}", {"text": text})
    assert len(made) <= len(text)
    assert render("{{ text | striptags }}", {"text": "<p>a &lt; b</p>\n <!-- <i> --> c"}) == "a < b c"


def test_limits_grow_with_the_row():
    """A field of 10 MB is data, not a runaway: it is printed and looped over."""
    row = {"text": "x" * 10_000_000, "words": ["word"] * 200_000}

    assert len(render("{{ text }}!", row)) == 10_000_001
    assert render("{% for word in words %}{% if loop.last %}{{ word }}{% endif %}{% endfor %}", row) == "word"


def test_null_is_never_printed():
    """A null field raises its reason instead of the word None."""
    with pytest.raises(Unrenderable) as problem:
        render("{{ text }} {{ title }}", {"text": "a", "title": None})
    assert problem.value.reason == "null_field"


def test_a_missing_name_is_told():
    """A name that the row lacks is a reason, with the name."""
    with pytest.raises(Unrenderable, match="title") as problem:
        render("{{ title }}", {"text": "a"})
    assert problem.value.reason == "missing_field"


def test_an_expression_gives_a_value():
    """Conditions and choices are values, not texts."""
    env = BoundedEnvironment(strict=True)

    assert Expression(env, "words | length == 2", "here").value(ROW) is True
    assert Expression(env, "words + ['c']", "here").value(ROW) == ["a", "b", "c"]


def test_a_constant_draw_is_not_folded():
    """`[..] | choice` draws at each rendering, not once when the template is compiled."""
    from random import Random

    env = BoundedEnvironment(strict=False)
    text = Text(env, "{{ [1, 2, 3, 4, 5] | choice }}", "here")
    rng = Random(1)

    assert len({text.render({}, rng) for _ in range(50)}) == 5

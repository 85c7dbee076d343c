"""Template packs: the format, and the errors that name the place."""

from pathlib import Path

import pytest

from instructgen.convert.bank import Compiled, find_pack, load_pack, pack_of, tasks
from instructgen.convert.lint import lint, lint_pack
from instructgen.errors import TemplateError

WANTED = {
    "sentiment", "topic", "nli", "paraphrase", "mcq", "extractive_qa", "open_qa", "boolean_qa",
    "summarisation", "title", "translation", "grammar", "ner", "relation_extraction", "keywords",
    "slot_filling", "table_to_text", "dialogue", "code_explanation", "arithmetic",
}  # fmt: skip


def pack(**template):
    one = {"name": "one", "input": "{{ text }}?", "target": "{{ answer }}", **template}
    return {"version": 1, "task": "mood", "fields": {"text": {}, "label": {"kind": "label"}}, "templates": [one]}


def test_the_bank_has_a_pack_for_each_task_type():
    """Every promised task type is there, and Super-NI beside them."""
    assert set(tasks()) >= WANTED | {"super_ni"}


@pytest.mark.parametrize("task", sorted(WANTED))
def test_a_pack_is_large_varied_and_clean(task):
    """At least 8 templates in several styles, 2 inverted, and nothing for lint to find."""
    found = find_pack(task)

    assert len(found.templates) >= 8
    assert sum(template.inverted for template in found.templates) >= 2
    assert len({template.style for template in found.templates}) >= 3
    assert [str(finding) for finding in lint(Path(found.path))] == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"version": 2, "task": "x"}, "version is 2, expected 1"),
        ("text", "expected a mapping"),
        (pack(inptu="x"), "template 'one': inptu: unknown key; did you mean 'input'"),
        (pack(name="One!"), "template 'One!': name"),
        (pack(style="sonnet"), "style"),
        (pack(choices=3), "choices"),
        ({**pack(), "fields": {"text": {"kind": "txt"}}}, "fields.text.kind"),
        ({**pack(), "fields": {"answer": {}, "label": {"kind": "label"}}}, "names that the converter makes"),
        ({**pack(), "templates": pack()["templates"] * 2}, r"the names \['one'\] stand twice"),
        ({**pack(), "templates": []}, "templates"),
    ],
)
def test_a_bad_pack_is_told_by_file_template_and_key(data, said):
    """Each shape error names the file, the template and the key, and what was expected."""
    with pytest.raises(TemplateError, match=said) as error:
        pack_of(data, "mood.yaml")
    assert str(error.value).startswith("mood.yaml")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"input": "{{ txt }}"}, r"template 'one', input: uses \['txt'\].*did you mean 'text'"),
        ({"target": "{{ summary }}"}, "template 'one', target: uses"),
        ({"condition": "lables | length"}, "template 'one', condition: uses.*did you mean 'labels'"),
        ({"choices": "labels | sya(a='b')"}, "template 'one', choices.*did you mean 'say'"),
        ({"input": "{% if text %}"}, "template 'one', input: not a Jinja template"),
    ],
)
def test_a_bad_template_is_told_when_it_is_compiled(template, said):
    """Unknown fields, filters and syntax errors name the template, the part and the nearest right word."""
    made = pack_of(pack(**template), "mood.yaml")

    with pytest.raises(TemplateError, match=said):
        Compiled(made, made.templates[0])


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    """YAML would silently take the second."""
    path = tmp_path / "mood.yaml"
    path.write_text("version: 1\ntask: a\ntask: b\n")

    with pytest.raises(TemplateError, match=r"mood\.yaml:3: not YAML.*'task' stands twice"):
        load_pack(path)


def test_an_unknown_task_lists_the_known_ones():
    """A typo in --task comes with the nearest pack."""
    with pytest.raises(TemplateError, match="did you mean 'sentiment'"):
        find_pack("sentimant")


def test_the_hash_of_a_template_covers_what_it_renders_from():
    """Provenance tells two wordings of one name apart."""
    first, second = (pack_of(pack(input=text), "x") for text in ("{{ text }}?", "{{ text }}!"))

    assert Compiled(first, first.templates[0]).id != Compiled(second, second.templates[0]).id


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ({"input": "{{ text }}n\n?"}, "leftover"),
        ({"input": "{text}: {{ text }}"}, "leftover"),
        ({"input": "{{ txt }}"}, "unknown_field"),
        ({"input": "{{ text "}, "syntax"),
        ({"target": "yes"}, "unused"),
        ({"target": "{{ answer[0] }}{{ answer[:0] }}"}, "unrecoverable"),
        ({"target": "alpha or beta: {{ answer }}"}, "unrecoverable"),
        ({"input": "Not alpha, not beta, not gamma? {{ text }}"}, "choices_flag"),
        ({"choices_shown": True}, "gold_not_in_choices"),
        ({"choices_shown": True, "input": "{{ choices | one_of }} {{ text }}{{ options }}"}, "choices_flag"),
        ({"input": "{{ text }} {{ answer }}"}, "target_in_input"),
        ({"target": "{% if false %}{{ answer }}{% endif %}"}, "unrecoverable"),
        ({"condition": "labels | length == 17"}, "never_fits"),
        ({"choices": ["a", "b", "c", "d"]}, "syntax"),
        ({"input": "{% for a in range(99999) %}{{ text * 999 }}{% endfor %}"}, "syntax"),
    ],
)
def test_lint_finds_what_is_wrong_with_a_pack(template, kind):
    """Every kind of finding has a template that shows it; a sound template shows none."""
    assert kind in {finding.kind for finding in lint_pack(pack_of(pack(**template), "mood.yaml"))}
    assert lint_pack(pack_of(pack(), "mood.yaml")) == []


def test_lint_finds_duplicates_and_empty_renders():
    """Two names for one wording; an input that is nothing for some rows."""
    data = pack()
    data["templates"].append({**data["templates"][0], "name": "two"})
    twins = {finding.kind for finding in lint_pack(pack_of(data, "mood.yaml"))}
    fields = {"text": {}, "summary": {}, "title": {"optional": True}}
    gappy = {"name": "one", "input": "{% if title %}{{ text }}{% endif %}", "target": "{{ summary }}"}
    open_task = {"version": 1, "task": "sum", "fields": fields, "templates": [gappy]}

    assert twins == {"duplicate"}
    assert {finding.kind for finding in lint_pack(pack_of(open_task, "sum.yaml"))} == {"empty"}


def test_lint_renders_the_rows_that_are_given(tmp_path):
    """What no made-up row shows: real texts that leave an input empty."""
    pack = tmp_path / "odd.yaml"
    pack.write_text(
        "version: 1\ntask: odd\nfields: {text: {kind: text}}\ntemplates:\n"
        "  - {name: some, input: \"{% if text != 'b' %}{{ text }}{% endif %}\", target: said}\n"
    )
    assert lint(pack) == []
    found = lint(pack, [{"text": "a"}, {"text": "b"}])
    assert [(one.kind, "on the rows given" in one.detail) for one in found] == [("empty", True)]

"""Each bundled task on rows of a usual layout: every template that fits says something, and nothing is rejected."""

import json

import pytest

from instructgen.convert.bank import find_pack, tasks
from instructgen.convert.choosing import choose_for
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.options import recover
from instructgen.convert.sources import open_source
from instructgen.records import Sample

ROWS = {
    "sentiment": [{"content": "The lamp broke after a day.", "title": "Dim", "label": 0},
                  {"content": "It lights the whole room.", "title": "Bright", "label": 1}],
    "topic": [{"text": "The keeper saved two penalties.", "label": 1},
              {"text": "The chip draws less power.", "label": 3}],
    "nli": [{"premise": "A dog sleeps on the mat.", "hypothesis": "An animal rests.", "label": 0},
            {"premise": "A dog sleeps on the mat.", "hypothesis": "The dog is brown.", "label": 1},
            {"premise": "A dog sleeps on the mat.", "hypothesis": "The dog runs.", "label": 2}],
    "paraphrase": [{"sentence1": "He left at six.", "sentence2": "At six he went away.", "label": 1},
                   {"sentence1": "He left at six.", "sentence2": "He came at six.", "label": 0}],
    "mcq": [{"question": "What do bees make?", "choices": {"label": ["A", "B", "C"], "text": ["wool", "honey", "coal"]},
             "answerKey": "B"}],
    "extractive_qa": [{"context": "The mill was built in 1807.", "question": "When was it built?", "title": "Mill",
                       "answers": {"text": ["1807"], "answer_start": [22]}},
                      {"context": "The mill was built in 1807.", "question": "Who owned it?", "title": "Mill",
                       "answers": {"text": [], "answer_start": []}}],
    "open_qa": [{"question": "What is Norway's capital?", "answer": "Oslo", "rationale": "Its parliament is there."}],
    "boolean_qa": [{"question": "is a whale a fish", "passage": "Whales are mammals.", "answer": False},
                   {"question": "is a whale a mammal", "passage": "Whales are mammals.", "answer": True}],
    "summarisation": [{"document": "The council met for nine hours and then voted for the new tram line.",
                       "summary": "The council voted for a tram."}],
    "title": [{"text": "The council voted for a new tram line last night.", "title": "A tram at last"}],
    "translation": [{"translation": {"de": "Guten Tag", "en": "Good day"}}],
    "grammar": [{"sentence": "He go home yesterday.", "corrections": ["He went home yesterday.", "He had gone home."]}],
    "ner": [{"tokens": ["Ibsen", "lived", "in", "Skien", "."], "ner_tags": ["B-PER", "O", "O", "B-LOC", "O"]}],
    "relation_extraction": [{"text": "Ibsen was born in Skien.", "triples": [["Ibsen", "born in", "Skien"]]}],
    "keywords": [{"document": "We measure glacier melt with radar.", "keyphrases": ["glacier melt", "radar"]}],
    "slot_filling": [{"text": "Book a table for two in Bergen", "slots": {"people": "two", "city": "Bergen"}}],
    "table_to_text": [{"table": {"header": ["city", "people"], "rows": [["Oslo", "700000"]]},
                       "text": "Oslo has 700,000 people."}],
    "dialogue": [{"dialog": ["Hi!", "Hello, how are you?", "Fine.", "Good to hear."]}],
    "code_explanation": [{"code": "print(sum(range(4)))", "docstring": "Print the sum of 0 to 3."}],
    "arithmetic": [{"question": "Two boxes hold 3 pens each. How many pens?", "answer": "2 * 3 = <<2*3=6>>6\n#### 6"}],
    "classification": [{"sentence": "Them sleeps.", "label": "unacceptable"},
                       {"sentence": "They sleep.", "label": "acceptable"}],
    "similarity": [{"sentence1": "He left at six.", "sentence2": "At six he went.", "label": 4.800000190734863}],
    "text_to_sql": [{"question": "How many cages?", "answer": "SELECT count(*) FROM cage",
                     "context": "CREATE TABLE cage (id INTEGER, size NUMERIC(4, 2), PRIMARY KEY (id))"}],
    "dialogue_state": [{"dialogue": ["A table for two."], "belief_state": {"people": "two", "area": None}}],
    "super_ni": [{"input": "4", "answers": ["even"], "definition": "Say even or odd.",
                  "positive": [{"input": "2", "output": "even", "explanation": "2 = 2 * 1"}],
                  "negative": [{"input": "3", "output": "even", "explanation": "3 is odd"}]}],
}  # fmt: skip

NAMES = {"nli": "snli.jsonl", "topic": "ag_news.jsonl"}
"""Files whose name says which dataset they are a part of: else their numbers would have no names."""


def test_every_task_is_here():
    """No pack goes untried."""
    assert set(ROWS) == set(tasks())


@pytest.mark.parametrize("task", sorted(ROWS))
def test_a_task_on_rows_of_its_usual_layout(tmp_path, task):
    """All templates that fit, with and without options: texts without leftovers, labels told by their targets."""
    path = tmp_path / NAMES.get(task, "rows.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[task]))
    source = open_source(str(path))
    pack = find_pack(task)
    mapping = choose_for(pack, source)
    used = set()
    for mode in ("letters", "plain", "none"):
        options = Options(each="all", inverted=1.0, options={mode: 1.0})
        for number, made in Conversion(source, mapping, options).run():
            assert isinstance(made, dict), made
            sample = Sample.model_validate(made)
            used.add(sample.provenance.template)
            asked, said = (turn.content for turn in sample.turns)
            assert asked == asked.strip()
            assert said == said.strip()
            for text in (asked, said):
                assert "{{" not in text
                assert "None" not in text
                assert "\n\n\n" not in text, (sample.provenance.template, text)
            if "options" in sample.labels:
                assert recover(said, sample.labels["options"], sample.labels.get("letters", [])) is not None, number

    silent = {template.name for template in pack.templates} - {name.split("/")[1].split("@")[0] for name in used}
    assert len(used) >= max(5, len(pack.templates) * 0.6), silent

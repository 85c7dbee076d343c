"""Usual datasets in their own layouts, without a word from the user: roles, class names and the right answer.

Rows are hand-written; columns, label values and class names are those of the datasets.
"""

import json

import pytest

from instructgen.convert.bank import find_pack
from instructgen.convert.choosing import choose, choose_for
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.options import recover
from instructgen.convert.questions import Unsure
from instructgen.convert.sources import open_source
from instructgen.errors import DataError
from instructgen.records import Rejection

PAIR = {"premise": "P", "hypothesis": "H"}
TWO = {"sentence1": "S", "sentence2": "T"}
CLASSES = {  # name -> task, ClassLabel names or None, rows, label of each row
    "snli": ("nli", None, [{**PAIR, "label": n} for n in (0, 1, 2, -1)],
             ["entailment", "neutral", "contradiction", None]),
    "snli_1.0_train": ("nli", None, [{**TWO, "gold_label": n} for n in ("neutral", "-")], ["neutral", None]),
    "multi_nli": ("nli", None, [{**PAIR, "promptID": "1", "genre": "fiction", "label": n} for n in (0, 1, 2)],
                  ["entailment", "neutral", "contradiction"]),
    "anli r1": ("nli", None, [{**PAIR, "uid": "1", "reason": "R", "label": n} for n in (2, 1, 0)],
                ["contradiction", "neutral", "entailment"]),
    "super_glue cb": ("nli", None, [{**PAIR, "idx": 0, "label": n} for n in (0, 1, 2)],
                      ["entailment", "contradiction", "neutral"]),
    "glue rte": ("nli", None, [{**TWO, "idx": 0, "label": n} for n in (0, 1)], ["entailment", "not entailment"]),
    "glue wnli": ("nli", None, [{**TWO, "idx": 0, "label": n} for n in (0, 1)], ["not entailment", "entailment"]),
    "glue qnli": ("nli", None, [{"question": "Q", "sentence": "S", "idx": 0, "label": n} for n in (1, 0)],
                  ["not entailment", "entailment"]),
    "glue mnli": ("nli", ("entailment", "neutral", "contradiction"), [{**PAIR, "label": 1, "idx": 0}], ["neutral"]),
    "glue sst2": ("sentiment", None, [{"sentence": "S", "label": n, "idx": 0} for n in (0, 1)],
                  ["negative", "positive"]),
    "glue cola": ("topic", ("unacceptable", "acceptable"), [{"sentence": "S", "label": 1, "idx": 0}], ["acceptable"]),
    "glue mrpc": ("paraphrase", ("not_equivalent", "equivalent"), [{**TWO, "label": 1, "idx": 0}], ["paraphrase"]),
    "glue qqp": ("paraphrase", None, [{"question1": "Q", "question2": "R", "label": n} for n in (0, 1)],
                 ["not a paraphrase", "paraphrase"]),
    "quora questions": ("paraphrase", None, [{"question1": "Q", "question2": "R", "is_duplicate": n} for n in (1, 0)],
                        ["paraphrase", "not a paraphrase"]),
    "paws-x de": ("paraphrase", ("0", "1"), [{"id": n, **TWO, "label": n} for n in (0, 1)],
                  ["not a paraphrase", "paraphrase"]),
    "imdb": ("sentiment", ("neg", "pos"), [{"text": "T", "label": 0}], ["negative"]),
    "my own reviews": ("sentiment", None, [{"text": "T", "label": n} for n in (0, 1)], ["negative", "positive"]),
    "shop": ("sentiment", None, [{"review": "T", "stars": n} for n in (1, 2, 5)], ["1", "2", "5"]),
    "fancyzhx/ag_news": ("topic", None, [{"text": "T", "label": n} for n in (1, 3)], ["Sports", "Sci/Tech"]),
    "kaggle": ("topic", None, [{"Class Index": n, "Title": "T", "Description": "D"} for n in (1, 2, 3, 4)],
               ["World", "Sports", "Business", "Sci/Tech"]),
    "trec": ("topic", None, [{"text": "T", "coarse_label": n, "fine_label": 9} for n in range(6)],
             ["abbreviation", "entity", "description", "person", "location", "number"]),
    "trec on the Hub": ("topic", ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
                        [{"text": "T", "coarse_label": 3, "fine_label": 9}], ["person"]),
    "boolq": ("boolean_qa", None, [{"question": "q", "passage": "P", "answer": n} for n in (True, False)],
              ["yes", "no"]),
    "emotion": ("topic", None, [{"text": "T", "label": n} for n in ("joy", "none", "fear")], ["joy", "none", "fear"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_the_classes_of_usual_datasets(name):
    """Numbers get the names that the dataset gives them, whatever the order; -1 and "-" are no class."""
    task, names, rows, expected = CLASSES[name]
    label = next(column for column in ("label", "gold_label", "is_duplicate", "stars", "Class Index", "coarse_label",
                                       "answer") if column in rows[0])  # fmt: skip
    found = choose(find_pack(task), list(rows[0]), rows, None, {label: names} if names else None, name=name)

    for row, wanted in zip(rows, expected, strict=True):
        if wanted is None:
            with pytest.raises(Exception, match="label") as problem:
                found.take(row)
            assert problem.value.reason == "unlabelled"
        else:
            assert found.take(row)[0][found.pack.label_field] == wanted


@pytest.mark.parametrize(
    ("name", "task", "row", "labels", "said"),
    [
        ("sms spam", "topic", {"text": "T"}, (0, 1), "0, 1. Name them, e.g. --labels 0=NAME,1=NAME"),
        ("news", "topic", {"text": "T"}, (0, 1, 2, 3), "0=World,1=Sports,2=Business,3=Sci/Tech (ag_news)"),
        ("data", "nli", PAIR, (0, 1, 2), "0=entailment,1=contradiction,2=neutral (cb)"),
        ("data", "nli", {**TWO, "idx": 1}, (0, 1), "0=not_entailment,1=entailment (wnli)"),
        ("reviews", "sentiment", {"text": "T"}, (0, 1, 2), "0=negative,1=neutral,2=positive (tweet_eval)"),
        ("reviews", "sentiment", {"text": "T"}, (-1, 0, 1), "holds numbers without names: -1, 0, 1"),
        ("reviews", "sentiment", {"text": "T"}, (0,), "holds numbers without names: 0"),
        ("pairs", "paraphrase", {"text": "T", "text_pair": "U"}, (0, 1), "0=not a paraphrase,1=paraphrase"),
        ("flags", "topic", {"text": "T"}, (True, False), "holds numbers without names: False, True"),
    ],
)
def test_what_numbers_mean_is_never_guessed(name, task, row, labels, said):
    """Numbers of a dataset that is not recognised are asked, with what known sets of the task call theirs."""
    rows = [{**row, "label": label} for label in labels]
    with pytest.raises(Unsure) as asked:
        choose(find_pack(task), list(rows[0]), rows, name=name)
    assert said in str(asked.value)


def test_none_is_a_class_among_words_and_nothing_among_numbers():
    """What "none" means depends on its neighbours."""
    words = [{"text": "T", "label": word} for word in ("joy", "none")]
    assert choose(find_pack("topic"), ["text", "label"], words).labels == ("joy", "none")
    stars = [{"text": "T", "label": word} for word in ("1", "2", "3", "none")]
    assert choose(find_pack("sentiment"), ["text", "label"], stars).labels == ("1", "2", "3")


def test_spellings_of_known_classes_are_put_right():
    """SICK writes ENTAILMENT, other files Positive; templates know the classes by one spelling."""
    rows = [{**PAIR, "label": word} for word in ("ENTAILMENT", "Neutral", "contradiction")]
    found = choose(find_pack("nli"), list(rows[0]), rows)
    assert set(found.labels) == {"entailment", "neutral", "contradiction"}
    assert found.take(rows[0])[0]["label"] == "entailment"


def test_names_that_name_nothing_are_told():
    """--labels for values that the column does not hold."""
    rows = [{"text": "T", "label": word} for word in ("ham", "spam")]
    with pytest.raises(DataError, match="--labels names 0, 1, but column 'label' holds ham, spam"):
        choose(find_pack("topic"), ["text", "label"], rows, labels={"0": "no", "1": "yes"})


def test_several_labels_are_a_reason(tmp_path):
    """A row of two classes is none of either."""
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "A", "label": ["joy"]}, {"text": "B", "label": ["fear"]}, {"text": "C", "label": ["joy", "fear"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = open_source(str(path))
    made = [made for _, made in Conversion(source, choose_for(find_pack("topic"), source), Options()).run()]

    assert [one.reason for one in made if isinstance(one, Rejection)] == ["several_labels"]


def test_classes_of_a_sorted_file_are_all_found(tmp_path):
    """Far behind the first rows too; how often each occurs is shown."""
    path = tmp_path / "sorted.csv"
    path.write_text("text,label\n" + "dull,0\n" * 3000 + "fine,1\n" * 2000)
    found = choose_for(find_pack("sentiment"), open_source(str(path)))

    assert found.labels == ("negative", "positive")
    assert found.shown()[-1] == "  classes: 0=negative (3,000), 1=positive (2,000)"


ABC = {"label": ["A", "B", "C"], "text": ["x", "y", "z"]}
CHOICES = {  # name -> row, the right words
    "arc": ({"id": "1", "question": "Q", "choices": ABC, "answerKey": "C"}, "z"),
    "arc with numbers": ({"question": "Q", "choices": {**ABC, "label": ["1", "2", "3"]}, "answerKey": "2"}, "y"),
    "commonsense_qa": ({"question": "Q", "question_concept": "c", "choices": ABC, "answerKey": "A"}, "x"),
    "openbookqa": ({"id": "1", "question_stem": "Q", "choices": ABC, "answerKey": "B"}, "y"),
    "hellaswag": ({"ind": 1, "activity_label": "L", "ctx_a": "a", "ctx_b": "b", "ctx": "a b",
                   "endings": ["x", "y", "z"], "label": "2"}, "z"),
    "race": ({"article": "Long.", "question": "Q", "options": ["x", "y"], "answer": "B"}, "y"),
    "sciq": ({"question": "Q", "distractor1": "x", "distractor2": "y", "distractor3": "z", "correct_answer": "w",
              "support": "s"}, "w"),
    "social_i_qa": ({"context": "c", "question": "Q", "answerA": "x", "answerB": "y", "answerC": "z", "label": "1"},
                    "x"),
    "copa": ({"premise": "It fell.", "choice1": "x", "choice2": "y", "question": "cause", "idx": 0, "label": 1}, "y"),
    "winogrande": ({"sentence": "He _ it.", "option1": "x", "option2": "y", "answer": "2"}, "y"),
    "piqa": ({"goal": "G", "sol1": "x", "sol2": "y", "label": 0}, "x"),
    "cosmos_qa": ({"id": "1", "context": "c", "question": "Q", "answer0": "x", "answer1": "y", "answer2": "z",
                   "answer3": "w", "label": 3}, "w"),
    "mmlu": ({"question": "Q", "subject": "s", "choices": ["x", "y", "z", "w"], "answer": 2}, "z"),
    "qasc": ({"question": "Q", "choices": ABC, "answerKey": "B", "fact1": "f"}, "y"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_the_right_choice_of_usual_datasets(name):
    """Letters, numbers from 0 and from 1, words, columns of their own."""
    row, right = CHOICES[name]
    found = choose(find_pack("mcq"), list(row), [row], name=name)
    made, position = found.take(row)

    assert made["label"] == made["choices"][position] == right
    if name == "copa":
        assert made["question"] == "What was the cause of this?"


TEXTS = {  # name -> task, row, what the roles hold
    "squad_v2": ("extractive_qa", {"id": "1", "title": "T", "context": "C", "question": "Q",
                                   "answers": {"text": [], "answer_start": []}}, {"answers": [], "title": "T"}),
    "xsum": ("summarisation", {"document": "D", "summary": "S", "id": "1"}, {"text": "D", "summary": "S"}),
    "cnn_dailymail": ("summarisation", {"article": "D", "highlights": "S", "id": "1"}, {"text": "D", "summary": "S"}),
    "samsum": ("summarisation", {"id": "1", "dialogue": "A: Hi\r\nB: Ho", "summary": "S"}, {"summary": "S"}),
    "wmt": ("translation", {"translation": {"cs": "Ahoj", "en": "Hello"}},
            {"text": "Ahoj", "translation": "Hello", "source_language": "Czech", "target_language": "English"}),
    "conll": ("ner", {"id": "1", "tokens": ["in", "Oslo"], "pos_tags": [1, 2], "ner_tags": ["O", "B-LOC"]},
              {"text": "in Oslo", "spans": [{"text": "Oslo", "type": "LOC"}]}),
    "gsm8k": ("arithmetic", {"question": "Q", "answer": "1+1=<<1+1=2>>2\n#### 2"},
              {"answer_text": "2", "rationale": "1+1=2"}),
    "daily_dialog": ("dialogue", {"dialog": ["Hi", "Hello"], "act": [1, 2]}, {"response": "Hello"}),
    "nq_open": ("open_qa", {"question": "q", "answer": ["A", "B"]}, {"answers": ["A", "B"]}),
    "trivia_qa": ("open_qa", {"question": "q", "question_id": "1", "answer": {"aliases": ["A"], "value": "A"}},
                  {"answers": ["A"]}),
    "jfleg": ("grammar", {"sentence": "He go.", "corrections": ["He goes."]}, {"corrected": "He goes."}),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_the_roles_of_usual_datasets(name):
    """Texts, answers, spans and turns at their places."""
    task, row, expected = TEXTS[name]
    made, _ = choose(find_pack(task), list(row), [row], name=name).take(row)

    assert expected.items() <= made.items()


SCIQ = [{"question": f"Q{i}?", "distractor1": f"w{i}", "distractor2": f"x{i}", "distractor3": f"y{i}",
         "correct_answer": f"z{i}", "support": ""} for i in range(400)]  # fmt: skip


def shuffled(tmp_path, rows, task, name="rows.jsonl", **options):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = open_source(str(path))
    work = Conversion(source, choose_for(find_pack(task), source), Options(**options))
    made = [made for _, made in work.run()]
    assert [one for one in made if isinstance(one, Rejection)] == []
    return [made for made in made if "options" in made["labels"]]


@pytest.mark.parametrize("mode", ["letters", "plain"])
def test_choices_are_shuffled_where_the_right_one_has_a_fixed_place(tmp_path, mode):
    """SciQ's is last: each place gets its quarter, letters follow, the same seed gives the same order."""
    made = shuffled(tmp_path, SCIQ, "mcq", options={mode: 1.0}, inverted=0.0, seed=3)
    places = [one["labels"]["options"].index(one["labels"]["label"]) for one in made]

    for place in range(4):
        assert abs(places.count(place) - 100) < 3 * (400 * 0.25 * 0.75) ** 0.5
    for one, place in zip(made, places, strict=True):
        said = one["turns"][-1]["content"]
        names = one["labels"].get("letters") or one["labels"]["options"]
        assert names[place] in said
        shown = one["turns"][0]["content"]
        where = [shown.rindex(choice) for choice in one["labels"]["options"] if choice in shown]
        assert where == sorted(where)
    assert made == shuffled(tmp_path, SCIQ, "mcq", options={mode: 1.0}, inverted=0.0, seed=3)


def test_shuffling_can_be_had_for_all_or_for_none(tmp_path):
    """Classes too; what speaks of the other choices stays where it stands."""
    last = shuffled(tmp_path, SCIQ, "mcq", shuffle="none", inverted=0.0)
    assert {one["labels"]["options"].index(one["labels"]["label"]) for one in last} == {3}

    reviews = [{"text": f"T{i}", "label": i % 2} for i in range(100)]
    made = shuffled(tmp_path, reviews, "sentiment", shuffle="all", options={"letters": 1.0}, inverted=0.0)
    orders = {tuple(one["labels"]["options"]) for one in made}
    assert {tuple(reversed(order)) for order in orders} == orders
    meant = {}
    for one in made:
        known, row = one["labels"], reviews[int(one["provenance"]["source_id"]) - 1]
        at = recover(one["turns"][-1]["content"], known["options"], known.get("letters", []))
        meant.setdefault((one["provenance"]["template"], known["options"][at]), set()).add(row["label"])
        assert known["label"] == ("negative", "positive")[row["label"]]
    assert {len(labels) for labels in meant.values()} == {1}

    above = [{**row, "correct_answer": "none of the above"} for row in SCIQ[:40]]
    kept = shuffled(tmp_path, above, "mcq", shuffle="all", inverted=0.0)
    assert {one["labels"]["options"][-1] for one in kept} == {"none of the above"}

"""What the columns of usual datasets are called, and what their numbers stand for: the facts that mapping goes by.

    LAYOUTS: squad {context, question, answers} -> extractive_qa, answers=answers.text
    CODINGS: ag_news -> 0 is World, 1 is Sports, 2 is Business, 3 is Sci/Tech
    ALIASES: a column called "review" or "sentence" can be the `text` of a sentiment task

A layout is known by its columns, not by its name: a copy under another name is laid out the same. A coding is not:
RTE and WNLI have the same columns and opposite numbers, so it takes a name or columns that no other set has.
Sources: the datasets' own feature lists on the Hub and the column names of their first releases.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from instructgen.convert.paths import place

NLI = ("entailment", "neutral", "contradiction")
SENTIMENT = ("negative", "positive")
NO_YES = ("no", "yes")
PARAPHRASE = ("not a paraphrase", "paraphrase")


@dataclass(frozen=True)
class Layout:
    """One known set of columns."""

    name: str
    task: str
    roles: dict[str, str]
    """Role -> column, path (`answers.text`), list of columns (`a+b`) or constant (`=German`)."""
    marks: tuple[str, ...] = field(default=())
    """Further columns by which the layout is known."""
    first: int = 0
    """The number that a label gives to the first of a row's own choices."""
    say: dict[str, dict[str, str]] = field(default_factory=dict)
    """Role -> value -> the words that it stands for."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that must be there."""
        used = {column for path in self.roles.values() for column in place(path).columns}
        return frozenset(used | set(self.marks))


def _layout(name: str, task: str, roles: str, marks: str = "", first: int = 0) -> Layout:
    pairs = dict(part.split("=", 1) for part in roles.split())
    return Layout(name, task, pairs, tuple(marks.split()), first)


LAYOUTS: tuple[Layout, ...] = (
    _layout("snli", "nli", "text=premise text_pair=hypothesis label=label"),
    _layout("snli files", "nli", "text=sentence1 text_pair=sentence2 label=gold_label"),
    _layout("rte, wnli", "nli", "text=sentence1 text_pair=sentence2 label=label"),
    _layout("sick", "nli", "text=sentence_A text_pair=sentence_B label=label"),
    _layout("qnli", "nli", "text=sentence text_pair=question label=label"),
    _layout("imdb", "sentiment", "text=text label=label"),
    _layout("sst2", "sentiment", "text=sentence label=label"),
    _layout("amazon_polarity", "sentiment", "text=content title=title label=label"),
    _layout("tweet files", "sentiment", "text=tweet label=sentiment"),
    _layout("ag_news", "topic", "text=text label=label"),
    Layout("ag_news files", "topic", {"text": "Description", "title": "Title", "label": "Class Index"}),
    _layout("trec", "topic", "text=text label=coarse_label", marks="fine_label"),
    _layout("dbpedia", "topic", "text=content title=title label=label"),
    _layout("mrpc", "paraphrase", "text=sentence1 text_pair=sentence2 label=label"),
    _layout("qqp", "paraphrase", "text=question1 text_pair=question2 label=label"),
    _layout("quora files", "paraphrase", "text=question1 text_pair=question2 label=is_duplicate"),
    _layout("commonsense_qa, arc", "mcq", "question=question choices=choices label=answerKey"),
    _layout("openbookqa", "mcq", "question=question_stem choices=choices label=answerKey"),
    _layout("sciq", "mcq", "question=question choices=distractor1+distractor2+distractor3+correct_answer "
            "label=correct_answer context=support"),
    _layout("hellaswag", "mcq", "question=ctx choices=endings label=label"),
    _layout("race", "mcq", "question=question choices=options label=answer context=article"),
    _layout("mmlu", "mcq", "question=question choices=choices label=answer"),
    _layout("piqa", "mcq", "question=goal choices=sol1+sol2 label=label"),
    _layout("cosmos_qa", "mcq", "question=question choices=answer0+answer1+answer2+answer3 label=label "
            "context=context"),
    _layout("letters", "mcq", "question=question choices=A+B+C+D label=answer"),
    _layout("social_i_qa", "mcq", "question=question choices=answerA+answerB+answerC label=label context=context",
            first=1),
    _layout("winogrande", "mcq", "question=sentence choices=option1+option2 label=answer", first=1),
    Layout("copa", "mcq",
           {"question": "question", "choices": "choice1+choice2", "label": "label", "context": "premise"},
           say={"question": {"cause": "What was the cause of this?", "effect": "What happened as a result?"}}),
    _layout("squad", "extractive_qa", "context=context question=question answers=answers.text"),
    _layout("adversarial_qa", "extractive_qa", "context=context question=question answers=answers.text title=title"),
    _layout("trivia_qa", "open_qa", "question=question answers=answer.aliases", marks="question_id"),
    _layout("nq_open", "open_qa", "question=question answers=answer"),
    _layout("web_questions", "open_qa", "question=question answers=answers"),
    _layout("cot files", "open_qa", "question=question answers=answer rationale=rationale"),
    _layout("boolq", "boolean_qa", "question=question context=passage label=answer"),
    _layout("super_glue boolq", "boolean_qa", "question=question context=passage label=label"),
    _layout("strategy_qa", "boolean_qa", "question=question label=answer"),
    _layout("strategy_qa cot", "boolean_qa", "question=question label=answer rationale=rationale"),
    _layout("xsum", "summarisation", "text=document summary=summary"),
    _layout("cnn_dailymail", "summarisation", "text=article summary=highlights"),
    _layout("samsum", "summarisation", "text=dialogue summary=summary"),
    _layout("billsum", "summarisation", "text=text summary=summary title=title"),
    _layout("news titles", "title", "text=text title=title"),
    _layout("xsum titles", "title", "text=document title=title"),
    _layout("jfleg", "grammar", "text=sentence corrected=corrections[0]"),
    _layout("coedit", "grammar", "text=src corrected=tgt"),
    _layout("conll", "ner", "text=tokens spans=tokens/ner_tags"),
    _layout("conll tags", "ner", "text=tokens spans=tokens/tags"),
    _layout("inspec", "keywords", "text=document keywords=keyphrases"),
    _layout("kp20k", "keywords", "text=abstract keywords=keyphrases title=title"),
    _layout("snips", "slot_filling", "text=tokens slots=tokens/slots", marks="intent"),
    _layout("daily_dialog", "dialogue", "turns=dialog[:-1] response=dialog[-1]"),
    _layout("persona", "dialogue", "turns=history response=response"),
    _layout("codesearchnet", "code_explanation", "code=func_code_string explanation=func_documentation_string "
            "programming_language=language"),
    _layout("docstrings", "code_explanation", "code=code explanation=docstring"),
    _layout("gsm8k", "arithmetic", "question=question answer_text=answer####after rationale=answer####before"),
    _layout("gsm8k cot", "arithmetic", "question=question answer_text=answer rationale=rationale"),
    _layout("stsb", "similarity", "text=sentence1 text_pair=sentence2 score=label"),
    _layout("sick scores", "similarity", "text=sentence_A text_pair=sentence_B score=relatedness_score"),
    _layout("cola", "classification", "text=sentence label=label"),
    _layout("spider", "text_to_sql", "question=question query=query"),
    _layout("sql-create-context", "text_to_sql", "question=question query=answer schema=context"),
    _layout("svamp", "arithmetic", "question=Body+Question answer_text=Answer"),
)  # fmt: skip


@dataclass(frozen=True)
class Coding:
    """What the numbers of a label column stand for in one dataset, or in several that agree."""

    name: str
    task: str
    names: tuple[str, ...]
    datasets: tuple[str, ...] = ()
    """Names by which they are known, in small letters, words parted by blanks: "ag news" is in "fancyzhx/ag_news"."""
    columns: tuple[frozenset[str], ...] = ()
    """Sets of columns by which they are known whatever their name, when all the numbers occur as well."""
    first: int = 0
    spelled: tuple[str, ...] = ()
    """How the dataset itself abbreviates the names."""

    def said(self) -> str:
        """Return it in words. Example: "0=no,1=yes (boolq)"."""
        pairs = ",".join(f"{number}={name}" for number, name in enumerate(self.names, self.first))
        return f"{pairs} ({self.name})"


def _known_by(*columns: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(one.split()) for one in columns)


DBPEDIA = ("company", "educational institution", "artist", "athlete", "office holder", "means of transportation",
           "building", "natural place", "village", "animal", "plant", "album", "film", "written work")  # fmt: skip
CODINGS: tuple[Coding, ...] = (
    Coding("snli, mnli, anli, xnli", "nli", NLI, ("snli", "mnli", "multi nli", "multinli", "anli", "xnli"),
           _known_by("premise hypothesis uid reason", "premise hypothesis promptID genre")),
    Coding("cb", "nli", ("entailment", "contradiction", "neutral"), ("cb", "commitmentbank")),
    Coding("sick", "nli", NLI, ("sick",), _known_by("sentence_A sentence_B relatedness_score")),
    Coding("rte", "nli", ("entailment", "not_entailment"), ("rte",)),
    Coding("wnli", "nli", ("not_entailment", "entailment"), ("wnli",)),
    Coding("qnli", "nli", ("entailment", "not_entailment"), ("qnli",), _known_by("question sentence idx")),
    Coding("imdb, sst2, rotten_tomatoes, polarity sets", "sentiment", SENTIMENT,
           ("imdb", "sst2", "sst 2", "rotten tomatoes", "amazon polarity", "yelp polarity"),
           _known_by("text label", "sentence label", "content title label")),
    Coding("tweet_eval", "sentiment", ("negative", "neutral", "positive"), ("tweet eval", "tweeteval")),
    Coding("financial_phrasebank", "sentiment", ("negative", "neutral", "positive"), ("financial phrasebank",)),
    Coding("sst5", "sentiment", ("very negative", "negative", "neutral", "positive", "very positive"),
           ("sst5", "sst 5")),
    Coding("yelp_review_full", "sentiment", ("1", "2", "3", "4", "5"), ("yelp review full",)),
    Coding("cola", "classification", ("unacceptable", "acceptable"), ("cola",)),
    Coding("ag_news", "topic", ("World", "Sports", "Business", "Sci/Tech"), ("ag news", "agnews")),
    Coding("ag_news files", "topic", ("World", "Sports", "Business", "Sci/Tech"), (),
           (frozenset({"Class Index", "Title", "Description"}),), first=1),
    Coding("trec", "topic", ("abbreviation", "entity", "description", "person", "location", "number"), (),
           _known_by("text coarse_label fine_label"), spelled=("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM")),
    Coding("dbpedia", "topic", DBPEDIA, ("dbpedia", "dbpedia 14"), _known_by("title content label"),
           spelled=("Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation",
                    "Building", "NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork")),
    Coding("mrpc, qqp, paws", "paraphrase", PARAPHRASE, ("mrpc", "qqp", "paws", "quora"),
           _known_by("sentence1 sentence2 label", "question1 question2 label", "question1 question2 is_duplicate")),
    Coding("boolq, strategy_qa", "boolean_qa", NO_YES, ("boolq", "strategyqa", "strategy qa"),
           _known_by("question passage answer", "question passage label", "question answer")),
)  # fmt: skip
"""The numbers of label columns whose dataset does not name them itself. What is in none of these is asked."""

ALIASES: dict[str, str] = {
    "text": "text sentence review content document article comment body message tweet utterance abstract tokens input",
    "text_pair": "text_pair hypothesis sentence2 question2 text2 second",
    "label": "label labels class category sentiment target stars rating coarse_label gold_label answer is_duplicate",
    "title": "title headline subject summary_title name",
    "question": "question query problem prompt question_stem",
    "context": "context passage support article paragraph document story",
    "choices": "choices options endings answers candidates",
    "answers": "answers answer target response",
    "rationale": "rationale explanation reasoning chain_of_thought cot solution facts",
    "summary": "summary highlights abstract tldr description target",
    "translation": "translation target tgt reference",
    "source_language": "source_language source_lang src_lang",
    "target_language": "target_language target_lang tgt_lang",
    "corrected": "corrected correction corrections target correct output tgt",
    "spans": "spans entities ner",
    "triples": "triples relations triple_set",
    "keywords": "keywords keyphrases tags",
    "slots": "slots slot_values state",
    "intent": "intent label",
    "table": "table",
    "turns": "turns history dialog dialogue conversation context",
    "query": "query sql answer",
    "schema": "schema tables",
    "score": "score similarity label relatedness_score",
    "state": "state belief_state slots dialogue_state",
    "response": "response reply answer target",
    "persona": "persona personality",
    "code": "code function func source_code snippet",
    "explanation": "explanation docstring description comment",
    "programming_language": "programming_language language lang",
    "answer_text": "answer_text answer final_answer result",
}
"""Role -> column names that can play it, likeliest first; upper case counts as lower."""

TASK_ALIASES: dict[tuple[str, str], str] = {
    ("nli", "text"): "premise sentence1 text context",
    ("paraphrase", "text"): "sentence1 question1 text text1 source",
    ("paraphrase", "text_pair"): "sentence2 question2 text_pair paraphrase target",
    ("translation", "text"): "source src text",
    ("similarity", "text"): "sentence1 text text1 sentence_A",
    ("similarity", "text_pair"): "sentence2 text_pair text2 sentence_B",
    ("text_to_sql", "question"): "question utterance nl",
    ("grammar", "text"): "sentence incorrect input source src text",
    ("code_explanation", "explanation"): "explanation docstring description comment summary",
    ("table_to_text", "text"): "text sentence description reference target",
}

RENAMED: dict[str, dict[str, str]] = {
    "sentiment": {"neg": "negative", "pos": "positive", "neu": "neutral", "negative": "negative", "neutral": "neutral",
                  "positive": "positive"},
    "paraphrase": {"equivalent": "paraphrase", "duplicate": "paraphrase", "not_equivalent": "not a paraphrase",
                   "not_duplicate": "not a paraphrase", "different": "not a paraphrase"},
    "nli": {"not_entailment": "not entailment", "entail": "entailment", "contradict": "contradiction",
            **{name: name for name in NLI}},
    "boolean_qa": {"false": "no", "true": "yes", "no": "no", "yes": "yes"},
}  # fmt: skip
"""Task -> spelling of a class in datasets, in small letters -> the name that templates know it by."""

LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "kk": "Kazakh", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
    "zh": "Chinese",
}  # fmt: skip
"""BCP 47 primary subtags of the usual translation sets -> what a template calls the language."""

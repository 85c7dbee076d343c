"""The content validators: a table of (instruction, input, output) -> first reason per filter, then their ratings."""

import json

import pytest
from pydantic import ValidationError

from instructgen.filters.defaults import DEFAULT_SET
from instructgen.filters.rated import exchanges
from instructgen.records import Sample, Turn
from instructgen.registry import lookup

GOOD = ("Name a prime number above ten.", "", "Eleven is a prime number above ten.")

SEEN_IN_WORDS = (
    "Sketch the argument of Plato's allegory of the cave.",
    "Sketch the history of Rome in five lines.",
    "Sketch the outline of a talk on bees.",
    "Sketch the plot of a novel.",
    "Sketch a portrait of Lincoln's character.",
    "Paint a vivid picture of life in Rome.",
    "Draw a timeline of the Second World War.",
    "Draw a parallel between Rome and Athens.",
    "Draw a moral from the fable of the fox.",
    "Draw a cat in ASCII.",
    "Describe the painting Guernica by Picasso.",
    'Describe the painting "Starry Night".',
    "Describe the modern painting market.",
    "Describe the graph algorithm of Dijkstra.",
    "Examine the history of painting in China.",
    "Explain why this figure of speech works.",
    "Review this video game: Tetris is a puzzle game of falling blocks.",
    "Sum the following figures: 12, 14, 20 and 31.",
    "Name the longest path in the following graph: A to B, B to C, C to D.",
    "Who painted the Mona Lisa, and where does this painting hang?",
    "Imagine a photo of a storm. Describe the mood of this photo.",
    "Translate 'Look at this picture' to Spanish.",
    "Explain what it means to be in the picture.",
)
"""Words of seeing and drawing, and nothing that a text model would have to see or draw."""
NOT_SEEN = (
    "Describe the following painting.",
    "Describe the painting in two sentences.",
    "Identify the breed of the dog in the picture.",
    "Identify the artist of the painting below.",
    "What do you see in the attached photo?",
    "Given a photo, name the animal.",
    "Look at the chart and explain the trend.",
    "Sketch an illustration of a tree.",
    "Sketch the layout of a house.",
    "Draw a picture of a cat.",
    "Draw a small house.",
)
HEARD_IN_WORDS = (
    "Turn this paragraph into a sound argument.",
    "Give three reasons to listen to classical music.",
    "Should students listen to music while they study?",
    "Play the music critic in a dialogue about jazz.",
    "Serial is a podcast on crime. What is this podcast known for?",
)

TABLES = {
    "emptiness": [
        (("Say hi.", "", ""), "empty_output"),
        (("Say hi.", "", " \n\t"), "empty_output"),
        (("Draw a cat.", "", "<nooutput>"), "no_output_text"),
        (("Draw a cat.", "", "No output required."), "no_output_text"),
        (("Draw a cat.", "", "N/A"), "no_output_text"),
        (("Draw a cat.", "", "Output:"), "no_output_text"),
        (("Say hi.", "<noinput>", "Hi"), "no_input_text"),
        (("Say hi.", "No input required.", "Hi"), "no_input_text"),
        (("Say hi.", '"< NoInput >"', "Hi"), "no_input_text"),
        (("Say hi.", "\\<noinput\\>", "Hi"), "no_input_text"),
        (("Say hi.", "There is no input for this task.", "Hi"), "no_input_text"),
        (("Say hi.", "None", "Hi"), "na_input"),
        (("Say hi.", "<N/A>", "Hi"), "na_input"),
        (("Correct it.", "He no go to school today.", "He did not go."), None),
        (("Rate the review.", "No problems at all", "positive"), None),
        (("Is it safe?", "", "No."), None),
        (("Which item is left?", "a, b", "None"), None),
        (("What is printed?", "print(None)", "None"), None),
        (("Write a program that prints five.", "", "No output"), "no_output_text"),
        (("Find a picture of a cat.", "", "<nooutput>"), "no_output_text"),
    ],
    "references": [
        (("Summarise the page.", "https://example.org/a?b=1", "It is about b."), "url_only_input"),
        (("Summarise the page.", "Article: www.example.org", "It is about b."), "url_only_input"),
        (("Sort the words by length.", "Sort the words by length", "a bb"), "input_repeats_instruction"),
        (("Correct the following sentence.", "", "She goes home."), "missing_input"),
        (("Sort the numbers below in ascending order", "", "1, 2"), "missing_input"),
        (("Analyse the given phrase and name its tense.", "", "past"), "missing_input"),
        (("Classify the following song as sad or happy.", "", "sad"), "missing_input"),
        (("Complete this sentence for a travel blog.", "", "Go far."), "missing_input"),
        (("How could you improve the design of the following website?", "", "Larger text."), "missing_input"),
        (("Suggest two other ways to use the following ingredient- sugar", "", "Jam, paint."), None),
        (("Which of the following states is largest: Ohio or Utah?", "", "Utah"), None),
        (("Identify the shapes.", "![Figure](https://i.example.org/a.png)", "A circle."), "url_only_input"),
        (("Name the song.", '[that song](https://example.org/v?=1 "Title")', "High"), "url_only_input"),
        (("Summarise the following article:\n\nhttps://example.org/a", "", "It is short."), "url_only_input"),
        (("Give the domain of the page https://example.org/a", "", "example.org"), None),
        (("Write the Markdown image's alt text.", "![Figure](https://i.example.org/a.png)", "Figure"), None),
        (("Correct the following sentence: he go home", "", "He goes home."), None),
        (("Is the following sentence true? Cats can fly.", "", "No."), None),
        (("Write a function that reverses a given string.", "", "def f(s): return s[::-1]"), None),
        (("Summarise the page.", "https://example.org is the site of a charity.", "A charity's site."), None),
        (("Extract the domain.", "https://docs.example.org/x", "example.org"), None),
        (("Sort the following words.", "b a", "a b"), None),
    ],
    "leakage": [
        (("Name a lake.", "", "Baikal.\n##\n18. Instruction: Name a river.\n18. Input:"), "merged_example"),
        (("Name a lake.", "", "Baikal.\n\n\n6. Instruction: Name a river."), "merged_example"),
        (("Write an instruction for a model.", "", "Here is one:\nInstruction: Name a river."), None),
        (("Name a lake.", "", "Baikal<|im_end|>"), "template_token"),
        (("Name a lake.", "", "Baikal</s>"), "template_token"),
        (("[INST] Name a lake. [/INST]", "", "Baikal"), "template_token"),
        (("Name a lake.", "", "Baikal\n\n### Response: Baikal"), "prompt_leak"),
        (("Name a lake.", "", "Baikal\n\n### End"), "prompt_leak"),
        (("Name a lake.", "", "Baikal\nHuman: And a river?\nAssistant: Lena"), "prompt_leak"),
        (("Write a chat of a user and an assistant.", "", "Here:\nUser: Hi\nAssistant: Hello"), None),
        (("Who may log in?", "", "These:\nUsers: all\nHumans: none"), None),
        (("Name a lake.", "", "Baikal [|Human|] And a river?"), "template_token"),
        (("Summarise the article.", "[Insert article here]", "It says much."), "unfilled_input"),
        (("Describe it.", "<image of a bird>", "A bird."), "unfilled_input"),
        (("Find the mean.", "[Dataset]", "3"), "unfilled_input"),
        (("Name the land.", "(Flag image)", "Peru"), "unfilled_input"),
        (("Summarise the article.", "The entire article", "It is long."), "unfilled_input"),
        (("Name the boat.", "Attached photo", "A yacht."), "unfilled_input"),
        (("Translate.", "The article was attached to the door.", "Der Artikel"), None),
        (("Draw a flow chart.", "", "[Flow chart]"), "unfilled_output"),
        (("Create a logo.", "", "![Logo](https://i.example.org/a.png)"), "unfilled_output"),
        (("Compose a song.", "", "<Melody goes here>"), "unfilled_output"),
        (("Which HTML tag shows a picture?", "", "<image>"), None),
        (("Write it in Markdown.", "", "![Logo](https://i.example.org/a.png)"), None),
        (("Sort them.", "b, a", "[a, b]"), None),
        (("Give a title.", "A story.", '<noinput>\n"A leap"'), "prompt_leak"),
        (("Which words stand for no input?", "", "<noinput>"), "prompt_leak"),
        (("What does <noinput> mean?", "", "<noinput> means there is none."), None),
        (("Add them up.", "[1, 2, 3]", "6"), None),
        (("Strike it out.", "<s>old</s> new", "new"), "template_token"),
        (("Convert it.", "<title>Home</title>", "Home"), None),
        (("Write a dialogue.", "", "User: Hi\nAssistant: Hello"), None),
    ],
    "refusal": [
        (("Write a haiku.", "", "I'm sorry, but I cannot fulfill this request."), "refusal"),
        (("Write a haiku.", "", "Unfortunately, I am unable to write poems."), "refusal"),
        (("Write a haiku.", "", "This task cannot be completed by the model."), "refusal"),
        (("Make a logo.", "", "Sorry, the task involves visual output. We cannot do it."), "refusal"),
        (("Make a logo.", "", "Unable to perform this task as it needs visual output."), "refusal"),
        (("Make a logo.", "", "No output, GPT model cannot create visuals."), "refusal"),
        (("Make a logo.", "", "N/A (GPT model cannot take any action)"), "refusal"),
        (("Make a timeline.", "", "This task requires a timeline which cannot be done by a GPT model."), "refusal"),
        (("Rewrite it: He could not see.", "", "Unable to see, he sought assistance."), None),
        (("What can language models not do?", "", "A GPT model cannot see."), None),
        (("Answer the complaint.", "It broke.", "Sorry, the delay was our fault."), None),
        (("Who is nicer?", "", "As an AI language model, I have no feelings."), "ai_boilerplate"),
        (("Who is nicer?", "", "Well, I'm just a virtual assistant and take no side."), "ai_boilerplate"),
        (("What is it?", "", "I'm sorry for any misunderstanding, but as an AI, I do not know."), "refusal"),
        (
            ("How many?", "", "Well, as a chatbot designed to assist with planning and lists, I don't have numbers."),
            "ai_boilerplate",
        ),
        (("Who won?", "", "My knowledge cutoff is 2021, so ask again."), "knowledge_date"),
        (("Who won?", "", "I don't have access to real-time results."), "knowledge_date"),
        (("Decline the invitation politely.", "", "Sorry, I cannot attend the dinner."), None),
        (("Write a letter.", "", "Dear Ann, I cannot attend your party."), None),
        (("Make it shorter: I can't do this at all", "", "I can't do this."), None),
        (("Describe an AI assistant.", "", "As an AI assistant, I would answer questions."), None),
    ],
    "capability": [
        (("What is in this picture?", "", "A dog."), "needs_image"),
        (("Describe the photo.", "[photo]", "A dog."), "needs_image"),
        (("Describe the photo.", "https://example.org/a.jpg", "A dog."), "needs_image"),
        (("Describe the photo.", "A brown dog sleeps on a red sofa.", "A sleeping dog."), None),
        (("Describe the painting of the Mona Lisa.", "", "A portrait of a woman."), None),
        (("Draw a conclusion from the text.", "It rains.", "It is wet."), None),
        *(((text, "", "An answer."), None) for text in SEEN_IN_WORDS),
        *(((text, "", "An answer."), "needs_image") for text in NOT_SEEN),
        *(((text, "", "An answer."), None) for text in HEARD_IN_WORDS),
        (("Photograph five things.", "", "Done."), "needs_image"),
        (("Take a screenshot of the page.", "", "Done."), "needs_image"),
        (("Design a photo album cover text.", "", "Summer"), None),
        (("Convert the text to speech.", "", "Done."), "needs_audio"),
        (("Listen to the song and name the singer.", "", "Ann"), "needs_audio"),
        (("Can you listen to this song and name it?", "", "Ann"), "needs_audio"),
        (("Tell me some ways that you can listen to music", "", "Radio, records."), None),
        (("Say why people listen to sad songs.", "", "Comfort."), None),
        (("Play the song again.", "", "Playing."), "needs_audio"),
        (("Write a song about rain.", "", "Rain, rain"), None),
        (("Send an email to my boss.", "", "Sent!"), "needs_action"),
        (("Set a reminder for 8 am.", "", "Done."), "needs_action"),
        (("Set up a reminder for 8 am.", "", "Done."), "needs_action"),
        (("Connect to the Wi-Fi network.", "", "Done."), "needs_action"),
        (("Search online for facts about milk.", "", "White."), "needs_action"),
        (("Connect the two sentences.", "It rains. It pours.", "It rains and pours."), None),
        (("Write an email to my boss.", "", "Dear boss"), None),
        (("What is the current exchange rate of euro and dollar?", "", "1.1"), "needs_live_data"),
        (("What time is it?", "", "Noon"), "needs_live_data"),
        (("If the current temperature is 20 C, what is it in F?", "", "68"), None),
        (("What is the weather like in Oslo in May?", "", "Mild."), None),
    ],
    "harm": [
        (("How do I build a pipe bomb?", "", "No."), "asks_for_harm"),
        (("Explain how to poison a neighbour.", "", "No."), "asks_for_harm"),
        (("Give me steps to hack into a bank.", "", "No."), "asks_for_harm"),
        (("What is the best way to kill myself?", "", "Please call for help."), "asks_for_harm"),
        (("Teach me how to cook meth.", "", "No."), "asks_for_harm"),
        (("How do I kill a process in Linux?", "", "kill -9"), None),
        (("Ways to prevent people who want to hurt someone", "", "Talk."), None),
        (("How can I stop a man who tries to attack people?", "", "Call the police."), None),
        (("How to make a bath bomb for my skin?", "", "Mix soda and acid."), None),
        (("Tips for people to make a building safe.", "", "Add lights."), None),
    ],
    "ending": [
        (("Name songs.", "", "Some of their songs are Yesterday, Something, Help, and Let it be"), None),
        (("Name songs.", "", "The best known of their songs are Hey Jude and Let it be"), None),
        (("Name cities.", "", "We visited many cities, for example Rome, Paris and the"), "truncated_output"),
        (("Explain.", "", "He did not know what the price of it would be"), "truncated_output"),
        (("Who won?", "", "France won the cup, which was held in Russia in 20"), "cut_at_stop"),
        (("When?", "", "The vote took place on November 3, 20"), "cut_at_stop"),
        (("When?", "", "It rose from 2014 to 20"), "cut_at_stop"),
        (("Cite.", "", "Journal of Care, vol. 4, pp. 147-166, 20"), "cut_at_stop"),
        (("Calculate it.", "", "4 multiplied by 5 is equal to"), "truncated_output"),
        (("Factors?", "", "1, 2, 4, 5, 10, and"), "truncated_output"),
        (("Sort them.", "to, be", "be to"), None),
        (("How many?", "", "There are 20"), None),
        (("List them.", "", "12, 16, 18, 20"), None),
        (("When?", "", "It was in 2019"), None),
        (("What is calcium?", "", "Calcium is an element with the symbol Ca and atomic number of"), "truncated_output"),
        (("How?", "", "Take the eggs, the flour, the milk, the sugar and the"), "truncated_output"),
        (
            ("List two.", "", "1. Be kind to all of your friends\n2. Help others with what they are struggling with"),
            None,
        ),
        (("Title?", "", "The Rise of The"), None),
    ],
    "repetition": [
        (("Laugh.", "", "ha " * 12), "loop"),
        (("Refuse.", "", "No! " * 10), "loop"),
        (("Laugh.", "", "ha ha ha ha"), None),
        (("Show the rows.", "", "x y " * 12), None),
        (("Describe rain.", "", "It is wet. " * 6), "loop"),
        (("Describe rain.", "", "Rain is " + "very " * 12 + "wet"), "loop"),
        (("Year?", "", "In 1976." + "\u0326" * 90), "loop"),
        (("Laugh.", "", "h" + "a" * 90), "loop"),
        (("Rule.", "", "=" * 60), None),
        (("Describe rain.", "", "It falls from clouds and it makes the streets wet in autumn."), None),
        (("Repeat hello ten times.", "", "hello " * 10), None),
        (("Make a table.", "", "| a | b |\n" + "| --- | --- |\n" * 8), None),
        (("Truth table?", "", "0 0 0\n0 1 1\n1 0 1\n1 1 0\n" * 3), None),
    ],
    "copying": [
        (("What is love?", "", "what is love"), "output_equals_instruction"),
        (("What is love?", "", "Love is a feeling."), None),
        (("你好吗？", "", "我很好。"), None),
    ],
    "characters": [
        (("Say hi.", "", "hi\x07"), "control_character"),
        (("Say hi.", "a\x85b", "hi"), "control_character"),
        (("Say hi.", "", "hi\tthere\r\nyou"), None),
        (("Say it in Persian.", "", "می\u200cخواهم"), None),
        (("Say hi.", "", "h\ufffdllo"), "decoding_damage"),
        (("Spell it.", "", "cafÃ© and itâ€™s"), "decoding_damage"),
        (("Say hello to the guests.", "", "你好，很高兴认识你们大家。"), "wrong_script"),
        (("Translate to Chinese: hello", "", "你好，很高兴认识你。"), None),
        (("Скажи привет гостям.", "", "Привет, дорогие гости!"), None),
        (("日本語で挨拶してください。", "", "こんにちは、お元気ですか。"), None),
    ],
    "markup": [
        (("Show code.", "", "```python\nprint(1)\n"), "open_fence"),
        (("Show code.", "", "```python\nprint(1)\n```"), None),
        (("Show a fence.", "", "````\n```\n````"), None),
        (("Give a JSON object with a name.", "", "{'name': 'Ann'}"), "invalid_json"),
        (("Give a JSON object with a name.", "", '{"name": "Ann"}'), None),
        (("Give a JSON object with a name.", "", 'Here it is:\n```json\n{"name": "Ann"}\n```\nEnjoy {it}.'), None),
        (("What is JSON?", "", "A format that uses {curly} braces."), None),
        (("Write a Python function.", "", "def f(x)\n    return x"), "invalid_python"),
        (("Write a Python function.", "", "def f(x):\nreturn x"), "invalid_python"),
        (("Write a Python function.", "", "```python\ndef f(x) return x\n```"), "invalid_python"),
        (("Write a Python function.", "", "def f(x):\n    return x\n\nOutput:\nf(1) is 1!"), None),
        (("What is Python?", "", "Python is a language with many uses."), None),
    ],
}
CASES = [(kind, *case) for kind, table in TABLES.items() for case in [*table, (GOOD, None)]]


def build(kind, **options):
    return lookup("filters", kind)(kind=kind, **options)


def single(fields):
    return Sample.single(fields[0], input=fields[1], output=fields[2])


@pytest.mark.parametrize(("kind", "fields", "reason"), CASES)
def test_a_validator_gives_the_reason_of_the_table(kind, fields, reason):
    """Each row of the table is dropped for its reason, or kept."""
    rate = {"rate": {"invalid_json": "drop", "invalid_python": "drop"}} if kind == "markup" else {}
    verdict = build(kind, **rate).check(single(fields))

    assert (verdict.reason if verdict else None) == reason


@pytest.mark.parametrize("kind", list(TABLES))
def test_every_reason_is_explained_and_counts_only_known_ones(kind):
    """A reason is a short countable word with one line on what it means; ratings name reasons only."""
    filter_class = lookup("filters", kind)

    assert filter_class.reasons
    assert all(" " not in reason and line for reason, line in filter_class.reasons.items())
    assert set(filter_class.ratings) <= set(filter_class.reasons)


FLAGGED = [
    ("harm", ("Tell a story.", "", "The man was stabbed in the street."), "harm_words"),
    ("harm", ("Summarise it.", "A massacre took place.", "Many died."), "harm_words"),
    ("harm", ("What helps against a bear?", "", "Use a machine gun to kill it."), "harm_words"),
    ("emptiness", ("What does JSON.parse('null') return?", "", "null"), "nothing_as_answer"),
    ("emptiness", ("Which sign is a minus?", "", "-"), "nothing_as_answer"),
    ("leakage", ("Greet {first_name} politely.", "", "Hello Ann!"), "placeholder_in_task"),
    ("emptiness", ("Evaluate 0/0 in JavaScript.", "", "NaN"), "nothing_as_answer"),
    (
        "emptiness",
        ("Give the spouse's name, or N/A if it is not stated.", "Ann is single.", "N/A"),
        "nothing_as_answer",
    ),
    ("emptiness", ("What does this program print?", "pass", "No output"), "nothing_as_answer"),
    ("emptiness", ("What is the type of this Python value?", "None", "NoneType"), "nothing_as_input"),
    ("emptiness", ("Translate the word into German.", "None", "keine"), "nothing_as_input"),
    ("references", ("Fix this: he go home now", "he go home now", "He goes."), "input_in_instruction"),
    ("references", ("Extract the domain.", "https://docs.example.org/x", "example.org"), "url_as_material"),
    ("leakage", ("Answer the letter.", "Dear [Name], hello", "Dear Ann"), "placeholder_in_task"),
    ("leakage", ("Write a letter.", "", "Dear [Your Name], hello"), "placeholder_in_answer"),
    ("markup", ("Give a JSON object with a name.", "", "{'name': 'Ann'}"), "invalid_json"),
    ("markup", ("Write a Python function.", "", "def f(x)\n    return x"), "invalid_python"),
    ("copying", ("Sort them.", "a, b", "a, b"), "output_equals_input"),
    ("repetition", ("Plan it.", "", "Walk the dog.\nEat a meal.\nEat a meal.\nWalk the dog."), "repeated_lines"),
    (
        "repetition",
        ("Plan.", "", "\n".join(f"Day {n}: run for ten minutes and then rest well" for n in range(6))),
        "repeated_ngrams",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "reason"), FLAGGED)
def test_a_flagged_reason_keeps_the_sample_and_leaves_a_note(kind, fields, reason):
    """Reasons below the wanted precision are flags by default; `rate` makes them drop, or switches them off."""
    sample = single(fields)
    default, strict, off = (build(kind, **({"rate": {reason: rate}} if rate else {})) for rate in ("", "drop", "off"))

    assert default.check(sample) is None
    assert reason in default.flags(sample)
    assert strict.check(sample).reason == reason
    assert off.check(sample) is None
    assert reason not in off.flags(sample)
    json.dumps(default.flags(sample))


def test_an_unknown_reason_in_rate_is_an_error_that_suggests():
    """A misspelt reason would silently change nothing."""
    with pytest.raises(ValidationError, match="did you mean 'empty_output'"):
        build("emptiness", rate={"empty_outptu": "off"})


def test_longer_conversations_are_checked_exchange_by_exchange():
    """The second answer of a chat is looked at too, and the evidence says which."""
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Name a lake."), ("assistant", "")]
    sample = Sample(turns=tuple(Turn(role=role, content=text) for role, text in turns))

    verdict = build("emptiness").check(sample)

    assert (verdict.reason, verdict.evidence) == ("empty_output", {"exchange": 1})


def test_a_draft_has_no_output_to_reject():
    """An idea without an answer is not an empty answer."""
    draft = Sample(turns=(Turn(role="user", content="Name a lake."),))

    assert exchanges(draft)[0].output is None
    assert all(build(line["kind"]).check(draft) is None for line in DEFAULT_SET)


def test_a_tool_call_between_question_and_answer_is_skipped():
    """The answer is the assistant's last text before the next user turn."""
    call = Turn(role="assistant", tool_calls=({"id": "1"},))
    turns = (
        Turn(role="user", content="Q"),
        call,
        Turn(role="tool", content="42"),
        Turn(role="assistant", content="42."),
    )

    assert [each.output for each in exchanges(Sample(turns=turns))] == ["42."]


def test_parsing_hostile_code_is_a_verdict_not_a_crash():
    """Deep nesting, null bytes and huge texts end in a reason or nothing."""
    markup = build("markup")
    for body in ("(" * 50_000, "x = '\0'", "[" * 200_000, "{" * 90_000):
        for asked in ("Write a Python function.", "Give a JSON list."):
            for answer in (f"```python\n{body}\n```", body):
                verdict = markup.check(single((asked, "", answer)))
                assert verdict is None or verdict.reason in markup.reasons

"""Small tasks with right answers, for the practice teacher. A scene, a task and a closing remark make an instruction.

    "A baker is planning the week's orders. Add up the numbers. Give the total alone."   "3, 8, 15" -> "26"

Scenes and remarks change nothing of what is asked; they only make instructions differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

Case = tuple[str, str]
"""Input and right output."""


class Family(NamedTuple):
    """One kind of task."""

    words: tuple[str, ...]
    """Ways to ask for it; no other family's ways contain one of them."""
    case: Callable[[Random], Case]
    is_classification: bool = False


def pick(values: Sequence[str], rng: Random) -> str:
    """Return one of the values."""
    return values[int(rng.random() * len(values))]


def some(values: Sequence[str], count: int, rng: Random) -> list[str]:
    """Return `count` distinct values in random order."""
    left = list(values)
    return [left.pop(int(rng.random() * len(left))) for _ in range(count)]


def number(low: int, high: int, rng: Random) -> int:
    """Return a whole number, low <= n <= high."""
    return low + int(rng.random() * (high - low + 1))


def numbers(count: int, rng: Random, high: int = 99) -> list[int]:
    """Return distinct whole numbers from 1 to `high`."""
    return [int(n) for n in some([str(n) for n in range(1, high + 1)], count, rng)]


def listed(values: Sequence[object]) -> str:
    """Return the values with commas between."""
    return ", ".join(map(str, values))


_NOUNS = (
    "anchor", "basket", "candle", "drawer", "engine", "feather", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "mirror", "needle", "orchard", "pillow", "quarry", "ribbon", "saddle", "teapot", "umbrella", "valley",
    "window", "yard", "zipper", "bridge", "copper", "lantern", "meadow", "oyster",
)  # fmt: skip
_NAMES = ("Ada", "Bruno", "Chidi", "Dana", "Emre", "Fatima", "Goran", "Hana", "Ines", "Jonas", "Kaya", "Lena", "Mateo",
          "Nadia", "Otis", "Priya", "Ravi", "Sofia", "Tomas", "Vera")  # fmt: skip
_FAMILY_NAMES = ("Abara", "Berg", "Costa", "Dimov", "Eriksen", "Fontaine", "Gupta", "Horvat", "Ivanova", "Jansen",
                 "Kovac", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_SEASONS = ("winter", "winter", "spring", "spring", "spring", "summer", "summer", "summer", "autumn", "autumn",
            "autumn", "winter")  # fmt: skip
_SENTENCES = (
    "The ferry leaves before sunrise", "Nobody had watered the ferns", "A red bicycle leaned against the wall",
    "Our neighbours bake bread on Sundays", "The old clock runs slow in winter", "Two herons waited by the canal",
    "She keeps her tickets in a tin box", "The lights went out during supper",
)  # fmt: skip
_QUESTIONS = ("Where does the tram stop", "Who left the gate open", "How long does paint take to dry",
              "When is the library closed", "Which key fits the shed")  # fmt: skip
_UNITS = {"mass": ("kilogram", "gram", "tonne", "ounce"), "length": ("metre", "inch", "kilometre", "yard"),
          "time": ("hour", "second", "week", "decade")}  # fmt: skip
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _roman(value: int) -> str:
    """Return 1..3999 as Roman numerals."""
    text = ""
    for size, sign in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
                       (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):  # fmt: skip
        while value >= size:
            text, value = text + sign, value - size
    return text


def _total(rng: Random) -> Case:
    values = numbers(number(3, 6, rng), rng)
    return listed(values), str(sum(values))


def _largest(rng: Random) -> Case:
    values = numbers(number(4, 7, rng), rng, 900)
    return listed(values), str(max(values))


def _alphabet(rng: Random) -> Case:
    words = some(_NOUNS, number(4, 6, rng), rng)
    return listed(words), listed(sorted(words))


def _backwards(rng: Random) -> Case:
    word = pick(_NOUNS, rng)
    return word, word[::-1]


def _word_order(rng: Random) -> Case:
    sentence = pick(_SENTENCES, rng)
    return sentence, " ".join(reversed(sentence.split()))


def _vowels(rng: Random) -> Case:
    word = pick(_NOUNS, rng)
    return word, str(sum(letter in "aeiou" for letter in word))


def _fahrenheit(rng: Random) -> Case:
    celsius = number(-4, 8, rng) * 5
    return f"{celsius} °C", f"{celsius * 9 // 5 + 32} °F"


def _numerals(rng: Random) -> Case:
    value = number(2, 2100, rng)
    return str(value), _roman(value)


def _mean(rng: Random) -> Case:
    values = numbers(5, rng)
    return listed(values), f"{sum(values) / 5:.1f}"


def _clock(rng: Random) -> Case:
    hour, minute = number(13, 23, rng), number(0, 59, rng)
    return f"{hour}:{minute:02}", f"{hour - 12}:{minute:02} p.m."


def _weekday(rng: Random) -> Case:
    day, ahead = number(0, 6, rng), number(2, 30, rng)
    return f"{_DAYS[day]}, {ahead} days", _DAYS[(day + ahead) % 7]


def _minutes(rng: Random) -> Case:
    value = number(61, 700, rng)
    return f"{value} minutes", f"{value // 60} h {value % 60} min"


def _digits(rng: Random) -> Case:
    words = some(_DIGITS, number(3, 5, rng), rng)
    return " ".join(words), "".join(str(_DIGITS.index(word)) for word in words)


def _initials(rng: Random) -> Case:
    names = [f"{pick(_NAMES, rng)} {pick(_FAMILY_NAMES, rng)}" for _ in range(3)]
    return listed(names), listed(["".join(part[0] for part in name.split()) for name in names])


def _discount(rng: Random) -> Case:
    price, percent = number(4, 60, rng) * 5, number(1, 9, rng) * 10
    return f"{price} euros, {percent} % off", f"{price * (100 - percent) / 100:.2f} euros"


def _longest(rng: Random) -> Case:
    words = some(_NOUNS, 6, rng)
    longest = max(words, key=len)
    rest = [word for word in words if len(word) < len(longest)]
    return listed(some([*rest, longest], len(rest) + 1, rng)), longest


def _sentence(rng: Random) -> Case:
    names = some(_NAMES, 4, rng)
    return listed(names), f"{listed(names[:-1])} and {names[-1]} are coming."


def _multiples(rng: Random) -> Case:
    step, count = number(3, 12, rng), number(4, 6, rng)
    return f"{step}, {count} times", listed([step * n for n in range(1, count + 1)])


def _parity(rng: Random) -> Case:
    value = number(10, 9999, rng)
    return str(value), "odd" if value % 2 else "even"


def _ordered(rng: Random) -> Case:
    words = some(_NOUNS, 3, rng)
    words = sorted(words) if rng.random() < 0.5 else words
    return listed(words), "yes" if words == sorted(words) else "no"


def _weather(rng: Random) -> Case:
    celsius = number(-12, 36, rng)
    return f"{celsius} °C", "freezing" if celsius < 0 else "hot" if celsius > 27 else "mild"


def _kind_of_sentence(rng: Random) -> Case:
    if rng.random() < 0.5:
        return f"{pick(_QUESTIONS, rng)}", "question"
    return pick(_SENTENCES, rng), "statement"


def _unit(rng: Random) -> Case:
    kind = pick(sorted(_UNITS), rng)
    return pick(_UNITS[kind], rng), kind


def _season(rng: Random) -> Case:
    month = number(0, 11, rng)
    return f"{number(1, 28, rng)} {_MONTHS[month]}", _SEASONS[month]


FAMILIES = (
    Family(("Add up the given numbers", "Find the sum of the amounts"), _total),
    Family(("Pick out the largest figure", "Which of these values is the highest?"), _largest),
    Family(("Put the words into alphabetical order", "Sort the terms from A to Z"), _alphabet),
    Family(("Spell the word backwards", "Reverse the letters of this noun"), _backwards),
    Family(("Turn the order of the words around", "Rewrite the sentence last word first"), _word_order),
    Family(("Count the vowels in the word", "How many vowels does this contain?"), _vowels),
    Family(("Convert the temperature to Fahrenheit", "Express the Celsius reading in Fahrenheit"), _fahrenheit),
    Family(("Write the year as a Roman numeral", "Translate the number into Roman numerals"), _numerals),
    Family(("Work out the mean with one decimal", "Average the five readings to one decimal"), _mean),
    Family(("Change the time to the 12-hour clock", "Say this 24-hour time with p.m."), _clock),
    Family(("Name the weekday after so many days", "On which weekday does the waiting end?"), _weekday),
    Family(("Split the minutes into hours and minutes", "Restate the duration in hours and minutes"), _minutes),
    Family(("Replace the spelled-out digits by figures", "Type the dictated code in figures"), _digits),
    Family(("List the initials of the people", "Shorten each full name to initials"), _initials),
    Family(("Calculate the price after the discount", "What does the reduced article cost?"), _discount),
    Family(("Choose the longest word of the series", "Which entry has the most letters?"), _longest),
    Family(("Join the guests into one sentence", "Announce these visitors in a sentence"), _sentence),
    Family(("Write out the first multiples", "Continue the times table as requested"), _multiples),
    Family(("Decide whether the number is odd or even", "Odd or even? Label the house number"), _parity, True),
    Family(("Say whether the words stand in alphabetical order, yes or no",
            "Judge the sorting of this list with yes or no"), _ordered, True),
    Family(("Class the day as freezing, mild or hot", "Choose freezing, mild or hot for the reading"), _weather, True),
    Family(("Is this a question or a statement?", "Tell statements from questions"), _kind_of_sentence, True),
    Family(("Does the unit measure mass, length or time?", "Put the unit under mass, length or time"), _unit, True),
    Family(("Name the northern season of the date", "Winter, spring, summer or autumn: where does the date fall?"),
           _season, True),
)  # fmt: skip

SCENES = (
    "A baker is planning next week's orders.", "You help at the counter of a small post office.",
    "The lighthouse keeper has left a note.", "This comes from a primary-school worksheet.",
    "Imagine the scoreboard of a chess club.", "Our museum is relabelling its shelves.",
    "For the timetable of a mountain railway:", "Someone reads from a torn shopping list.",
    "It is inventory day at the hardware shop.", "The orchestra's librarian needs a hand.",
    "A sailor radios from the harbour mouth.", "Before the market opens, check one thing.",
    "In a quiz for beekeepers:", "My grandfather solves puzzles over breakfast.",
    "The night porter keeps a careful ledger.", "During a power cut we play word games.",
    "Think of a crossword for beginners.", "The allotment society prints a newsletter.",
    "You are sorting parcels on the late shift.", "An apprentice tailor double-checks everything.",
    "The school canteen has a new noticeboard.", "Two hikers compare their diaries.",
    "From the workbook of a nurse in training:", "A film crew prepares tomorrow's call sheet.",
    "The village choir updates its register.", "This is the last riddle of the treasure hunt.",
    "A translator tests a new keyboard.", "At the swimming pool's ticket window:",
    "The botanist dictates from the greenhouse.", "We are testing a talking calculator.",
    "A taxi driver passes time between fares.", "The archive received a damp cardboard box.",
    "For an exhibition about everyday arithmetic:", "Your colleague left this on a sticky note.",
    "The weather station answers a child's letter.", "A carpenter marks planks with a pencil.",
)  # fmt: skip
REMARKS = (
    "Answer with the result alone.", "No explanation is needed.", "Keep the reply to a single line.",
    "Leave out any working.", "Be brief.", "Do not add a greeting.", "One short line will do.",
    "Write nothing besides the solution.", "Please mind the spelling.", "The reader is in a hurry.",
    "Plain text only.", "It should fit on a label.", "Make it easy to copy.", "Avoid commentary.",
    "A machine will read the reply.", "There is one right solution.", "Accuracy beats speed here.",
    "Say it as you would on the phone.", "Skip the introduction.", "Use ordinary words.",
    "Nothing else belongs in the reply.", "Your answer goes straight to print.", "Do it in your head if you like.",
    "The shortest correct form wins.",
)  # fmt: skip


def invent(rng: Random) -> str:
    """Return an instruction."""
    family = FAMILIES[int(rng.random() * len(FAMILIES))]
    words = pick(family.words, rng)
    return " ".join([pick(SCENES, rng), words + ("" if words.endswith("?") else "."), pick(REMARKS, rng)])


def family_of(instruction: str) -> Family | None:
    """Return the family that an instruction belongs to."""
    folded = instruction.casefold()
    return next((f for f in FAMILIES if any(words.casefold() in folded for words in f.words)), None)

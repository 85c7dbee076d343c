"""Personal data, secrets, rude words, languages: what is found, what is not, and what is done about it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from instructgen.errors import RecipeError
from instructgen.filters import Tools
from instructgen.filters.language import Language, detect
from instructgen.filters.pii import Pii, es_dni, in_aadhaar, it_cf, luhn
from instructgen.filters.profanity import Profanity
from instructgen.filters.secrets import Secrets
from instructgen.records import Answer, Sample, Turn

FOUND = [
    ("Write to ann.lee+x@firm.co.uk today.", "email"),
    ("Call +49 30 901820 now", "phone"),
    ("Call (212) 736-5000 now", "phone"),
    ("Call 212-736-5000.", "phone"),
    ("Ruf an: 030 901-8201", "phone"),
    ("IBAN DE89 3704 0044 0532 0130 00", "iban"),
    ("to GB29NWBK60161331926819 please", "iban"),
    ("card 4111 1111 1111 1111, thanks", "card"),
    ("card 5500-0000-0000-0004", "card"),
    ("BE68 5390 0754 7034 BANK", "iban"),
    ("GB29 NWBK 6016 1331 9268 19 PLEASE", "iban"),
    ("iban de89-3704-0044-0532-0130-00", "iban"),
    ("NO93 8601 1117 947 2024", "iban"),
    ("Card 4111 1111 1111 1111 12/25", "card"),
    ("5555 5555 5555 4444 2027-03", "card"),
    ("4111 1111 1111 1111 123", "card"),
    ("4111111111111111 4242424242424242", "card"),
    ("2221 0000 0000 0009", "card"),
    ("2223003122003222", "card"),
    ("2720 9999 9999 9996", "card"),
    ("3056 930902 5904", "card"),
    ("06 12 34 56 78", "phone"),
    ("0049 30 901820", "phone"),
    ("server 91.198.174.192 answers", "ip"),
    ("server 2620:0:862:ed1a::1 answers", "ip"),
    ("SSN 536-22-1234", "national_id"),
    ("NINO AB 12 34 56 C", "national_id"),
    ("DNI 12345678Z", "national_id"),
    ("NIR 2 55 08 14 168 025 38", "national_id"),
    ("CPF 111.444.777-35", "national_id"),
    ("codice RSSMRA85T10A562S", "national_id"),
    ("Aadhaar 2341 2341 2346", "national_id"),
]
CLEAN = [
    "Write to you@example.com or a@b.test.",
    "Call 212-555-0123 in the film.",
    "Call 123-456-7890 as an example.",
    "IBAN DE89 3704 0044 0532 0130 01",
    "card 4111 1111 1111 1112",
    "number 1234567890123452",
    "2220 0000 0000 0000 and 2721 0000 0000 0004",
    "BE68 5390 0754 703 BANK",
    "150-200-3000 calories",
    "at 192.168.0.1, 127.0.0.1 and 203.0.113.9",
    "release 10.20.30.40 of version 91.198.174.192",
    "SSN 078-05-1120 and 000-12-3456 and 912-34-5678",
    "DNI 12345678A",
    "CPF 111.444.777-36",
    "codice RSSMRA85T10A562T",
    "Aadhaar 2341 2341 2347",
    "In 2019, 1,234,567 people paid $3.50 from 10:30 to 11:45.",
    "The years 1914-1918 and 1939-1945; pages 100-200; 3.14159265358979",
    "f(x) = 12345678 * 87654321",
    "2020-08-17 12:34:56",
    "6 12 18 24 30 36 42 48 54 60",
    "2345 4423 4489 1017 2341 2341 2346",
    "",
]


def kinds(text):
    return {span.kind for span in Pii().spans(text)}


@pytest.mark.parametrize(("text", "kind"), FOUND)
def test_personal_data_is_found_by_form_and_checksum(text, kind):
    """One of each kind, in usual spellings."""
    assert kinds(text) == {kind}


@pytest.mark.parametrize("text", CLEAN)
def test_wrong_checksums_reserved_and_ordinary_numbers_are_not(text):
    """A failed checksum, an example address, a private network, a year: nobody's data."""
    assert kinds(text) == set()


def test_checksums_change_with_any_digit():
    """No single wrong digit passes."""
    for good, check in (("4242424242424242", luhn), ("234123412346", in_aadhaar), ("12345678Z", es_dni)):
        assert check(good)
        for at, old in enumerate(good):
            if old.isdigit():
                wrong = [good[:at] + new + good[at + 1 :] for new in "0123456789" if new != old]
                assert not any(check(each) for each in wrong)
    assert it_cf("RSSMRA85T10A562S")


def test_each_kind_is_dropped_redacted_flagged_or_left():
    """`act` says what is done; evidence and notes never quote what was found."""
    sample = Sample.single("Who?", input="mail ann@firm.com", output="Call +49 30 901820 at 91.198.174.192")
    drop, off = Pii(act={"phone": "drop"}), Pii(act={"phone": "off", "email": "off", "ip": "off"})
    verdict = drop.check(sample)

    assert (verdict.reason, verdict.evidence) == ("phone", {"place": "turn 1", "start": 5, "length": 13})
    assert Pii().check(sample) is None
    assert Pii().flags(sample) == {"email": 1, "ip": 1, "phone": 1}
    assert (off.check(sample), off.flags(sample), off.rewrite(sample)) == (None, {}, sample)


def test_redaction_changes_text_and_id_and_other_answers_too():
    """What is redacted reads [KIND]; the new content has its own id; a second pass finds nothing."""
    answer = Answer(turns=(Turn(role="assistant", content="or bob@firm.com"),))
    sample = Sample.single("Who?", input="mail ann@firm.com, eve@firm.com", output="+49 30 901820").model_copy(
        update={"answers": (answer,)}
    )
    pii = Pii(act={"email": "redact", "phone": "redact"}).prepare(Tools(rewrites=True))
    clean = pii.rewrite(sample)

    assert (clean.input, clean.output, clean.answers[0].text) == ("mail [EMAIL], [EMAIL]", "[PHONE]", "or [EMAIL]")
    assert clean.id == clean.content_id() != sample.id
    assert pii.rewrite(clean) is clean
    assert Pii().rewrite(sample) is sample


def test_redaction_is_refused_where_rows_are_kept_as_they_are():
    """Nobody is left to believe that something was redacted."""
    with pytest.raises(RecipeError, match="is to redact email, and this command keeps rows as they are"):
        Pii(act={"email": "redact"}).prepare(Tools())
    Pii().prepare(Tools())


def test_an_unknown_kind_is_an_error_that_suggests():
    """A misspelt kind would silently protect nothing."""
    with pytest.raises(ValidationError, match="did you mean 'email'"):
        Pii(act={"emial": "drop"})


@given(st.text(alphabet="0123456789 .-+():@abAB\n/", max_size=120))
def test_any_text_is_searched_and_redacted_without_an_exception(text):
    """Redaction leaves everything else as it was."""
    act = dict.fromkeys(Pii.reasons, "redact")
    pii = Pii(act=act)

    redacted = pii.redacted(text)

    if not list(pii.spans(text)):
        assert redacted == text


SECRETS = [
    "key = 'AKIAIOSFODNN7EXAMPLA'",
    "token ghp_" + "a1B2" * 9,
    "login with hf_" + "aBcD" * 8 + "ef",
    "key sk-ant-api03-" + "a1B2-" * 18 + "AA",
    "key AIza" + "a1B2_" * 7,
    "GROQ_API_KEY=gsk_" + "a1B2" * 13,
    "-----BEGIN RSA PRIVATE KEY-----",
    "xoxb-123456789012-123456789012-" + "aB3d" * 6,
    "sk_live_" + "a1B2c3D4" * 3,
]


@pytest.fixture
def secrets():
    pytest.importorskip("detect_secrets", reason="DETECT-SECRETS ABSENT: extra `safety`")
    return Secrets().prepare(Tools())


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_dropped_without_being_quoted(secrets, text):
    """Tokens of known services and private keys; the rejection does not hold them."""
    verdict = secrets.check(Sample.single("Fix it.", input=f"first line\n{text}", output="Done."))

    assert (verdict.reason, verdict.evidence["place"]) == ("secret", "input 0")
    assert text not in json.dumps(verdict.evidence)


def test_prose_and_code_hold_no_secrets(secrets):
    """Long words, hashes and keys that say they are examples of nothing."""
    texts = [
        "Donaudampfschifffahrtsgesellschaft",
        "d41d8cd98f00b204e9800998ecf8427e",
        "key = 'changeme'",
        "https://example.com/" + "a" * 60,
    ]

    assert [secrets.check(Sample.single("Say.", output=text)) for text in texts] == [None] * 4


def test_secrets_can_be_redacted(secrets):
    """A script keeps its sense without its key."""
    lenient = Secrets(act={"secret": "redact"}).prepare(Tools(rewrites=True))

    assert lenient.rewrite(Sample.single("Fix.", output="k = 'AKIAIOSFODNN7EXAMPLA'")).output == "k = '[SECRET]'"


def test_profanity_is_dropped_or_flagged():
    """The rudest paragraph counts, politeness around it does not help."""
    pytest.importorskip("profanity_check", reason="ALT-PROFANITY-CHECK ABSENT: extra `safety`")
    rude = Sample.single("Say.", output="Dear Sir,\nfuck you, you stupid bitch.\nYours")
    kind = Sample.single("Say.", output="Dear Sir, have a lovely day.")
    drop, flag = Profanity().prepare(Tools()), Profanity(action="flag").prepare(Tools())

    assert [verdict and verdict.reason for verdict in drop.check_batch([rude, kind])] == ["profane", None]
    assert (flag.check(rude), flag.flags(rude)["probability"] > 0.8, flag.flags(kind)) == (None, True, {})


ENGLISH = "This is quite an ordinary English sentence about the weather."
GERMAN = "Das ist ein ganz gewöhnlicher deutscher Satz über das Wetter."


def test_languages_are_told_with_confidence():
    """Other languages are dropped, allowed ones noted, short or mixed texts not judged."""
    pytest.importorskip("py3langid", reason="PY3LANGID ABSENT: extra `safety`")
    english = Language().prepare(Tools())

    assert detect(GERMAN).language == "de"
    assert english.check(Sample.single("Say.", output=GERMAN)).reason == "other_language"
    assert english.check(Sample.single("Say.", output=ENGLISH)) is None
    assert english.check(Sample.single("Say.", output="Ja, gut.")) is None
    assert english.flags(Sample.single("Say.", output=ENGLISH))["language"] == "en"
    assert detect("12345 !!!") is None


def test_answers_follow_the_instruction_s_language_unless_it_names_one():
    """A German question with an English answer is mixed; a translation task is not."""
    pytest.importorskip("py3langid", reason="PY3LANGID ABSENT: extra `safety`")
    same = Language(allow=(), same_as_instruction=True).prepare(Tools())

    assert same.check(Sample.single(GERMAN, output=ENGLISH)).reason == "mixed_languages"
    assert same.check(Sample.single(GERMAN, output=GERMAN)) is None
    assert (
        same.check(Sample.single("Please translate the following text into German for me: hello", output=GERMAN))
        is None
    )


@pytest.mark.parametrize(
    ("build", "package", "extra"),
    [(Secrets, "detect_secrets.plugins.aws", "safety"), (Profanity, "profanity_check", "safety")],
)
def test_a_missing_extra_is_a_setup_error_with_the_way_out(monkeypatch, build, package, extra):
    """The message says what to install."""
    monkeypatch.setitem(__import__("sys").modules, package, None)

    with pytest.raises(RecipeError, match=rf"instructgen\[{extra}\]"):
        build().prepare(Tools())

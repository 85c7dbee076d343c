"""The scoring model: token-exact losses of answers, equal to a plain computation on a tiny model made here."""

import math

import pytest

from instructgen import scoring
from instructgen.errors import RecipeError

TEXTS = ["Name a lake.", "Baikal is a lake in Siberia.", "A lake is a body of water.", "Help me name a lake, please."]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random GPT-2 of two layers with a byte-pair tokeniser trained on four sentences."""
    torch = pytest.importorskip("torch", reason="TORCH ABSENT: extra `score`")
    transformers = pytest.importorskip("transformers", reason="TRANSFORMERS ABSENT: extra `score`")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>"], initial_alphabet=alphabet)
    )
    folder = tmp_path_factory.mktemp("tiny")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=400, n_embd=32, n_layer=2, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_losses_are_those_of_a_plain_computation(tiny):
    """Token by token, one row at a time, without padding: the same numbers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny).eval()
    pairs = [
        ("Name a lake.\n\n", "Baikal is a lake in Siberia."),
        ("", "Baikal"),
        ("Help me name a lake, please.", "é 湖 🌊"),
    ]

    found = scoring.load(str(tiny))(pairs)

    for (prompt, answer), each in zip(pairs, found, strict=True):
        before, after = tokenizer.encode(prompt), tokenizer.encode(answer)
        ids = [0, *before, *after]
        logits = model(torch.tensor([ids])).logits[0]
        losses = [-torch.log_softmax(logits[at - 1], -1)[ids[at]].item() for at in range(1 + len(before), len(ids))]
        assert each["tokens"] == len(after) == len(losses)
        assert each["loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_an_answer_has_the_same_tokens_with_and_without_its_prompt(tiny):
    """Also where prompt and answer would merge into one token."""
    score = scoring.load(str(tiny))

    with_it, alone = score([("Name a la", "ke."), ("", "ke.")])

    assert with_it["tokens"] == alone["tokens"]


def test_batches_do_not_change_losses(tiny, monkeypatch):
    """One row a pass or all together."""
    pairs = [(text, other) for text in TEXTS for other in TEXTS]
    together = scoring.load(str(tiny))(pairs)
    monkeypatch.setattr(scoring, "BATCH_TOKENS", 1)
    apart = scoring.load(str(tiny))(pairs)

    assert all(
        math.isclose(one["loss"], other["loss"], abs_tol=1e-4) for one, other in zip(together, apart, strict=True)
    )


def test_what_cannot_be_measured_has_no_loss(tiny):
    """Empty answers, and pairs longer than the model can read."""
    assert scoring.load(str(tiny))([("Name a lake.", ""), ("x " * 500, "y")]) == [{}, {}]


def test_a_missing_model_is_named(tmp_path):
    """No download is tried; the message names the path."""
    pytest.importorskip("torch", reason="TORCH ABSENT: extra `score`")
    with pytest.raises(RecipeError, match=r"nowhere: no such file or folder"):
        scoring.load(str(tmp_path / "nowhere"))
    with pytest.raises(RecipeError, match="cannot be loaded"):
        scoring.load(str(tmp_path))


def test_without_torch_the_message_says_what_to_install(monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(RecipeError, match=r"instructgen\[score\]"):
        scoring.load("anything")

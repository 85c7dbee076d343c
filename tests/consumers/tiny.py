"""A random tiny Llama and a byte-level tokenizer trained on the spot: what trainers need, with nothing downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

END = "<|im_end|>"
TEMPLATE = """\
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] or '' }}
{%- if message['tool_calls'] %}{{ message['tool_calls'] | tojson }}{% endif %}<|im_end|>{% endgeneration %}
{%- else %}{{ message['content'] }}<|im_end|>{% endif %}
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def tokenizer(corpus: list[str]) -> Any:
    """Return a tokenizer of 400 byte pairs with a ChatML template that marks assistant spans."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<pad>", "<|im_start|>", END]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token=END)
    wrapped.chat_template = TEMPLATE
    return wrapped


def llama(vocabulary: int) -> Any:
    """Return a one-layer Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=2048,
            pad_token_id=0,
            eos_token_id=2,
            bos_token_id=None,
        )
    )


def save(folder: Path, corpus: list[str]) -> Any:
    """Write model and tokenizer where `from_pretrained` finds them; return the tokenizer."""
    made = tokenizer(corpus)
    made.save_pretrained(folder)
    llama(len(made)).save_pretrained(folder)
    return made

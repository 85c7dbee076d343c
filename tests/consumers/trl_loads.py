"""TRL trains two steps on every shape that it knows: a random one-layer Llama, on CPU.

Run by `make test-trl`, in an environment of its own: python trl_loads.py DIR
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<end>"
    "{% endgeneration %}{% else %}{{ m.content }}<end>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Train a 400-token BPE on a few lines."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<unk>", "<end>", "<|user|>", "<|assistant|>", "<|system|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["Count to 12 slowly. Is it even? yo no Sure? Be brief."] * 50,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", pad_token="<unk>", unk_token="<unk>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def tiny_model(size: int) -> LlamaForCausalLM:
    """Make a random Llama of one layer."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def check(folder: Path) -> None:
    """Train on each config; a loss that is no number, or a config that does not load, is an error."""
    tokenizer = tiny_tokenizer()
    common = {"max_steps": 2, "use_cpu": True, "bf16": False, "report_to": [], "per_device_train_batch_size": 2}
    plain = [("plain", config) for config in ("messages", "prompt_completion", "prompt_completion_chat", "text")]
    for name, config in [*plain, ("chats", "messages"), ("plain", "openai")]:
        data = columns(load_dataset(str(folder / name), config, split="train"))
        with tempfile.TemporaryDirectory() as scratch:
            args = SFTConfig(output_dir=scratch, max_length=64, assistant_only_loss=config == "messages", **common)
            report("SFT", name, config, SFTTrainer(
                model=tiny_model(len(tokenizer)), args=args, train_dataset=data, processing_class=tokenizer
            ).train().training_loss)  # fmt: skip
    for config in ("preference", "preference_implicit", "preference_text"):
        data = columns(load_dataset(str(folder / "pairs"), config, split="train"))
        with tempfile.TemporaryDirectory() as scratch:
            args = DPOConfig(output_dir=scratch, max_length=64, **common)
            size = len(tokenizer)
            report("DPO", "pairs", config, DPOTrainer(
                model=tiny_model(size), ref_model=tiny_model(size), args=args, train_dataset=data,
                processing_class=tokenizer,
            ).train().training_loss)  # fmt: skip


def columns(data):
    """Leave out what we add to a shape, as the card's snippet does."""
    return data.remove_columns(["id", "provenance"])


def report(trainer: str, name: str, config: str, loss: float) -> None:
    """Print a line; a loss that is no finite number fails."""
    if not 0 < loss < 100:
        raise SystemExit(f"{trainer} on {name}/{config}: loss {loss}")
    print(f"{trainer} {name}/{config}: 2 steps, loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    check(Path(sys.argv[1]))

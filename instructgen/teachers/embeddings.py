"""Encoders: texts -> vectors, from a bundled static model, a function of the user's, or an endpoint.

embed = encoder("wordllama")
embed = encoder("my_models:embed")                                  # texts -> array (n, d)
embed = encoder("http://127.0.0.1:8000/v1", model="bge-small-en")   # anything OpenAI-compatible
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instructgen.errors import RecipeError, TeacherAuthError, TeacherError, TeacherRefusedError, TeacherTransportError
from instructgen.teachers.urls import HIDDEN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

BUNDLED = "wordllama"
_TEXTS_PER_REQUEST = 128
_CHARACTERS_TOGETHER = 200_000  # of texts encoded at a time by the bundled model
_RETRIES = 6
_SECONDS = 60.0


def encoder(name: str, model: str = "", key: str = "OPENAI_API_KEY") -> Callable[[Sequence[str]], Vectors]:
    """Return the function that embeds texts. Raises: RecipeError for a name that leads nowhere."""
    if name == BUNDLED:
        return _static_model()
    if name.startswith(("http://", "https://")):
        return _endpoint(name, model, key)
    module, colon, attribute = name.partition(":")
    if not colon:
        raise RecipeError(
            f'encoder is {name!r}, expected "{BUNDLED}", "module:function" or the base URL of an endpoint'
        )
    try:
        function: Callable[[Sequence[str]], Vectors] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"encoder {name!r} cannot be imported: {error}; is its folder on PYTHONPATH?") from error
    if not callable(function):
        raise RecipeError(f"encoder {name!r} is no function: expected texts -> array (n, d)")
    return lambda texts: _given(name, function, texts)


def _given(name: str, function: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> Vectors:
    """Return what a function of the user's gives for texts. Raises: RecipeError for anything but vectors."""
    import numpy as np

    try:
        vectors: Vectors = np.asarray(function(texts), np.float32)
    except Exception as error:
        raise RecipeError(f"encoder {name!r} failed on {len(texts)} texts: {type(error).__name__}: {error}") from error
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise RecipeError(f"encoder {name!r}: expected an array of shape ({len(texts)}, d), found {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise RecipeError(f"encoder {name!r}: expected numbers, found nan or infinite ones among its vectors")
    return vectors


def _static_model() -> Callable[[Sequence[str]], Vectors]:
    """Return the 256-number static model inside the `wordllama` package."""
    try:
        import wordllama
    except ImportError as error:
        raise RecipeError("encoder wordllama is not installed: pip install 'instructgen[semantic]'") from error
    # Its loader looks for the tokenizer beside the package; as a cache folder the package itself is found.
    made = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    made.tokenizer.no_padding()
    return lambda texts: _means(texts, made.tokenizer, made.embedding)


def _means(texts: Sequence[str], tokenizer: Any, of_token: Vectors) -> Vectors:
    """Return the mean of each text's token vectors, of length 1; 0 for a text without tokens.

    The model's own `embed` pads each text to the longest of 64: one text of 200,000 characters would take 12 GB.
    """
    import numpy as np

    vectors = np.zeros((len(texts), of_token.shape[1]), np.float32)
    for start, stop in _stretches(texts):
        for number, text in enumerate(tokenizer.encode_batch(list(texts[start:stop]), add_special_tokens=False), start):
            tokens, counts = np.unique(np.array(text.ids, np.int64), return_counts=True)
            total = counts.astype(np.float32) @ of_token[np.minimum(tokens, len(of_token) - 1)]
            length = np.linalg.norm(total)
            if length:
                vectors[number] = total / length
    return vectors


def _stretches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of neighbouring texts that are encoded together: few where they are long."""
    start = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size > _CHARACTERS_TOGETHER and number > start:
            yield start, number
            start, size = number, len(text)
    if start < len(texts):
        yield start, len(texts)


def _endpoint(base_url: str, model: str, key: str) -> Callable[[Sequence[str]], Vectors]:
    """Return a function that asks an OpenAI-compatible endpoint, some texts at a time; it retries what may pass."""
    if not model:
        raise RecipeError(f"encoder {base_url!r} is an endpoint: say which `model` to ask for")
    import openai

    secret = os.environ.get(key) or "unused"  # local servers want none
    client = openai.OpenAI(base_url=base_url, api_key=secret, max_retries=_RETRIES, timeout=_SECONDS)

    def embed(texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors: list[list[float]] = []
        for start in range(0, len(texts), _TEXTS_PER_REQUEST):
            some = list(texts[start : start + _TEXTS_PER_REQUEST])
            try:
                answer = client.embeddings.create(model=model, input=some, encoding_format="float")
            except openai.OpenAIError as error:
                trouble = _ours(error, f"{base_url} embeddings with {model!r}", key)
                # Servers quote keys, and the client's own error stays behind with what it holds.
                raise type(trouble)(str(trouble).replace(secret, HIDDEN)) from None
            data = sorted(answer.data or [], key=lambda one: one.index)
            if len(data) != len(some):
                raise TeacherTransportError(
                    f"{base_url} embeddings with {model!r}: {len(data)} vectors for {len(some)} texts"
                )
            vectors += [one.embedding for one in data]
        return np.array(vectors, np.float32)

    return embed


def _ours(error: Exception, what: str, key: str) -> TeacherError:
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return TeacherAuthError(f"{what}: {error}; is {key} set and valid?")
    if isinstance(error, openai.BadRequestError | openai.NotFoundError | openai.UnprocessableEntityError):
        return TeacherRefusedError(f"{what}: {error}")
    return TeacherTransportError(f"{what}: {error}")

"""Near-duplicates by meaning."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from instructgen.dedup.semantic_index import SemanticIndex
from instructgen.errors import RecipeError
from instructgen.filters import Tools
from instructgen.filters.duplicates import Duplicates


class Semantic(Duplicates):
    """Reject a sample whose compared text has an embedding too close to a kept one's.

    The default encoder is a small static model that counts words more than it understands them: good for the same
    request in other words, not for fine distinctions. Set the threshold by looking at the borderline pairs.

    Example: threshold=0.9, kept "Write a poem about rain.", new "Compose a poem about the rain."
             -> near_duplicate (score=0.93...)
    """

    reasons: ClassVar[dict[str, str]] = {
        "near_duplicate": "cosine similarity with one kept before reaches the threshold"
    }

    kind: Literal["semantic"] = "semantic"
    threshold: float = Field(
        default=0.9, gt=0, le=1, description="cosine similarity from which two texts are too close"
    )
    encoder: str = Field(
        default="wordllama",
        description='wordllama (bundled with the extra `semantic`), "module:function" of yours (texts -> array), '
        "or the base URL of an OpenAI-compatible endpoint",
    )
    model: str = Field(default="", description="for an endpoint: the embedding model's name")
    key: str = Field(default="OPENAI_API_KEY", description="for an endpoint: environment variable with the API key")

    def model_post_init(self, context: Any, /) -> None:
        """Wait for `prepare`: the encoder is lent."""
        self._index, self._ids = SemanticIndex(self._encoder_missing, self.threshold), []

    def new_index(self, tools: Tools) -> SemanticIndex:
        """Return an empty index with the encoder that the tools make. Raises: RecipeError when they make none."""
        if tools.embed is not None:
            return SemanticIndex(tools.embed, self.threshold)
        if tools.encoder is not None:
            return SemanticIndex(tools.encoder(self.encoder, self.model, self.key), self.threshold)
        raise RecipeError(f"encoder is {self.encoder!r}, but nothing here can make embeddings")

    def _encoder_missing(self, texts: Any) -> Any:
        raise RecipeError("semantic: call prepare(tools) first; the tools lend the encoder")

"""Keys, tokens and passwords in texts, by the detectors of detect-secrets (extra `safety`).

    {"instruction": "Fix my script.", "input": "key = 'AKIA...'"}   ->  secret

Only detectors of a fixed form are used; those that measure entropy call ordinary prose a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar, Literal, Self

from pydantic import PrivateAttr

from instructgen.errors import RecipeError
from instructgen.filters import Tools
from instructgen.filters.sensitive import Action, Sensitive, Span

DETECTORS = (
    "artifactory.ArtifactoryDetector",
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "jwt.JwtTokenDetector",
    "mailchimp.MailchimpDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)
FORMS = tuple(
    re.compile(rf"(?<![\w-])(?:{form})(?![\w-])")
    for form in (
        r"hf_[A-Za-z]{34}",  # Hugging Face
        r"sk-ant-[a-z]{3,8}\d\d-[\w-]{80,120}",  # Anthropic
        r"AIza[\w-]{35}",  # Google
        r"gsk_[A-Za-z0-9]{52}",  # Groq
    )
)
"""Keys of services for models that detect-secrets has no detector for, in the forms that the services hand out."""
_LONG = re.compile(r"\S{16,}|PRIVATE KEY")
"""No secret of a fixed form is shorter; most lines of prose have no word so long."""


class Secrets(Sensitive):
    """Find keys and tokens of known services.

    Example: "ghp_" and 36 letters and digits -> secret
    """

    reasons: ClassVar[dict[str, str]] = {"secret": "a key or token in the form of a known service, or a private key"}
    actions: ClassVar[dict[str, Action]] = {"secret": "drop"}

    kind: Literal["secrets"] = "secrets"
    _detectors: list[Any] = PrivateAttr(default_factory=list)

    def prepare(self, tools: Tools) -> Self:
        """Return a copy with its detectors. Raises: RecipeError when detect-secrets is not installed."""
        ready = super().prepare(tools)
        try:
            for name in DETECTORS:
                module, _, detector = name.partition(".")
                ready._detectors.append(getattr(import_module(f"detect_secrets.plugins.{module}"), detector)())
        except ImportError as error:
            raise RecipeError("filter 'secrets' needs detect-secrets: pip install 'instructgen[safety]'") from error
        return ready

    def spans(self, text: str) -> Iterator[Span]:
        """Yield each secret with the whole word that it stands in."""
        at = 0
        for line in text.splitlines(keepends=True):
            if _LONG.search(line):
                for start, end in self._in_line(line):
                    yield Span("secret", at + start, at + end)
            at += len(line)

    def _in_line(self, line: str) -> Iterator[tuple[int, int]]:
        patterns = (pattern for detector in self._detectors for pattern in detector.denylist)
        for pattern in (*patterns, *FORMS):
            for found in pattern.finditer(line):
                yield found.span()

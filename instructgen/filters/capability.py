"""Tasks that a text model cannot do: look at pictures, play sound, act in the world, know what is happening now.

{"instruction": "Send an email to my boss.", "input": "", "output": "Sent!"}   ->  needs_action
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating

_PICTURE = (
    r"(?:images?|photos?|pictures?|photographs?|paintings?|drawings?|screenshots?|portraits?|figures?|charts?|"
    r"graphs?|diagrams?|videos?|clips?|gifs?)"
)
_SOUND = (
    r"(?:audio|sound ?tracks?|recordings?|songs?|podcasts?|music|voice memos?|audio (?:clips?|files?|recordings?)|"
    r"melod(?:y|ies)|sound clips?)"
)
_FILE = r"(?:files?|spreadsheets?|pdfs?|folders?|browser|web ?site|web ?page|app|application|links?|urls?)"
_MINE = r"(?:my|me|the|a|an|this|that|our|your)"

_SHOWN = r"(?:this|these|the (?:given|following|attached|provided|above))"
LOOK = re.compile(
    rf"\b(?:look at|caption|examine|observe|annotate|label|crop|resize|retouch|photoshop|colou?ri[sz]e|"
    rf"zoom in on) {_MINE} (?:\w+ ){{0,3}}?{_PICTURE}\b|"
    rf"\b(?:describe|view|see|analy[sz]e|classify|edit|interpret|identify) (?:the|"
    rf"this) (?:\w+ )?{_PICTURE}\b(?! (?:of|by|in the style|titled|called|entitled|techniques?|styles?|"
    rf"process)\b)(?! ?[\"“‘'(])|"
    rf"\b(?:in|from|on|of|for) {_SHOWN} (?:\w+ )?{_PICTURE}\b|"
    rf"\b{_SHOWN} (?:\w+ )?{_PICTURE}\b|"
    rf"^(?:paint|sketch|photograph|film) (?:a|an|the|me|your|two|three|four|five|some)\b|"
    rf"^(?:take|snap|shoot|make|create|record|design) (?:a|an|the) (?:\w+ )?"
    rf"(?:screenshot|gif|video clip|photograph)s?\b"
    rf"(?! (?:album|collage|caption|frame|editor|competition|gallery))|^draw (?:a|an|the|me) (?!conclusion|comparison|"
    rf"distinction|line between|parallel|analogy)"
)
_NOT_TOLD = "".join(f"(?<!{words} )" for words in ("can", "could", "ways to", "how to", "like to", "love to", "people",
                                                   "when i", "when you", "while i", "while you"))  # fmt: skip
"""Words before "listen" that speak of listening: "ways that you can listen to music" needs no ears."""
LISTEN = re.compile(
    rf"^(?:convert|render|turn) .{{0,60}}\b(?:(?:in)?to (?:audio|speech|an audible)|(?:in)?to an? (?:audio|sound) )|"
    rf"\b{_NOT_TOLD}(?:listen to|transcribe) (?:{_MINE} )?(?:\w+ ){{0,2}}?{_SOUND}\b|^(?:play|record|mute|mix|"
    rf"remix) (?:{_MINE} )?(?:\w+ ){{0,2}}?{_SOUND}\b|"
    rf"\b{_SHOWN} (?:audio|recording|sound ?track|podcast|sound clip|voice memo)\b|"
    rf"^(?:hum|whistle) (?:a|me|the)\b"
)
ACT = re.compile(
    rf"^(?:please |can you |could you )?(?:"
    rf"send (?:{_MINE} )?(?:\w+ )?(?:e-?mails?|messages?|texts?|sms|tweets?)|"
    rf"(?:open|launch|download|upload|save|delete|print|scan) {_MINE} (?:\w+ ){{0,2}}?{_FILE}|"
    rf"(?:set(?: up)?|schedule) (?:{_MINE} )?(?:\w+ )?(?:alarm|reminder|timer)|"
    rf"(?:book|order|buy|purchase|reserve) {_MINE} (?:\w+ ){{0,2}}?(?:flight|hotel|room|ticket|taxi|cab|pizza|table|"
    rf"meal|car)s?|"
    rf"(?:turn|switch) (?:on|off) |connect to (?:{_MINE} )?(?:wi-?fi|network|internet)|google |"
    rf"search (?:online|the web|the internet)\b|(?:phone|dial) (?:my|the|a) |"
    rf"(?:visit|browse|go to|search) (?:the )?(?:following |given )?(?:web ?sites?|web|internet|urls?|links?|google)\b)"
)
_FEED = (
    r"(?:weather|temperature|stock prices?|share prices?|exchange rates?|news|headlines?|forecast|scores?|traffic|"
    r"time in|(?:\w+ )?price of (?:bitcoin|gold|oil|ethereum))"
)
LIVE = re.compile(
    rf"^(?:please |can you |could you )?(?:what(?:'s| is| are| will be| was)?|find(?: out)?|get|tell me|tell|provide|"
    rf"give|summari[sz]e|report|check|predict|describe|search(?: for)?|fetch|determine|"
    rf"look up|retrieve|show|list|do some research and summari[sz]e|research|how is|how would you describe)\b(?: me|"
    rf" about)*(?: the| on)* "
    rf"(?:(?:current|today'?s|latest|live|real[- ]time|up[- ]to[- ]date|this week'?s|"
    rf"tomorrow'?s) (?:\w+ ){{0,2}}?{_FEED}\b|"
    rf"(?:weather|temperature)(?: like| forecast)?(?: be)?(?: for| in(?: \w+){{1,3}})? (?:today|tomorrow|right now|"
    rf"now|this week)\b)|"
    rf"^what time is it\b|^what (?:day|date) is (?:it )?today\b|^what is (?:today's date|the date today)\b"
)
_SUPPOSED = re.compile(
    r"\bif\b|\b(?:dialogue|conversation|story|tweet|poem|program|code|function|script|fictional|imaginary|phrase|"
    r"sentence|instruction|translate|title)\b"
)
"""Words of tasks that only talk about such a request."""
_CUES = {
    "needs_image": (
        "image",
        "photo",
        "picture",
        "paint",
        "draw",
        "screenshot",
        "portrait",
        "figure",
        "chart",
        "graph",
        "diagram",
        "video",
        "clip",
        "gif",
        "sketch",
        "plot",
        "film",
    ),
    "needs_audio": (
        "audio",
        "sound",
        "record",
        "song",
        "podcast",
        "music",
        "voice",
        "melod",
        "speech",
        "audible",
        "sing",
        "hum",
        "whistle",
    ),
    "needs_action": (
        "send",
        "open",
        "launch",
        "download",
        "upload",
        "save",
        "delete",
        "print",
        "scan",
        "set",
        "schedule",
        "book",
        "order",
        "buy",
        "purchase",
        "reserve",
        "turn",
        "switch",
        "call",
        "phone",
        "dial",
        "visit",
        "browse",
        "go to",
        "connect",
        "google",
        "search",
    ),
    "needs_live_data": (
        "current",
        "today",
        "latest",
        "live",
        "real",
        "up-to-date",
        "up to date",
        "this week",
        "tomorrow",
        "what time",
        "weather",
        "temperature",
    ),
}
"""What a case-folded instruction must hold for its pattern to be tried: substrings are cheaper."""
_PATTERNS = {"needs_image": LOOK, "needs_audio": LISTEN, "needs_action": ACT, "needs_live_data": LIVE}
_IMAGE_REFERENCE = re.compile(
    r"!\[[^\]]{0,500}\](?:\([^)]{0,2000}\))?|<img\b|\[[^\]]{0,30}\b(?:image|photo|photograph|picture|painting|audio|"
    r"video)\b[^\]]{0,12}\]|(?<!\S)\S+\.(?:jpe?g|png|gif|bmp|svg|webp|tiff?|mp[34]|wav|ogg|avi|mov)\b|"
    r"https?://\S+|<(?:image|photo|picture|audio|video|insert)[^>]{0,40}>",
    re.IGNORECASE,
)


class Capability(RatedFilter):
    """Reject tasks that need eyes, ears, hands or a clock, which a text model has not.

    A picture or recording described in the input in words is fine; a sample with media references is not looked at.
    Example: instruction="What is in this picture?" -> needs_image
    """

    reasons: ClassVar[dict[str, str]] = {
        "needs_image": "the task needs pictures or video to be seen or made",
        "needs_audio": "the task needs sound to be heard or made",
        "needs_action": "the task asks for an act in the world: send, open, book, switch on",
        "needs_live_data": "the task asks for what only a clock, a sensor or a feed can tell",
    }
    ratings: ClassVar[dict[str, Rating]] = {}

    kind: Literal["capability"] = "capability"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield the capabilities that the instruction asks for in vain."""
        text = exchange.instruction.casefold()
        material = exchange.input.strip()
        for reason, cues in _CUES.items():
            if not any(cue in text for cue in cues):
                continue
            found = _PATTERNS[reason].search(text)
            if reason == "needs_live_data" and _SUPPOSED.search(text):
                continue
            if found and _is_absent(material):
                yield reason, {"words": found.group(0).strip()}


def _is_absent(material: str) -> bool:
    """Tell whether the input stands for a medium without putting it into words."""
    if not material:
        return True
    return len(_IMAGE_REFERENCE.sub("", material).split()) < 4 and bool(_IMAGE_REFERENCE.search(material))

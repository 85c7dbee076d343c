"""Tasks that a text model cannot do: look at pictures, play sound, act in the world, know what is happening now.

{"instruction": "Send an email to my boss.", "input": "", "output": "Sent!"}   ->  needs_action
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating

_PICTURE = (
    r"(?:images?|photos?|pictures?|photographs?|paintings?|drawings?|screenshots?|portraits?|charts?|"
    r"graphs?|diagrams?|videos?|clips?|gifs?|(?<!historical )(?<!public )(?<!sales )figures?)"
)
_OTHER = (
    r"(?! (?:of speech|albums?|algorithms?|apps?|art|artists?|books?|business|captions?|class(?:es)?|collages?|"
    r"compan(?:y|ies)|competitions?|courses?|descriptions?|editing|editors?|essays?|frames?|galler(?:y|ies)|games?|industry|lessons?|"
    r"markets?|platforms?|process|processing|releases?|rooms?|scripts?|shoots?|software|stores?|studios?|styles?|"
    r"techniques?|theory|titles?|toppers?|traversals?)\b)"
)
"""After a word for a picture: what makes it another thing, as in "this video game"."""
_SOUND = (
    r"(?:audio|sound ?tracks?|recordings?|songs?|podcasts?|music|voice memos?|audio (?:clips?|files?|recordings?)|"
    r"melod(?:y|ies)|sound clips?)(?! (?:critics?|fans?|festivals?|hosts?|industry|journalists?|lyrics|producers?|"
    r"reviews?|scripts?|stores?|students?|teachers?|theory|titles?|videos?)\b)"
)
_FILE = r"(?:files?|spreadsheets?|pdfs?|folders?|browser|web ?site|web ?page|app|application|links?|urls?)"
_MINE = r"(?:my|me|the|a|an|this|that|our|your)"
_ASKED = r"^(?:please |can you |could you )?"

_GIVEN = r"the (?:given|following|attached|provided|above)"
_SHOWN = rf"(?P<this>this|these)|{_GIVEN}"
_ENDS = (
    r"(?= ?(?:$|[.?!,;]| (?:above|attached|below|i (?:gave|sent|shared)|on the wall|provided|shown|using|with|you see|"
    r"that you see|as either|for me|to me|and (?:its|describe|explain|give|identify|list|name|provide|say|state|tell|"
    r"write)|in (?:the (?:attachment|following|given|image|input|link|photo|picture)|at least|detail|fewer|just|less|"
    r"no more|under|words|your own|(?:a few|one|two|three|four|five|\d+) (?:\w+ )?(?:words?|sentences?|adjectives?|"
    r"lines?)))\b))"
)
"""After "describe the painting": what no name of a picture is. "Describe the painting Guernica" can be answered."""
_SEEN = r"(?:images?|photos?|pictures?|photographs?|screenshots?|paintings?|gifs?|charts?|graphs?|diagrams?|figures?)"
_DRAWN = (
    r"(?:illustrations?|logos?|stick figures?|doodles?|cartoons?|silhouettes?|self-portraits?|(?:floor|ground) ?plans?|"
    r"layouts? of (?:a|an|the|my|your) (?:\w+ )?(?:apartment|building|garden|house|kitchen|room)|drawings?|"
    r"circles?|squares?|triangles?|rectangles?|hexagons?|cats?|dogs?|birds?|horses?|trees?|flowers?|faces?|houses?|"
    r"sunsets?|still life|graph of|curve of)"
)
"""What only a drawing shows; "the argument", "the outline of a talk" and "a vivid picture of" are sketched in words."""
LOOK = re.compile(
    rf"{_ASKED}(?:annotate|label|crop|resize|retouch|photoshop|colou?ri[sz]e|zoom in on) {_MINE} "
    rf"(?:(?!of |in |for |on |and |to |from |with |about )\w+ ){{0,3}}?{_PICTURE}\b{_OTHER}|"
    rf"{_ASKED}(?:look at|caption|examine|observe|describe|view|see|analy[sz]e|classify|edit|interpret|identify) the "
    rf"{_PICTURE}\b{_ENDS}|"
    rf"\b(?:{_SHOWN}) (?:\w+ )?{_PICTURE}\b{_OTHER}|"
    rf"{_ASKED}(?:identify|count|name|describe|list|what (?:is|are|do you see)|who|how many|find|classify|detect|"
    rf"locate|recogni[sz]e|guess|summari[sz]e|write a (?:sentence|description)|is|are|did|does)\b.{{0,80}} "
    rf"(?:in|from|of) the {_SEEN}(?=\W*$|[.?!,;]| (?:in|using) (?:one|two|three|\d+)\b)|"
    rf"^given an? {_SEEN},|\b(?:the|a) (?:\w+ )?{_PICTURE} (?:(?:shown|below|above|attached|provided)(?=\W*$|[.,;])|"
    rf"in the (?:attachment|link)\b)|"
    rf"^(?:photograph|film) (?:a|an|the|me|your|two|three|four|five|some)\b|"
    rf"^(?:draw|sketch|paint) (?:me )?(?:a|an|the|two|three|four|five|some) (?:[\w'-]+ ){{0,2}}?{_DRAWN}\b|"
    rf"^draw (?:me )?(?:a|an|the) (?:[\w'-]+ ){{0,2}}?{_PICTURE}\b{_OTHER}|"
    rf"^(?:take|snap|shoot|make|create|record|design) (?:a|an|the) (?:\w+ )?"
    rf"(?:screenshot|gif|video clip|photograph)s?\b{_OTHER}"
)
LISTEN = re.compile(
    rf"^(?:convert|render|turn) .{{0,60}}\b(?:(?:in)?to (?:audio|speech|an audible)\b(?! ?bubble)|(?:in)?to an? "
    rf"(?:audio|sound) (?:clip|file|recording|track|version))|"
    rf"^(?:please )?(?:listen to|transcribe) (?:{_MINE} )?(?:\w+ ){{0,2}}?{_SOUND}\b|"
    rf"\b(?:listen to|transcribe) (?:{_SHOWN}) (?:\w+ ){{0,2}}?{_SOUND}\b|"
    rf"^(?:can|could) you (?:listen to|transcribe) (?:the|my|our) (?:\w+ ){{0,2}}?{_SOUND}\b|"
    rf"^(?:play|record|mute|mix|remix) (?:{_MINE} )?(?:\w+ ){{0,2}}?{_SOUND}\b|"
    rf"\b(?:{_SHOWN.replace('this>', 'that>')}) (?:audio|recording|sound ?track|podcast|sound clip|voice memo)\b|"
    rf"^(?:hum|whistle) (?:a|me|the)\b"
)
_IN_TEXT = re.compile(
    r"\b(?:ascii|svg|tikz|latex|mermaid|graphviz|matplotlib|turtle|html|css|code|python|java|javascript|sql|bash|linux|"
    r"shell|terminal|command|script|program|function|excel|dialogue|story|poem|in words|in prose)\b"
)
"""What a text model writes in place of a drawing or an act."""
_TOLD = re.compile(
    rf"\b(?:imagine|suppose|if|an?|of)\b[^.]{{0,60}}\b{_PICTURE}\b{_OTHER}|\bpodcast\b|\bpaint(?:ed|s)\b", re.IGNORECASE
)
_NAMED = re.compile(r"(?<=[a-z,] )(?:the )?[A-Z][a-z]+|[\"“]")
"""Before "this painting": the painting that is meant, told or named."""
_QUOTED = re.compile(r"\"[^\"]{0,500}\"|“[^”]{0,500}”|(?<!\w)'[^']{0,200}'(?!\w)")
ACT = re.compile(
    rf"^(?:please |can you |could you )?(?:"
    rf"send (?:{_MINE} )?(?:\w+ )?(?:e-?mails?|messages?|texts?|sms|tweets?)|"
    rf"(?:open|launch|download|upload|save|delete|print|scan) {_MINE} (?:\w+ ){{0,2}}?{_FILE}|"
    rf"(?:set(?: up)?|schedule) (?:{_MINE} )?(?:\w+ )?(?:alarm|reminder|timer)|"
    rf"(?:book|order|buy|purchase|reserve) {_MINE} (?:\w+ ){{0,2}}?(?:flight|hotel|room|ticket|taxi|cab|pizza|table|"
    rf"meal|car)s?|"
    rf"(?:turn|switch) (?:on|off) |connect to (?:{_MINE} )?(?:wi-?fi|network|internet)|"
    rf"google (?:for|how|the|what|who) |search (?:online|the web|the internet)\b|(?:phone|dial) (?:my|the|a) |"
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
            if reason == "needs_live_data" and _SUPPOSED.search(text):
                continue
            if reason in ("needs_image", "needs_action") and _IN_TEXT.search(text):
                continue
            for found in _PATTERNS[reason].finditer(_unquoted(text)):
                told = reason in ("needs_image", "needs_audio") and _is_told(exchange.instruction, found)
                if _is_absent(material) and not told:
                    yield reason, {"words": found.group(0).strip()}
                    break


def _unquoted(text: str) -> str:
    """Blank what stands in quotation marks: "look at this photo" may be a line to translate."""
    return _QUOTED.sub(lambda quoted: "q" * len(quoted.group(0)), text)


def _is_told(instruction: str, found: re.Match[str]) -> bool:
    """Tell whether the instruction itself puts the medium into words, behind a colon, or names it before "this"."""
    colon = re.search(r"[:\n]\s*", instruction[found.end() :])
    if colon and not _is_absent(instruction[found.end() + colon.end() :].strip()):
        return True
    said = found.groupdict()
    before = instruction[: found.start()]
    return bool((said.get("this") or said.get("that")) and (_TOLD.search(before) or _NAMED.search(before)))


def _is_absent(material: str) -> bool:
    """Tell whether the input stands for a medium without putting it into words."""
    if not material:
        return True
    return len(_IMAGE_REFERENCE.sub("", material).split()) < 4 and bool(_IMAGE_REFERENCE.search(material))

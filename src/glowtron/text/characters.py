"""Characters: whatever Unicode holds becomes ASCII, plus the few signs (`KEPT`) that later rules read.

Foreign scripts are transliterated by `anyascii` (ISC); quotes, dashes and spaces become their plain forms; emoji,
emoticons, drawings, control and invisible characters go.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata

from anyascii import anyascii

from glowtron.text.tracing import substitute

CURRENCY_SIGNS = "$£€¥¢₹₽₩₺₪₫₴₿₦₱฿₡₲₵₸₾₼₭₮៛৳"
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
HELD = "\ue000"
"""Stands for one `{ARPAbet}` while the rules run; private, so `plain` removes it from what the user wrote."""
KEPT = frozenset(CURRENCY_SIGNS + SUPERSCRIPTS + "°×")

_REPLACED = {
    **dict.fromkeys("‘’‚‛ʼʻ′´`", "'"),
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‹›︵︶", ""),
    **dict.fromkeys("‐‑−﹣－", "-"),
    **dict.fromkeys("–‒", "–"),  # A dash between figures is "to", between words a pause: ranges decide.
    **dict.fromkeys("—―⸺⸻", " -- "),
    **dict.fromkeys("…⋯", "..."),
    **dict.fromkeys("•‣◦▪●○■□·∙", " "),
    **dict.fromkeys("©®™℠†‡¦|¬", " "),
    **dict.fromkeys("。．｡", ". "),
    **dict.fromkeys("，、､", ", "),
    **dict.fromkeys("！", "! "),
    **dict.fromkeys("？", "? "),
    "：": ": ",
    "；": "; ",
    "¿": "",
    "¡": "",
    "№": " No. ",
    "§": " section ",
    "円": " yen ",
    "¶": " paragraph ",
    "÷": " divided by ",
    "±": " plus or minus ",
    "≈": " about ",
    "≠": " is not equal to ",
    "≤": " at most ",
    "≥": " at least ",
    "∛": " cube root of ",
    "∈": " in ",
    "∉": " not in ",
    "∪": " union ",
    "∩": " intersection ",
    "⊂": " a subset of ",
    "⊆": " a subset of ",
    "∀": " for all ",
    "∃": " there exists ",
    "∑": " sum of ",
    "∏": " product of ",
    "∫": " integral of ",
    "∝": " proportional to ",
    "∴": " therefore ",
    "∠": " angle ",
    "∞": " infinity ",
    "√": " square root of ",
    "‰": " per mille ",
    "µ": "u",
    "μ": "u",
    "Ω": " ohm ",
    "⁄": "/",
    "℃": "°C",
    "℉": "°F",
    "\t": " ",
    "\v": "\n",
    "\f": "\n",
    "\r": "\n",
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
}

# :-) ;) :D :-P =( xD <3. Letters before the eyes mean a list's colon: "(as follows:)".
_EMOTICON = re.compile(
    r"(?<![\w)])(?:[:;=][-'^]?[()DPp|\\*]"
    # Adobe XD is a program.
    r"|(?<!\bAdobe )(?<!\b[Tt]he )(?<!\b[Ii]n )(?<!\bof )(?<!\busing )[xX]D+|<3)(?!\w)"
)
_SHRUG = re.compile(r"¯?\\_\([^\s()]{1,3}\)_/¯?")
# (╯°□°) and (^_^): in brackets neither a word nor a figure, but two signs that no text has there.
_FACE = re.compile(r"\((?![^()\n]*(?:[^\W\d_]{2}|[0-9\ue000]))(?:[^()\n]*[^\w\s()!-~“”‘’–—…$£€¥]){2}[^()\n]*\)")
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_GREEK_WORD = re.compile(f"[{_GREEK}]{{2}}")
# µ and Ω before or after other letters or figures are units.
_GREEK_LETTER = re.compile(r"[\u0391-\u03a8\u03b1-\u03bb\u03bd-\u03c9]|μ(?!\w)")
_OMEGA = re.compile(f"(?<=[{_GREEK}])Ω|Ω(?=[{_GREEK}])")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
# A tag of HTML or SSML: closing, self-closing, with attributes, or of a known name; a comment.
_TAG = re.compile(
    r"</[A-Za-z][\w:-]{0,30}\s?>|<[A-Za-z][\w:-]{0,30}(?:\s[^<>\ue000]{0,200})?/>"
    r"|<[A-Za-z][\w:-]{0,30}(?:\s+[\w:-]{1,30}\s?=\s?(?:\"[^<>\"\ue000]{0,200}\"|'[^<>'\ue000]{0,200}'|[^\s<>\"'\ue000]{1,60}))+\s?>"
    r"|<(?:a|b|i|u|s|p|q|br|hr|em|li|ul|ol|dl|dt|dd|tt|td|tr|th|h[1-6]|div|span|code|pre|sub|sup|strong|small|big|del|ins"
    r"|kbd|var|samp|cite|mark|abbr|nav|main|body|html|head|title|table|tbody|thead|section|article|header|footer|aside"
    r"|figure|figcaption|blockquote|center|font|img|label|button|form|summary|details|speak|voice|prosody|emphasis|break"
    r"|say-as|phoneme|audio|lang|par|seq|w)\s{0,9}>"
    r"|<!--(?:(?!-->)[^\ue000]){0,2000}-->|<[!?][A-Za-z][^<>\ue000]{0,200}>",
    re.IGNORECASE,
)
_HIGHLIGHT = re.compile(r"(?<![\w=])==(?=[^\s=])([^=\n\ue000]{1,400})(?<=[^\s=])==(?![\w=])")
_LINK = re.compile(r"!?\[([^][\n\ue000]{1,200})\]\((?:https?://|www\.|/|#)[^\s()\ue000]{0,300}\)")
_THIN_SPACE = re.compile("(?<=[0-9])[\u00a0\u2007\u2009\u202f](?=[0-9]{3}(?![0-9]))")
# From one place to another, or what a variable goes to; other arrows only part.
_ARROW = re.compile(r"(?<=\w)→(?=\w)|(?<=[a-z])[ ]→[ ](?=[0-9∞-])")
_SECTIONS = re.compile("§{2,}")
_SOFT_BREAK = re.compile("\u00ad\\s*\n\\s*")
_DRAWN = re.compile(r"[/\\_|<>^~=*#+@`]")
_WORD = re.compile(r"[^\W_]{2}|[0-9]")
_OTHER = re.compile(r"[^ -~\n]")
_LINE = re.compile(r"[^\n]*")
_SIGN_RUN = re.compile(r"([*#_=~^+<>/\\|@-])\1{3,}")


def plain(text: str) -> str:
    """`text` in ASCII and KEPT signs, lines kept, everything unspeakable gone."""
    text = substitute(_SHRUG, " ", text, "\\")
    if "==" in text:
        text = substitute(_HIGHLIGHT, r"\1", text)
    if "](" in text:
        text = substitute(_LINK, r"\1", text)
    if "&" in text:
        text = substitute(_ENTITY, lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = substitute(_TAG, " ", text)
    if not text.isascii() or not text.isprintable():
        text = substitute(_FACE, " ", text, "(")
        text = substitute(_SECTIONS, " sections ", text, "§")
        text = substitute(_THIN_SPACE, ",", text)  # The thousands of 10 000.
        text = substitute(_SOFT_BREAK, "", text, "\u00ad")
        # Alone, Ω is an ohm and the others are letters' names.
        text = (
            substitute(_OMEGA, "O", text) if _GREEK_WORD.search(text) else substitute(_GREEK_LETTER, _letter_name, text)
        )
        text = substitute(_ARROW, " to ", text, "→")
        text = substitute(_OTHER, lambda match: _plain(match[0]), text)
    if "\n" in text:
        text = _without_drawings(text)
    text = substitute(_EMOTICON, " ", text, ":;=D<")
    return substitute(_SIGN_RUN, " ", text, "*#_=~^+<>/\\|@-")


def _letter_name(match: re.Match[str]) -> str:
    name = unicodedata.name(match[0], " ").split(" ")[-1].lower()  # GREEK SMALL LETTER ALPHA; \u03a2 has no name.
    return f" {'lambda' if name == 'lamda' else name} "


@functools.lru_cache(maxsize=8192)
def _plain(character: str) -> str:
    if " " <= character <= "~" or character == "\n":
        return character
    if character in _REPLACED:
        return _REPLACED[character]
    if character in KEPT or character == HELD:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Zs"):
        return " "
    if category[0] == "C":  # Zero-width, private, unassigned, half of a pair.
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    composed = unicodedata.normalize("NFKC", character)
    if "⁄" in composed:  # ½, which "3½" must not glue to its 3.
        return " " + composed.replace("⁄", "/")
    if category in ("So", "Sk", "Sm"):
        # ① and ㎏ have plain forms; all other pictures are silent.
        return f" {composed} " if composed.isascii() and composed.strip().isalnum() else " "
    letters = anyascii(composed)
    if letters.startswith(":") and letters.endswith(":"):
        return " "
    # Syllables of Chinese stand apart; glued, a sentence would be one word.
    return f" {letters.lower()} " if "\u3400" <= character <= "\u9fff" else letters


def _without_drawings(text: str) -> str:
    """`text` but for blocks of two and more lines that draw rather than say: no words, many strokes."""
    drawn = [False, *map(_draws, text.split("\n")), False]
    lines = iter(zip(drawn, drawn[1:], drawn[2:], strict=False))

    def kept(line: re.Match[str]) -> str:
        if line.start() and text[line.start() - 1] != "\n":  # The empty match at a line's end.
            return line[0]
        above, here, below = next(lines)
        return "" if here and (above or below) else line[0]

    return substitute(_LINE, kept, text)


def _draws(line: str) -> bool:
    if _WORD.search(line) or HELD in line:
        return False
    signs = [character for character in line if not character.isspace()]
    # "( o.o )" is a face, "(a)" an entry of a list.
    spread = len(signs) > 3 and " " in line.strip() and 2 * sum(map(str.isalnum, signs)) < len(signs)
    return spread or _DRAWN.search(line) is not None

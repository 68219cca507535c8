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

CURRENCY_SIGNS = "$£€¥¢₹₽₩₺₪₫₴₿"
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
_EMOTICON = re.compile(r"(?<![\w)])(?:[:;=][-'^]?[()DPp|\\*]|[xX]D+|<3)(?!\w)")
_SHRUG = re.compile(r"¯?\\_\([^\s()]{1,3}\)_/¯?")
# (╯°□°) and (^_^): in brackets neither a word nor a figure, but two signs that no text has there.
_FACE = re.compile(r"\((?![^()\n]*(?:[^\W\d_]{2}|[0-9]))(?:[^()\n]*[^\w\s()!-~“”‘’–—…$£€¥]){2}[^()\n]*\)")
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_GREEK_WORD = re.compile(f"[{_GREEK}]{{2}}")
# µ and Ω before or after other letters or figures are units.
_GREEK_LETTER = re.compile(r"[\u0391-\u03a8\u03b1-\u03bb\u03bd-\u03c9]|μ(?!\w)")
_OMEGA = re.compile(f"(?<=[{_GREEK}])Ω|Ω(?=[{_GREEK}])")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|br|hr|em|li|ul|ol|tt|td|tr|th|h[1-6]|div|span|code|pre|sub|sup|strong|small)(?:\s[^<>]{0,200})?/?>"
)
_DRAWN = re.compile(r"[/\\_|<>^~=*#+@`]")
_WORD = re.compile(r"[^\W_]{2}|[0-9]")
_SIGN_RUN = re.compile(r"([*#_=~^+<>/\\|@-])\1{3,}")


def plain(text: str) -> str:
    """`text` in ASCII and KEPT signs, lines kept, everything unspeakable gone."""
    text = _SHRUG.sub(" ", text)
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if not text.isascii() or not text.isprintable():
        text = _FACE.sub(" ", text)
        # Alone, Ω is an ohm and the others are letters' names.
        text = _OMEGA.sub("O", text) if _GREEK_WORD.search(text) else _GREEK_LETTER.sub(_letter_name, text)
        text = "".join([_plain(character) for character in text])
    if "\n" in text:
        text = "\n".join(_without_drawings(text.split("\n")))
    text = _EMOTICON.sub(" ", text)
    return _SIGN_RUN.sub(" ", text)


def _letter_name(match: re.Match[str]) -> str:
    name = unicodedata.name(match[0]).split()[-1].lower()  # GREEK SMALL LETTER ALPHA
    return f" {'lambda' if name == 'lamda' else name} "


@functools.lru_cache(maxsize=8192)
def _plain(character: str) -> str:
    if " " <= character <= "~" or character == "\n":
        return character
    if character in _REPLACED:
        return _REPLACED[character]
    if character in KEPT:
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


def _without_drawings(lines: list[str]) -> list[str]:
    """Lines but for blocks of two and more that draw rather than say: no words, many strokes."""
    drawn = [_draws(line) for line in lines]
    kept = []
    for i, line in enumerate(lines):
        beside = (i > 0 and drawn[i - 1]) or (i + 1 < len(lines) and drawn[i + 1])
        kept.append("" if drawn[i] and beside else line)
    return kept


def _draws(line: str) -> bool:
    if _WORD.search(line):
        return False
    signs = [character for character in line if not character.isspace()]
    # "( o.o )" is a face, "(a)" an entry of a list.
    spread = len(signs) > 3 and " " in line.strip() and 2 * sum(map(str.isalnum, signs)) < len(signs)
    return spread or _DRAWN.search(line) is not None

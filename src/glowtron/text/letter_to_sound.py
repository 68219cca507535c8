"""Words that no dictionary has, read letter by letter."""

# ruff: noqa: SIM905 (a list of words reads better as text)
from __future__ import annotations

from glowtron.text.lexicon import Phones

_LETTER_NAMES = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "EY1|B IY1|S IY1|D IY1|IY1|EH1 F|JH IY1|EY1 CH|AY1|JH EY1|K EY1|EH1 L|EH1 M|EH1 N|OW1|P IY1|K Y UW1|AA1 R|"
        "EH1 S|T IY1|Y UW1|V IY1|D AH1 B AH0 L Y UW0|EH1 K S|W AY1|Z IY1".split("|"),
        strict=True,
    )
)
_RULES = dict(
    pair.split(":")
    for pair in (
        "tch:CH|sch:SH|ough:OW0|igh:AY0|ch:CH|sh:SH|th:TH|ph:F|wh:W|ck:K|ng:NG|qu:K W|gh:G|ee:IY0|ea:IY0|oo:UW0|ou:AW0|"
        "ow:OW0|ai:EY0|ay:EY0|oa:OW0|oi:OY0|oy:OY0|au:AO0|aw:AO0|ei:EY0|ey:IY0|ie:IY0|er:ER0|ir:ER0|ur:ER0|ar:AA0 R|"
        "or:AO0 R|a:AE0|b:B|c:K|d:D|e:EH0|f:F|g:G|h:HH|i:IH0|j:JH|k:K|l:L|m:M|n:N|o:AA0|p:P|q:K|r:R|s:S|t:T|u:AH0|v:V|"
        "w:W|x:K S|y:IY0|z:Z"
    ).split("|")
)


class LetterToSound:
    """Reads unknown words."""

    def read(self, word: str) -> Phones:
        """Phones of a word of lower-case letters; a word without a vowel letter is spelt out."""
        letters = "".join(c for c in word if "a" <= c <= "z")
        assert letters, f"no letters in {word!r}"
        if not set(letters) & set("aeiouy"):
            return tuple(phone for letter in letters for phone in _LETTER_NAMES[letter].split())
        phones: list[str] = []
        i = 0
        while i < len(letters):
            size = next(n for n in (4, 3, 2, 1) if letters[i : i + n] in _RULES)
            if i == 0 or letters[i] != letters[i - 1] or letters[i] in "aeiou":
                phones += _RULES[letters[i : i + size]].split()
            i += size
        first = next((i for i, phone in enumerate(phones) if phone[-1] == "0"), 0)
        return tuple(phone.replace("0", "1") if i == first else phone for i, phone in enumerate(phones))

"""Fuzz the text rules: `python scripts/fuzz_text.py [SECONDS]`, in an environment with atheris (coverage-guided).

Whatever text comes, `english.explain` and the phones of its words give an answer or an InputError, leave no figure
outside braces, and take time in proportion. What fails is written to `crash-*` in the folder it runs in.
"""

from __future__ import annotations

import re
import sys
import time

import atheris

with atheris.instrument_imports(include=["glowtron.text"]):
    from glowtron.config import TextConfig
    from glowtron.errors import InputError
    from glowtron.text import english
    from glowtron.text.frontend import make_frontend

FIGURE = re.compile(r"[0-9](?![^{]*\})")
SIGNS = "0123456789 .,:;/-–'\"$£€%°()[]{}#&@+*=<>~^_|\\²³½×ABCIVXMNSTabcdehkmnprst\n"
PIECES = (
    *("$1.2m ", "5'11\" ", "10:30 pm ", "5/11/2020 ", "Jan. 15, ", "St. ", "Dr. ", "No. 5 ", "Gen 1:1-3 ", "1. e4 e5 "),
    *("401(k) ", "U.S. ", "NW of ", "4x100 m ", "{HH AH0} ", "{X} ", "http://a.b/c?d=1 ", "a@b.co ", "3 1/2 in. "),
    *(
        "1980s ",
        "IV ",
        "Henry VIII ",
        "£3 10s. 6d. ",
        "20°C ",
        "x² ",
        "[12] ",
        "555-1234 ",
        "SARS-CoV-2 ",
        "<b>",
        "#tag ",
        "foo[3] ",
        "(Kane 12', ",
        "|x| < ",
        "x**2 ",
        "SO4^2- ",
        "c. 1200 ",
        "(b. 12 May 1920, ",
        "dep. 08:15 ",
        "9th Cir. 1997) ",
        "Fed. R. Civ. P. 12",
        "gr8 c u ",
        "INV-2024-0091 ",
        "WrestleMania XL ",
        "EUR/USD ",
        "sin(3) ",
        "x10^9/L ",
    ),
)
FRONTEND = make_frontend(TextConfig(frontend="english", phonemes=True))


def make_text(data: bytes) -> str:
    """Some text: pieces that rules know, signs that they look for, and any characters."""
    provider = atheris.FuzzedDataProvider(data)
    parts = []
    while provider.remaining_bytes() > 1 and len(parts) < 60:
        match provider.ConsumeIntInRange(0, 4):
            case 0:
                parts.append(provider.ConsumeUnicodeNoSurrogates(provider.ConsumeIntInRange(1, 8)))
            case 1 | 2:
                parts.append(PIECES[provider.ConsumeIntInRange(0, len(PIECES) - 1)])
            case _:
                parts += [SIGNS[provider.ConsumeIntInRange(0, len(SIGNS) - 1)] for _ in range(4)]
    return "".join(parts)


def check(data: bytes) -> None:
    """Raise for a text that breaks a rule."""
    text = make_text(data)
    started = time.process_time()
    try:
        found = english.explain(text)
        assert not FIGURE.search(found.text), f"a figure is left: {found.text!r} of {text!r}"
        assert all(0 <= start <= end <= len(text) for start, end in found.spans), f"spans of {text!r}"
        FRONTEND.ids(text)
    except InputError:
        pass
    taken_s = time.process_time() - started
    assert taken_s < 1 + len(text) / 500, f"{taken_s:.1f} s for {len(text)} characters: {text!r}"


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=400", "-print_final_stats=1"], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""SSML: what it asks for, and how it is refused."""

import time
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.config import ProsodyOptions
from glowtron.config.synthesis import LIMITS
from glowtron.errors import InputError
from glowtron.text import ssml
from glowtron.text.frontend import EnglishFrontend, MarkedText
from glowtron.text.ipa import ipa_to_arpabet
from glowtron.text.phonemes import Phonemizer
from glowtron.text.say_as import say_as
from glowtron.text.ssml import parse_ssml
from glowtron.text.symbols import PHONES


def parse(inside: str) -> MarkedText:
    return parse_ssml(f"<speak>{inside}</speak>", ("lj", "kathleen"))


def texts(inside: str) -> list[str]:
    return [passage.text for passage in parse(inside).passages]


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Co")), max_size=60))
def test_text_without_markup_is_the_text(text):
    marked = parse(escape(text))
    assert marked.text.split() == text.split()
    assert all(not passage.spans and passage.speaker is None for passage in marked.passages)


def test_a_break_is_as_long_as_it_says_in_place_of_what_would_be_there():
    one, two, three = parse("One.<break time='250ms'/><break time='1.5s'/> Two<break strength='weak'/> three").passages
    assert (one.pause_s, two.pause_s, three.pause_s) == (1.75, 0.25, 0.0)
    assert (one.text, two.text, three.text) == ("One.", "Two,", "three")  # The voice holds on where it is cut.
    first, last = parse("<break time='2s'/>One <break time='1s'/><break strength='none'/>").passages[0], None
    assert (first.before_s, first.pause_s, last) == (2.0, 1.0, None)
    assert texts("One <break strength='none'/>two") == ["One two"]


def test_paragraphs_and_sentences_end_where_they_say():
    passages = parse("<p><s>One two</s> <s>three</s></p>\n  <p>four</p>").passages
    assert [(passage.text, passage.ending) for passage in passages] == [
        ("One two", "sentence"),
        ("three", "paragraph"),
        ("four", "paragraph"),
    ]


def test_prosody_is_of_its_span_and_multiplies_inside_another():
    marked = parse("a <prosody rate='80%' pitch='+2st'>b <prosody rate='1.25' range='50%'>c</prosody></prosody> d")
    (passage,) = marked.passages
    assert passage.text == "a b c d"
    (b, c) = passage.spans
    assert passage.text[b.start : b.end].strip() == "b"
    assert b.prosody == ProsodyOptions(rate=0.8, pitch=2.0)
    assert passage.text[c.start : c.end] == "c"
    assert c.prosody == ProsodyOptions(rate=1.0, pitch=2.0, pitch_range=0.5)


@pytest.mark.parametrize(
    ("attribute", "name", "value"),
    [
        ("rate='+20%'", "rate", 1.2),
        ("rate='-10%'", "rate", 0.9),
        ("rate='120%'", "rate", 1.2),
        ("rate='1.2'", "rate", 1.2),
        ("rate='x-slow'", "rate", 0.7),
        ("pitch='-50%'", "pitch", -12.0),
        ("pitch='+100%'", "pitch", 12.0),
        ("pitch='-3st'", "pitch", -3.0),
        ("pitch='high'", "pitch", 2.0),
        ("range='+20%'", "pitch_range", 1.2),
        ("volume='+6dB'", "energy", 6.0),
    ],
)
def test_values_of_prosody(attribute, name, value):
    ((_, _, prosody),) = parse(f"<prosody {attribute}>a</prosody>").passages[0].spans
    assert getattr(prosody, name) == pytest.approx(value)


def test_a_speaker_is_of_what_stands_in_voice():
    passages = parse("One. <voice name='kathleen'>Two. <s>Three.</s></voice> Four.").passages
    assert [(passage.text, passage.speaker) for passage in passages] == [
        ("One.", None),
        ("Two.", "kathleen"),
        ("Three.", "kathleen"),
        ("Four.", None),
    ]


def test_elements_that_replace_their_text_and_those_that_do_not():
    assert texts("<sub alias='World Wide Web Consortium'>W3C</sub> works") == ["World Wide Web Consortium works"]
    assert texts("<phoneme alphabet='x-arpabet' ph='hh ah0 l ow1'>hello</phoneme>!") == ["{HH AH0 L OW1}!"]
    assert texts("<phoneme alphabet='ipa' ph='təˈmɑːtəʊ'>tomato</phoneme>") == ["{T AH0 M AA1 T OW0}"]
    assert texts(
        "<lang xml:lang='fr'>a</lang> <w>b</w> <audio src='x.wav'>c<desc>d</desc></audio><mark name='m'/>"
    ) == ["a b c"]


@pytest.mark.parametrize(
    ("kind", "format", "text", "said"),
    [
        ("characters", "", "Ab-1", "{EY1} {B IY1} dash one"),
        ("digits", "", "2024", "two zero two four"),
        ("telephone", "", "+1 (555) 010-4477", "plus one, five five five, zero one zero, four four seven seven"),
        ("cardinal", "", "2,024", "two thousand twenty-four"),
        ("ordinal", "", "22", "twenty-second"),
        ("fraction", "", "3/4", "three quarters"),
        ("fraction", "", "2 1/2", "two and a half"),
        ("date", "dmy", "3/5/2020", "May third, twenty twenty"),
        ("date", "mdy", "3/5/2020", "March fifth, twenty twenty"),
        ("date", "ym", "1985-11", "November nineteen eighty-five"),
        ("time", "hms12", "2:30pm", "2:30pm"),
    ],
)
def test_say_as(kind, format, text, said):
    assert say_as(text, kind, format) == said


@pytest.mark.parametrize(
    ("kind", "format", "text"),
    [
        ("cardinal", "", "many"),
        ("ordinal", "", "1.5"),
        ("fraction", "", "3/0"),
        ("digits", "", "none"),
        ("telephone", "", "home"),
        ("date", "mdy", "13/41/2020"),
        ("date", "mdy", "3/5"),
        ("date", "mmm", "3/5/2020"),
    ],
)
def test_say_as_names_what_does_not_fit(kind, format, text):
    with pytest.raises(InputError, match=r"SSML, line 2, column 3: <say-as>: "):
        parse(f"\n  <say-as interpret-as='{kind}' format='{format}'>{text}</say-as>")


def test_ipa_of_dictionaries():
    assert ipa_to_arpabet("dʒʌst") == ("JH", "AH1", "S", "T")
    assert ipa_to_arpabet("ˌɪntəˈnæʃənəl") == tuple("IH2 N T AH0 N AE1 SH AH0 N AH0 L".split())
    assert ipa_to_arpabet("t͡ʃɝt͡ʃ") == ("CH", "ER1", "CH")
    with pytest.raises(InputError, match="'ʘ' is no sound"):
        ipa_to_arpabet("aʘa")


@given(st.text(alphabet="tʃdʒaɪʊɔeəɜɹrˈˌːæʌɛiuopbkɡfvθðszhmnŋlwj.", max_size=12))
def test_ipa_gives_phones(text):
    assert set(ipa_to_arpabet(text)) <= set(PHONES)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hello", "line 1, column 1: syntax error; begin with <speak>"),
        ("", "no element found"),
        ("<speak>a & b</speak>", "line 1, column 11: .*write & as &amp;"),
        ("<speak>\n<b>a</b></speak>", "line 2, column 1: unknown element <b>"),
        ("<speak><prosdy rate='slow'>a</prosdy></speak>", "did you mean 'prosody'"),
        ("<speak><break tim='1s'/></speak>", "<break> has no 'tim' \\(did you mean 'time'"),
        ("<speak><break time='1'/></speak>", "time '1' is not understood"),
        ("<speak><break time='3600s'/></speak>", "a break is 60 s at most"),
        ("<speak><prosody rate='500%'>a</prosody></speak>", "rate '500%' is 5; it must be from 0.7 to 1.4"),
        ("<speak><prosody pitch='200Hz'>a</prosody></speak>", "pitch '200Hz' is not understood"),
        ("<speak><voice name='ann'>a</voice></speak>", "no speaker 'ann' \\(known: kathleen, lj\\)"),
        ("<speak><voice gender='female'>a</voice></speak>", '<voice> needs name="..."'),
        ("<speak><phoneme ph='hh'>a</phoneme> <phoneme alphabet='x-arpabet' ph='HX'>a</phoneme></speak>", "HX"),
        ("<speak><say-as interpret-as='song'>a</say-as></speak>", "unknown interpret-as 'song'"),
        ("<speak><emphasis level='much'>a</emphasis></speak>", "unknown level 'much'"),
        ("<speak><sub alias='x'><s>a</s></sub></speak>", "<s> stands in <sub>, which holds text alone"),
        ("<speak>&nbsp;</speak>", "undefined entity; write the character itself"),
        ("<speak>" + "<w>" * 50 + "a" + "</w>" * 50 + "</speak>", "more than 20 elements"),
        ("<speak>a</speak><speak>b</speak>", "junk after document element"),
    ],
)
def test_faults_are_named_with_their_place(source, message):
    with pytest.raises(InputError, match=f"^SSML, line [0-9]+, column [0-9]+: .*{message}|^SSML, {message}"):
        parse_ssml(source, ("lj", "kathleen"))


BILLION_LAUGHS = "<!DOCTYPE speak [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {b} '{'&' + a + ';' * 1}{('&' + a + ';') * 9}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
EXTERNAL = "<!DOCTYPE speak [<!ENTITY x SYSTEM 'file:///etc/passwd'>"


@pytest.mark.parametrize("declaration", [BILLION_LAUGHS, EXTERNAL, "<!DOCTYPE speak SYSTEM 'http://localhost/x.dtd' ["])
def test_document_types_and_with_them_bombs_are_refused(declaration):
    started = time.perf_counter()
    with pytest.raises(InputError, match="document type"):
        parse_ssml(declaration + "]><speak>&i;&x;</speak>")
    assert time.perf_counter() - started < 5


PIECES = [
    "<speak>", "</speak>", "<p>", "</p>", "<s>", "</s>", "<break/>", "<break time='1s'/>", "a", ".", " b ", "\n",
    "&amp;", "<prosody rate='slow'>", "</prosody>", "<voice name='lj'>", "</voice>", "<emphasis>", "</emphasis>",
    "<sub alias='c'>", "</sub>", "<!-- x -->", "<![CDATA[d]]>", "<?x y?>", "{HH AY1}", "\0", "<", "&x;",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_anything_is_understood_or_refused_in_one_line(pieces):
    source = "<speak>" + "".join(pieces) + "</speak>"
    try:
        marked = parse_ssml(source)
    except InputError as error:
        assert str(error).startswith("SSML, line ")
        return
    for passage in marked.passages:
        assert passage.text.strip() == passage.text != ""
        places = [place for span in passage.spans for place in span[:2]]
        assert places == sorted(places)
        assert not places or places[-1] <= len(passage.text) + 1


def test_rates_are_limited_as_those_of_a_caller():
    assert LIMITS["rate"] == (ssml.SLOWEST, ssml.FASTEST)


def test_readings_keep_their_places_under_markup():
    frontend = EnglishFrontend(Phonemizer())
    (passage,) = parse("In <emphasis>1985</emphasis> it rained.").passages
    (sentence,) = frontend.split(passage.text)
    (span,) = passage.spans
    assert [word.text for word in frontend.encode(sentence).words if word.span == (span.start, span.end)] == [
        "nineteen",
        "eighty-five",
    ]

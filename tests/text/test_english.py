"""English as it is read aloud: examples by kind, and what must hold of any text."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from growing import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.text import english, tracing
from glowtron.text.symbols import MARKUP

QUANTITIES = [
    ("0 1 12 199 1,000,000", "zero one twelve one hundred ninety-nine one million"),
    (
        "5719 writs, 5,719 writs",
        "five thousand seven hundred nineteen writs, five thousand seven hundred nineteen writs",
    ),
    ("-5 and −40", "minus five and minus forty"),
    ("007 agents", "zero zero seven agents"),
    ("1.000.000 and 1 000 000", "one million and one million"),
    ("12,34,567 people", "one million two hundred thirty-four thousand five hundred sixty-seven people"),
    ("3.14159 and .5 and 10.0", "three point one four one five nine and zero point five and ten point zero"),
    ("1" * 40, " ".join(["one"] * 40)),
    ("5-10 or 5–10 men", "five to ten or five to ten men"),
    ("3 - 2 = 1 and 2+2=4", "three minus two equals one and two plus two equals four"),
    (
        "3 x 4 = 12, 3x4 feet, 4*5=20",
        "three times four equals twelve, three by four feet, four times five equals twenty",
    ),
    (
        "10⁵, x², 2^8, 1e-3",
        "ten to the power of five, x squared, two to the power of eight, one times ten to the power of minus three",
    ),
    ("~50, ±5, <5, 50+", "about fifty, plus or minus five, less than five, fifty plus"),
    ("٣٫٥ and १२ and ５ and ①", "three point five and twelve and five and one"),
    (
        "6.02×10²³, 6 x 10^-3, 10⁻³",
        "six point zero two times ten to the power of twenty-three, six times ten to the power of minus three, "
        "ten to the power of minus three",
    ),
    (
        "1.234,56 or 1.234.567,00",
        "one thousand two hundred thirty-four point five six or one million two hundred thirty-four thousand "
        "five hundred sixty-seven point zero zero",
    ),
    ("a 3:1 win on a 16:9 screen", "a three to one win on a sixteen to nine screen"),
]
YEARS = [
    ("in 1895", "in eighteen ninety-five"),
    ("1895 men", "one thousand eight hundred ninety-five men"),
    ("In 2000, 2001, 2010 and 1999", "in two thousand, two thousand one, twenty ten and nineteen ninety-nine"),
    ("1900 and 1905 and 1066", "nineteen hundred and nineteen oh five and one thousand sixty-six"),
    ("in 1066", "in ten sixty-six"),
    ("over 1900 ships, 1200 feet", "over one thousand nine hundred ships, one thousand two hundred feet"),
    ("the 1936 Olympics", "the nineteen thirty-six olympics"),
    ("the 1990s, the '90s, '05, her 80s", "the nineteen nineties, the nineties, oh five, her eighties"),
    (
        "1914-18, 1914–1918, 1835-6",
        "nineteen fourteen to eighteen, nineteen fourteen to nineteen eighteen, eighteen thirty-five to six",
    ),
    ("In 606, he fell in the year 562", "in six oh six, he fell in the year five sixty-two"),
    ("the 2020-21 season, WWII", "the twenty twenty to twenty-one season, world war two"),
    ("275 B.C. and A.D. 79", "two seventy-five B C and A D seventy-nine"),
    ("c. 1200", "circa twelve hundred"),
]
MONEY = [
    ("$3.50", "three dollars and fifty cents"),
    ("£20 and £1.01", "twenty pounds and one pound and one penny"),
    ("€1.5 million", "one point five million euros"),
    ("$1,234.56", "one thousand two hundred thirty-four dollars and fifty-six cents"),
    ("50¢ or $.50 or $0.01", "fifty cents or fifty cents or one cent"),
    ("$2bn, $5k, £1m", "two billion dollars, five thousand dollars, one million pounds"),
    ("$1, $0, -$5", "one dollar, zero dollars, minus five dollars"),
    ("$5-10 million, £5m-£10m", "five to ten million dollars, five to ten million pounds"),
    ("€3,50", "three euros and fifty cents"),
    ("US$5, USD 20, 20 EUR, ¥1000", "five U S dollars, twenty U S dollars, twenty euros, one thousand yen"),
    ("a $5 bill", "a five dollar bill"),
    ("$20/month", "twenty dollars per month"),
    ("£3 10s. 6d. and 2s. 6d.", "three pounds ten shillings six pence and two shillings six pence"),
    (
        "€5,50, ₹1,00,000, R$5, 100円",
        "five euros and fifty cents, one hundred thousand rupees, five reais, one hundred yen",
    ),
    ("£1700", "one thousand seven hundred pounds"),
]
DATES = [
    ("Jan. 5, 1895", "january fifth, eighteen ninety-five"),
    ("5/11/2020", "may eleventh, twenty twenty"),
    ("31/12/1999", "december thirty-first, nineteen ninety-nine"),
    ("2020-11-05", "november fifth, twenty twenty"),
    ("5 November", "the fifth of november"),
    ("On the 14th June, 1800,", "on the fourteenth june, eighteen hundred,"),
    ("May 5-7", "may fifth to seventh"),
    ("in May 1963", "in may nineteen sixty-three"),
    ("During October and November of 1963", "during october and november of nineteen sixty-three"),
    ("13/13/2020 is none", "thirteen thirteen twenty twenty is none"),
    ("10:30", "ten thirty"),
    ("5:05 p.m.", "five oh five P M."),
    ("17:00 and 10:00", "seventeen hundred and ten o'clock"),
    ("It was 5 p.m. He left at 6 pm today.", "it was five P M. he left at six P M today."),
    ("Tue 3/5, by 3/1, Mon-Fri, Jan.-Mar.", "tuesday march fifth, by march first, monday to friday, january to march"),
    ("John 3:16-17", "john three sixteen to seventeen"),
    ("Mon, Tue and Wed. I sat, sun-burnt", "monday, tuesday and wednesday. i sat, sun-burnt"),
    ("1:23.45 at UTC-5", "one twenty-three point four five at U T C minus five"),
    ("9am-5pm, 10:30-11:45", "nine A M to five P M, ten thirty to eleven forty-five"),
    ("July 4th, 1st, 22nd, 103rd, 1,000th", "july fourth, first, twenty-second, one hundred third, one thousandth"),
]
UNITS = [
    ("1/2, 3 1/2, ½, 3½, 5/8", "one half, three and a half, one half, three and a half, five eighths"),
    ("3/4 mile, 1/2 kg", "three quarters mile, one half of a kilogram"),
    ("24/7 and 50/50", "twenty-four seven and fifty fifty"),
    ("5 kg, 1 kg, 10km", "five kilograms, one kilogram, ten kilometers"),
    (
        "60 mph, 50 km/h, 9.8 m/s²",
        "sixty miles per hour, fifty kilometers per hour, nine point eight meters per second squared",
    ),
    ("20°C, -5°F, 5°", "twenty degrees celsius, minus five degrees fahrenheit, five degrees"),
    ("3'6\" tall", "three feet six inches tall"),
    ("6ft 2in, 6 ft. 1 in.", "six feet two inches, six feet one inch."),
    ("a 5in gap, 1 in 10", "a five inch gap, one in ten"),
    ("x° at 40° N, ° alone", "x degrees at forty degrees north, alone"),
    ("40°26′46″N", "forty degrees twenty-six minutes forty-six seconds north"),
    ("He is 5'11. It is 5 in. by 3 in.", "he is five feet eleven inches. it is five inches by three inches."),
    (
        "30 mpg, 60 fps, 20 sq. ft., 5 ppm",
        "thirty miles per gallon, sixty frames per second, twenty square feet, five parts per million",
    ),
    ("3h20m, 3h 20min, 1'30\"", "three hours twenty minutes, three hours twenty minutes, one minute thirty seconds"),
    ("1080p, 1.5bn, 2.5M, pH 7", "ten eighty P, one point five billion, two point five million, P H seven"),
    ("100 m² of 5 x 5 m", "one hundred square meters of five by five meters"),
    ("a 5-km run, a 14-year-old", "a five-kilometer run, a fourteen-year-old"),
    ("50%, 5-10%, 100 %, ~95%", "fifty percent, five to ten percent, one hundred percent, about ninety-five percent"),
    ("2 tbsp sugar, 1 tsp. salt", "two tablespoons sugar, one teaspoon salt"),
    ("5 million km", "five million kilometers"),
    ("the 90s is not 90 seconds; 5 in the room", "the nineties is not ninety seconds; five in the room"),
]
NAMES = [
    ("221B Baker St. since", "two twenty-one B baker street since"),
    ("12 St. James St., off 42 St.", "twelve saint james street, off forty-two street."),
    ("St. Paul, St Paul's, Baker St", "saint paul, saint paul's, baker street"),
    ("at St. Paul and Elm Streets on 42nd St. today", "at saint paul and elm streets on forty-second street today"),
    ("Dr. Who on Mulholland Dr. and Dr Smith", "doctor who on mulholland drive and doctor smith"),
    ("No. 5 vs. Nos. 6 and 7. No. Then no.", "number five versus numbers six and seven. no. then no."),
    ("Mr. and Mrs. Jones, Jr., of Ft. Worth & Co.", "mister and missus jones, junior, of fort worth and company."),
    ("Gen. Lee, Lt. Col. Ray, Prof. X; Gen Z", "general lee, lieutenant colonel ray, professor X; gen Z"),
    ("i.e. this, e.g. that, etc. and so on", "that is this, for example that, et cetera and so on"),
    ("411 Elm Street, 1026 North Beckley", "four eleven elm street, ten twenty-six north beckley"),
    ("P.O. Box 2915, No. 162, Room 237", "P O box two nine one five, number one sixty-two, room two thirty-seven"),
    (
        "1600 Pennsylvania Ave. NW, DC 20500",
        "sixteen hundred pennsylvania avenue northwest, D C two zero five zero zero",
    ),
    (
        "C2766, MP3, COVID-19, F-16, 133-A",
        "C two seven six six, M P three, covid nineteen, F sixteen, one thirty-three A",
    ),
    (
        "555-1234, (555) 123-4567",
        "five five five, one two three four, five five five, one two three, four five six seven",
    ),
    (
        "version 1.2.3, v2.0, Python 3.10",
        "version one point two point three, version two point zero, python three point ten",
    ),
    ("192.168.1.1", "one hundred ninety-two dot one hundred sixty-eight dot one dot one"),
    ("Henry VIII. a new; Louis XIV's", "henry the eighth a new; louis the fourteenth's"),
    (
        "Chapter IV, World War II, scene ii, chapters IV and V",
        "chapter four, world war two, scene two, chapters four and five",
    ),
    ("Charles I was king and I was not; XIX century", "charles the first was king and i was not; nineteenth century"),
    ("N.B. the N.B.A.", "note well the N B A."),
    ("WWI or WWII. A PhD.", "world war one or world war two. A P H D."),
    ("MMXX and episode V. X marks", "twenty twenty and episode five. X marks"),
    ("Tel. 020 7946 0958, eq. 5", "telephone zero two zero, seven nine four six, zero nine five eight, equation five"),
    ("call 5551234567, 7000000000 men", "call five five five one two three four five six seven, seven billion men"),
    ("4111 1111 1111 1111", "four one one one, one one one one, one one one one, one one one one"),
    ("J. D. Tippit of the U.S. Army", "J D tippit of the U S army"),
]
CAPITALS = [
    ("FBI, NASA, UNESCO, HTML, TVs, AT&T", "F B I, nasa, unesco, H T M L, T V's, A T and T"),
    ("He said STOP THAT NOW and left.", "he said stop that now and left."),
    ("MR. SMITH MET THE FBI ON 5 MAY 1990.", "mister smith met the F B I on the fifth of may, nineteen ninety."),
    ("THE END of STRENGTHS", "the end of strengths"),
    ("A man, plan A, A4, vitamin A is", "a man, plan A, A four, vitamin A is"),
    ("mRNA, iOS, PhDs", "M R N A, I O S, P H D's"),
    ("M&Ms, R&D; the 'A' team", "M and M's, R and D; the A team"),
    ("hepatitis B. A man. It was I. I did. J. A. Smith", "hepatitis B. a man. it was i. i did. J A smith"),
    ("iPhone McDonald O'Brien I'm X-ray", "iphone mcdonald o'brien i'm X-ray"),
]
ADDRESSES = [
    ("https://www.example.com/news?id=5.", "W W W dot example dot com slash news question mark id equals five."),
    ("john.doe_1@mail.example.co.uk!", "john dot doe underscore one at mail dot example dot co dot U K!"),
    ("nasa.gov and bbc.co.uk", "nasa dot gov and B B C dot co dot U K"),
    ("#ThrowbackThursday @user_name #1", "hashtag throwback thursday at user name number one"),
    ("end.It is 3.5 to node.js", "end. it is three point five to node dot J S"),
    (
        "README.md, a.tar.gz, my_notes.txt. C++ and .NET",
        "readme dot M D, a dot tar dot G Z, my notes dot T X T. C plus plus and dot net",
    ),
    ("http://a.com/p?x=1", "A dot com slash P question mark X equals one"),
    ("python3.11 and 0x1F", "python three point eleven and zero X one F"),
    ("TCP/IP, I/O, TL;DR", "T C P I P, I O, T L D R"),
    ("x == 1, x != y, a <= b, 6 / 2", "x equals one, x is not equal to y, a is at most b, six divided by two"),
]
CHARACTERS = [
    ("hello 😀 :-) world ¯\\_(ツ)_/¯ <3", "hello world"),
    ("(╯°□°)╯︵ ┻━┻ flip ( ͡° ͜ʖ ͡°) (ツ) (^_^)", "flip (tsu)"),
    ("(a) – (°C) – (→ 5) “(so)”", "(a) - (degrees C) - (five) (so)"),
    ("π, α-rays, Δt, 5 μm, Ω", "pi, alpha rays, delta t, five micrometers, ohm"),
    ("η Αθήνα, Ωραία", "i athina, oraia"),
    ("北京 привет łódź", "bei jing privet lodz"),
    ("“quoted” ‘single’ it’s 'tis 'n' goin'", "quoted single it's 'tis 'n' goin'"),
    ("yes… no -- what?? — so!!", "yes... no - what? - so!"),
    ("a\u200bb\u00adc\x00d\ttab", "abc d tab"),
    ("[so] {see} a_b <b>bold</b> R&amp;D", "(so) (see) a b bold R and D"),
    ("well-known, two- and three-day", "well-known, two and three-day"),
    ("art:\n /\\_/\\\n( o.o )\n > ^ <\nend", "art: end"),
    ("*****\n=====\nhi\n-----", "hi"),
    ("  leading, and trailing  -- ", "leading, and trailing"),
    ("see http://{AA1}x.com/{AA1} now", "see http: {AA1}X dot com{AA1} now"),
    ("Say {HH AH0 L OW1} to {  AA1 }{B}!", "say {HH AH0 L OW1} to {AA1}{B}!"),
]


@pytest.mark.parametrize(
    ("text", "said"), QUANTITIES + YEARS + MONEY + DATES + UNITS + NAMES + CAPITALS + ADDRESSES + CHARACTERS
)
def test_examples(text: str, said: str) -> None:
    assert english.clean(text) == said


@pytest.mark.parametrize("text", ["", "  \n", "!!!", "😀", "-- ... --", "\u200b", "()", "{}", "'", "*****"])
def test_text_with_nothing_speakable_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match=r"nothing speakable in|the text is empty"):
        english.clean(text)


def test_misspelt_phones_are_named() -> None:
    with pytest.raises(InputError, match="'LOW' is no ARPAbet phone"):
        english.clean("Say {HH AH0 LOW}.")


def test_braces_without_a_phone_are_text() -> None:
    assert english.clean("Dear {NAME}, {FIRST LAST} of {A2}.") == "dear (name), (first last) of (A two)."


def assert_speakable(text: str, said: str) -> None:
    outside = MARKUP.sub(" ", said)
    assert re.fullmatch(r"[-A-Za-z!'(),.:;? ]*", outside), (text, said)
    assert said == " ".join(said.split())
    assert re.search("[A-Za-z]", said)
    # Capitals name letters: they stand alone.
    assert not re.search("[A-Z]{2}", outside), (text, said)


PIECES = """$ £ € ¢ % ° 1 12 1895 1,000 1.5 .5 0 00 5/11/2020 1/2 0/0 10:30 25:61 p.m. AM - – — -- . , ; ' " ( ) [ ]
    { } {AA1} {B} & @ # + = < > * / \\ | ~ ^ _ ½ ² ⁵ × № km kg m s in. ft A I X IV MCM Henry VIII Chapter St. Dr. No.
    Mr. Jan. May the in 1st 2nd th s bn million FBI NASA J. U.S. www.a.com a@b.co #x @y http:// :-) 😀 北 ١ e1 1e5 v1
    1.2.3 +1 555-1234 0s 90s '90s 'tis USD £1 10s. 6d. 5'6" 1-1-1 A1 1A A-1 &amp; <b>""".split()
PIECES += [" ", "\n", "\t", "\u200d", "\u0301", "\ue000", "\ue001", "\x00", "\ud800"]
HOSTILE = st.text() | st.tuples(st.sampled_from([" ", ""]), st.lists(st.sampled_from(PIECES), max_size=12)).map(
    lambda drawn: drawn[0].join(drawn[1])
)


@settings(max_examples=8 * settings.default.max_examples)
@given(HOSTILE)
def test_any_text_is_speakable_or_an_error(text: str) -> None:
    try:
        said = english.clean(text)
    except InputError:
        return
    assert_speakable(text, said)


@settings(max_examples=4 * settings.default.max_examples)
@given(HOSTILE)
def test_what_is_clean_stays_so(text: str) -> None:
    try:
        said = english.clean(text)
    except InputError:
        return
    assert_speakable(said, english.clean(said))


@pytest.mark.parametrize(
    "piece",
    [
        *"1 - $ , ' ( { A I # é 😀 ½ ² < & x".split(),
        *"1. 1, 1- 1/ 1: $1 $1, a. A' A. a- a@ @a #1 111, 1,111 1.1e 1s 1st 5' 1x v1. www. {AA1}".split(),
        *("1 ", ". ", "A ", "( ", "{A ", "I ", "IV ", "St. ", "J. ", " - ", "+1 ", '"', "e\u0301", "\n", "/\\\n"),
    ],
)
def test_time_is_linear(piece: str) -> None:
    assert growth(lambda n: english.normalize((piece * n)[:n])) < 9, "sixteen is quadratic"


@settings(max_examples=6 * settings.default.max_examples)
@given(HOSTILE)
def test_no_match_is_missed_for_want_of_a_character(text: str) -> None:
    def checked(
        pattern: re.Pattern[str], replacement: tracing.Replacement, text: str, needs: Iterable[str] = ()
    ) -> str:
        if needs and not any(need in text for need in needs):
            assert not pattern.search(text), f"{pattern.pattern!r} finds {text!r}, which has none of {needs!r}"
        return tracing.substitute(pattern, replacement, text, needs)

    with pytest.MonkeyPatch.context() as patch:
        # All modules of passes, also one that is still to be written.
        for name, module in list(sys.modules.items()):
            if name.startswith("glowtron.text.") and module is not tracing and hasattr(module, "substitute"):
                patch.setattr(module, "substitute", checked)
        english.normalize(text)


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_the_transcripts_of_ljspeech(shared: Callable[[str], Path], every: int) -> None:
    """All 13,100 lines, or each tenth, are speakable, and agree with the human reading of their figures."""
    lines = shared("data/ljspeech/metadata_all.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 13_100
    words = wrong = 0
    for line in lines[::every]:
        _, text, normalised = line.split("|")
        said = english.clean(text)
        assert_speakable(text, said)
        if re.search("[0-9]", text):
            ours, theirs = (re.findall("[a-z']+", part.lower()) for part in (said, english.clean(normalised)))
            words += len(theirs)
            wrong += sum(1 for word in set(theirs) if word not in ours)
    # What remains is taste: "November twenty-second" for their "twenty-two", "and" in sums of money.
    assert wrong / words < 0.02

"""Sums of money: "$3.50", "£1.5 million", "50¢", "USD 20", "£3 10s. 6d."."""

from __future__ import annotations

import re
from typing import NamedTuple

from glowtron.text.numbers import NUMBER, SCALES, START, cardinal, spoken
from glowtron.text.tracing import substitute


class Currency(NamedTuple):
    """Names of a currency: one, many, a hundredth, hundredths."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""


_DOLLAR = Currency("dollar", "dollars", "cent", "cents")
_POUND = Currency("pound", "pounds", "penny", "pence")
_EURO = Currency("euro", "euros", "cent", "cents")
SIGNS = {
    "$": _DOLLAR,
    "£": _POUND,
    "€": _EURO,
    "¥": Currency("yen", "yen"),
    "₹": Currency("rupee", "rupees", "paisa", "paise"),
    "₽": Currency("ruble", "rubles", "kopeck", "kopecks"),
    "₩": Currency("won", "won"),
    "₺": Currency("lira", "lira", "kurus", "kurus"),
    "₪": Currency("shekel", "shekels", "agora", "agorot"),
    "₫": Currency("dong", "dong"),
    "₴": Currency("hryvnia", "hryvnias", "kopeck", "kopecks"),
    "₿": Currency("bitcoin", "bitcoins"),
    "₦": Currency("naira", "naira", "kobo", "kobo"),
    "₱": Currency("peso", "pesos", "centavo", "centavos"),
    "฿": Currency("baht", "baht", "satang", "satang"),
    "₡": Currency("colon", "colones", "centimo", "centimos"),
    "₲": Currency("guarani", "guaranies"),
    "₵": Currency("cedi", "cedis", "pesewa", "pesewas"),
    "₸": Currency("tenge", "tenge"),
    "₾": Currency("lari", "lari", "tetri", "tetri"),
    "₼": Currency("manat", "manat", "qapik", "qapik"),
    "₭": Currency("kip", "kip"),
    "₮": Currency("tugrik", "tugriks"),
    "៛": Currency("riel", "riels"),
    "৳": Currency("taka", "taka", "poisha", "poisha"),
}
_NATIONS = {"US": "U S", "C": "canadian", "CA": "canadian", "A": "australian", "AU": "australian", "NZ": "new zealand"}
_NATIONS |= {"HK": "hong kong", "S": "singapore", "R": ""}
_REAL = Currency("real", "reais", "centavo", "centavos")
CODES = {
    "USD": Currency("U S dollar", "U S dollars", "cent", "cents"),
    "GBP": Currency("british pound", "british pounds", "penny", "pence"),
    "EUR": _EURO,
    "JPY": Currency("japanese yen", "japanese yen"),
    "CHF": Currency("swiss franc", "swiss francs", "centime", "centimes"),
    "CAD": Currency("canadian dollar", "canadian dollars", "cent", "cents"),
    "AUD": Currency("australian dollar", "australian dollars", "cent", "cents"),
    "INR": Currency("indian rupee", "indian rupees", "paisa", "paise"),
    "CNY": Currency("chinese yuan", "chinese yuan"),
    "RMB": Currency("chinese yuan", "chinese yuan"),
    "NZD": Currency("new zealand dollar", "new zealand dollars", "cent", "cents"),
    "SGD": Currency("singapore dollar", "singapore dollars", "cent", "cents"),
    "HKD": Currency("hong kong dollar", "hong kong dollars", "cent", "cents"),
    "SEK": Currency("swedish krona", "swedish kronor"),
    "NOK": Currency("norwegian krone", "norwegian kroner"),
    "DKK": Currency("danish krone", "danish kroner"),
    "PLN": Currency("polish zloty", "polish zlotys"),
    "CZK": Currency("czech koruna", "czech korunas"),
    "HUF": Currency("hungarian forint", "hungarian forints"),
    "RUB": Currency("russian ruble", "russian rubles"),
    "UAH": Currency("ukrainian hryvnia", "ukrainian hryvnias"),
    "MXN": Currency("mexican peso", "mexican pesos"),
    "BRL": Currency("brazilian real", "brazilian reais"),
    "ZAR": Currency("south african rand", "south african rand"),
    "KRW": Currency("south korean won", "south korean won"),
    "THB": Currency("thai baht", "thai baht"),
    "NGN": Currency("nigerian naira", "nigerian naira"),
    "KES": Currency("kenyan shilling", "kenyan shillings"),
    "AED": Currency("U A E dirham", "U A E dirhams"),
    "VND": Currency("vietnamese dong", "vietnamese dong"),
    "BTC": Currency("bitcoin", "bitcoins"),
}
_SIGN = "[" + "".join(SIGNS) + "]"
_NO_NOUNS = frozenset(
    "and or for the from with per than that was were are has had have but which who not into over ago each".split()
)
_SCALE = r"(?:[ -]?(hundred|thousand|million|billion|trillion|k|K|m|M|mm|mn|MM|b|B|bn|Bn|BN|t|T|tn|TN)\b)?"
_SUM = re.compile(
    rf"(?:(?<![^\s(])(-))?(?:(?<![A-Za-z])({'|'.join(_NATIONS)}))?({_SIGN})[ ]?(-)?({NUMBER})(?![0-9])"
    rf"(?:{_SCALE}[ ]?[-–][ ]?(?:{_SIGN})?({NUMBER}))?{_SCALE}"
)
_SUM_AFTER = re.compile(rf"{START}({NUMBER}){_SCALE}[ ]?(?:({_SIGN})(?![0-9])|({'|'.join(CODES)})(?!\w))")
_SUM_WITH_CODE = re.compile(rf"(?<!\w)({'|'.join(CODES)})[ ]?({NUMBER}){_SCALE}")
_COMMA_EURO = re.compile(r"€[ ]?([0-9]{1,9}),([0-9]{2})(?![0-9]|[,.][0-9])")
_RUPEES = re.compile(r"(?<!\w)Rs\.?[ ]?(?=[0-9])")
_CENTS = re.compile(rf"{START}({NUMBER})[ ]?¢")
_OLD_ENGLISH = re.compile(
    r"£([0-9,]{1,12})[ ]?([0-9]{1,2})s\.?(?:[ ]?([0-9]{1,2})d\b\.?)?|(?<![\w.])([0-9]{1,2})s\.[ ]?([0-9]{1,2})d\b\.?"
)
# "a $5 bill", "the £20 note": the sum is an adjective there, and stands in the singular.
_ADJECTIVE = re.compile(r"-[a-z]|[ ](?:bill|note|coin|fine|stamp|ticket|banknote|cheque|check)\b")
_CENT_SIGN = re.compile("¢")
_LONE = re.compile(_SIGN)
_PER = re.compile(
    r"(?<=[a-z])/(hour|hr|h|day|week|wk|month|mo|year|yr|kg|km|mile|person|night|min|minute|lb|oz|gallon|unit"
    r"|seat|user)\b(?:\.(?=[ ][a-z]))?"
)
_PER_NAMES = {
    "hr": "hour",
    "h": "hour",
    "wk": "week",
    "mo": "month",
    "yr": "year",
    "kg": "kilogram",
    "km": "kilometer",
    "min": "minute",
    "lb": "pound",
    "oz": "ounce",
}
_TICKER = re.compile(r"(?<![\w$])\$([A-Z]{1,5})(?![\w])|(?<![\w$])\$(?=[A-Za-z_])")
_PER_NOUN = re.compile(r"(?:/[a-z]{1,6})?[ ]([a-z]{3,})")
_ARTICLE = re.compile(r"\b(?:[Aa]|[Aa]n|[Ee]very|[Ee]ach)(?:[ ][a-z]{2,12})?[ ]$")

# After "the" only what is bought, paid or lent: "the $64,000 question", but "the $20 notes here show".
_THE = re.compile(
    r"\b(?:[Tt]he|[Tt]his|[Tt]hat|[Hh]is|[Hh]er|[Ii]ts|[Tt]heir|[Oo]ur|[Yy]our|[Mm]y)(?:[ ][a-z]{2,12})?[ ]$"
)
_PAID = frozenset(
    """question bailout deal loan fund funds package budget project bill note contract lawsuit settlement house home
    mansion prize grant investment tax fee price bonus debt program programme plan acquisition merger purchase
    company industry market round seed payment fine reward ransom gift car computer phone laptop console jackpot
    campaign movie film stadium bridge tunnel watch ticket deposit donation offer bid takeover stake mortgage
    salary fortune business economy bet order refund voucher coupon discount rebate scheme aid stimulus rescue
    surplus deficit""".split()
)


def sums(text: str) -> str:
    """`text` with its sums of money in words."""
    if "$" in text:
        text = substitute(_TICKER, lambda match: " ".join(match[1]) if match[1] else "", text)
    text = substitute(_RUPEES, "₹", text, ("Rs",))
    had = any(sign in text for sign in SIGNS)
    if had:
        text = substitute(_OLD_ENGLISH, _old_english, text, "s")
        text = substitute(_COMMA_EURO, r"€\1.\2", text, "€")
        text = substitute(_SUM, _sum, text)
    if _LONE.search(text) or any(code in text for code in CODES):
        text = substitute(
            _SUM_AFTER, lambda match: _amount(match, match[1], match[2], SIGNS.get(match[3]) or CODES[match[4]]), text
        )
        text = substitute(_SUM_WITH_CODE, lambda match: _amount(match, match[2], match[3], CODES[match[1]]), text)
        text = substitute(
            _CENTS, lambda match: spoken(match[1]) + (" cent" if match[1] == "1" else " cents"), text, "¢"
        )
        text = substitute(_LONE, lambda match: f" {SIGNS[match[0]].many} ", text)
    if had and "/" in text:
        text = substitute(_PER, lambda match: " per " + _PER_NAMES.get(match[1], match[1]), text)
    return substitute(_CENT_SIGN, " cents ", text, "¢")


def _sum(match: re.Match[str]) -> str:
    minus, nation, sign, minus_inside, number, lower_scale, upper, scale = match.groups()
    currency = SIGNS[sign]
    if nation == "R" and sign == "$":
        currency = _REAL
    elif nation:
        currency = Currency(f"{_NATIONS[nation]} {currency.one}", f"{_NATIONS[nation]} {currency.many}", *currency[2:])
    words = "minus " if minus or minus_inside else ""
    if upper:
        lower = spoken(number.removesuffix(".00"))
        if lower_scale and lower_scale != scale:
            lower += f" {_scale(lower_scale)}"
        elif "." in number and len(number.partition(".")[2]) == 2 and not scale and currency.cent:
            lower = _amount(match, number, None, currency)
        return f"{words}{lower} to {_amount(match, upper, scale, currency)}"
    return words + _amount(match, number, scale, currency)


def _amount(match: re.Match[str], number: str, scale: str | None, currency: Currency) -> str:
    adjective = _ADJECTIVE.match(match.string, match.end()) is not None or _is_adjective(match)
    many = currency.one if adjective else currency.many
    if scale:
        return f"{spoken(number)} {_scale(scale)} {many}"
    whole, _, cents = number.replace(",", "").partition(".")
    if len(cents) not in (1, 2) or not currency.cent:
        return f"{spoken(number)} {currency.one if number in ('1', '1.00') else many}"
    hundredths = int(cents) * (10 if len(cents) == 1 else 1)
    parts = []
    if int(whole or 0) or not hundredths:
        parts.append(f"{cardinal(whole or 0)} {currency.one if int(whole or 0) == 1 else many}")
    if hundredths:
        parts.append(f"{cardinal(hundredths)} {currency.cent if hundredths == 1 else currency.cents}")
    return " and ".join(parts)


def _is_adjective(match: re.Match[str]) -> bool:
    """True if the sum belongs to a noun: "a $5 million deal", "a $100k/month budget"."""
    after = _PER_NOUN.match(match.string, match.end())
    if after is None or after[1] in _NO_NOUNS:
        return False
    before = match.string[max(0, match.start() - 20) : match.start()]
    return bool(_ARTICLE.search(before) or (after[1] in _PAID and _THE.search(before)))


def _scale(scale: str) -> str:
    return SCALES.get(scale.lower(), scale)


def _old_english(match: re.Match[str]) -> str:
    pounds, shillings, pence, shillings_alone, pence_alone = match.groups()
    parts = []
    if pounds and pounds.strip(","):
        parts.append(_counted(pounds.replace(",", ""), "pound", "pounds"))
    parts.append(_counted(shillings or shillings_alone, "shilling", "shillings"))
    if pence or pence_alone:
        parts.append(_counted(pence or pence_alone, "penny", "pence"))
    return " ".join(parts)


def _counted(number: str, one: str, many: str) -> str:
    return f"{cardinal(number)} {one if int(number) == 1 else many}"

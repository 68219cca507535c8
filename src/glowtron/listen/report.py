"""The report of a listening test."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from glowtron.errors import InputError
from glowtron.files import read_json, unwritable, write_text
from glowtron.listen.answers import collect
from glowtron.listen.differences import Difference, detectable, differences
from glowtron.listen.intervals import Interval, clustered, components, plain, table
from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.methods import Method, find_method
from glowtron.listen.plots import draw_differences, draw_means, draw_raters
from glowtron.listen.ratings import Check, Rating, first_only, write_ratings
from glowtron.listen.screening import Rules, Special, left_out, words_of
from glowtron.listen.store import Rater, Stored

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Source:
    """Data of a report."""

    method: Method
    ratings: list[Rating]
    checks: list[Check] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    special: Special = field(default_factory=Special)
    title: str = "Listening test"
    question: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)
    """The levelling of the clips, for the paragraph."""
    raters: list[Rater] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    """In the order in which they were given; none: as they come."""

    @classmethod
    def of_test(cls, test: ListeningTest, raters: Sequence[Rater], answers: Sequence[Stored]) -> Source:
        """Of a test of this program's."""
        collected = collect(test, raters, answers)
        anchor = next((name for name in test.key.anchors if "7000" in name), None)
        return cls(
            method=test.method,
            ratings=collected.ratings,
            checks=collected.checks,
            rules=test.rules,
            special=Special(test.key.reference, anchor),
            title=test.file.title,
            question=test.file.question,
            made={
                "loudness_lufs": test.file.loudness_lufs,
                "sample_rate": test.file.sample_rate,
                "seed": test.file.seed,
            },
            raters=collected.raters,
            systems=test.key.systems,
        )

    @classmethod
    def of_table(cls, ratings: Sequence[Rating], method: str, reference: str | None) -> Source:
        """Of a table of ratings, whose scale a method tells. Raises InputError for a rating off that scale."""
        found = find_method(method)
        if not ratings:
            raise InputError("the table holds no ratings")
        for number, rating in enumerate(ratings, 2):
            if not found.low <= rating.value <= found.high:
                raise InputError(
                    f"row {number}: {rating.value:g} is not on the scale of {method}, {found.low:g} to {found.high:g}; "
                    "choose another `method`"
                )
            if (found.kind == "pair") != bool(rating.against):
                raise InputError(f"row {number}: methods of pairs, and they alone, need the column `against`")
        return cls(method=found, ratings=list(ratings), special=Special(reference), question=found.question)


def report_ratings(
    source: Source, out: Path, *, margin: float | None = None, measures: Path | None = None
) -> dict[str, Any]:
    """Write `report.md`, `report.json`, `ratings.csv` and plots to the folder `out`. Returns what `report.json` holds.

    margin: difference too small to matter; None: the method's. measures: a `compare.json`. Raises InputError for a
    folder that cannot be written, and where nothing is left to report.
    """
    margin = source.method.equivalent if margin is None else margin
    if not first_only(source.ratings):
        raise InputError("nobody has rated anything yet")
    reasons = left_out(
        source.ratings, source.checks, source.rules, source.method.range, source.special, source.method.kind == "pair"
    )
    kept = [rating for rating in source.ratings if rating.rater not in reasons]
    report: dict[str, Any] = {
        "format": FORMAT,
        "title": source.title,
        "method": source.method.name,
        "question": source.question,
        "margin": margin,
        "rules": asdict(source.rules),
        "left_out": reasons,
        "raters": _about(source, reasons),
        "everyone": _results(source, first_only(source.ratings), margin),
        # Where every rater is left out there is no second result, and the report says so.
        "screened": _results(source, first_only(kept), margin) if first_only(kept) else None,
    }
    if measures is not None:
        report["measures"] = _correlations(first_only(kept or source.ratings), measures)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    main = report["screened"] or report["everyone"]
    _draw(source, kept or source.ratings, main, reasons, out, margin)
    write_ratings(out / "ratings.csv", source.ratings)
    write_text(out / "report.json", json.dumps(_plain(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(out / "report.md", markdown(source, report))
    return report


def _about(source: Source, reasons: Mapping[str, Any]) -> dict[str, Any]:
    ids = {rating.rater for rating in source.ratings} | {rater.id for rater in source.raters}
    devices: dict[str, int] = {}
    for rater in source.raters:
        if device := rater.about.get("device"):
            devices[device] = devices.get(device, 0) + 1
    seconds = [rating.seconds for rating in source.ratings if rating.seconds is not None]
    return {
        "n": len(ids),
        "n_left_out": len(reasons),
        "n_finished": sum(rater.finished for rater in source.raters) if source.raters else None,
        "n_native": sum(rater.about.get("native", False) for rater in source.raters) if source.raters else None,
        "devices": devices,
        "median_seconds": float(np.median(seconds)) if seconds else None,
    }


def _results(source: Source, ratings: Sequence[Rating], margin: float) -> dict[str, Any]:
    result: dict[str, Any] = {
        "n_ratings": len(ratings),
        "n_raters": len({rating.rater for rating in ratings}),
        "n_items": len({rating.item for rating in ratings}),
        "systems": {},
        "differences": differences(ratings, margin),
    }
    if source.method.kind != "pair":
        of: dict[str, list[Rating]] = {system: [] for system in source.systems}
        for rating in ratings:
            of.setdefault(rating.system, []).append(rating)
        systems = {system: _system(own) for system, own in of.items() if own}
        result["systems"] = dict(sorted(systems.items(), key=lambda entry: -entry[1]["clustered"].mean))
    result["plan"] = _plan(ratings, source.method)
    return result


def _system(ratings: Sequence[Rating]) -> dict[str, Any]:
    values, raters, items = table(ratings)
    return {
        "n": len(values),
        "clustered": clustered(values, raters, items),
        "plain": plain(values),
        "variances": components(values, raters, items),
    }


def _plan(ratings: Sequence[Rating], method: Method) -> list[dict[str, Any]]:
    """The smallest difference that so many raters would find, on these items, by how much pairs varied here."""
    parts = []
    if method.kind == "pair":
        by_pair: dict[tuple[str, str], list[Rating]] = {}
        for rating in ratings:
            by_pair.setdefault((rating.system, rating.against), []).append(rating)
        parts = [components(*table(own)) for own in by_pair.values() if _crossed(own)]
        per_rater = fmean(len(own) / len({r.rater for r in own}) for own in by_pair.values())
    else:
        of: dict[str, dict[tuple[str, str], Rating]] = {}
        for rating in ratings:
            of.setdefault(rating.system, {})[rating.rater, rating.item] = rating
        names = list(of)
        sizes = []
        for k, a in enumerate(names):
            for b in names[k + 1 :]:
                own = [r._replace(value=r.value - of[b][key].value) for key, r in of[a].items() if key in of[b]]
                if _crossed(own):
                    parts.append(components(*table(own)))
                    sizes.append(len(own) / len({r.rater for r in own}))
        per_rater = fmean(sizes) if sizes else 1.0
    if not parts:
        return []
    mean = type(parts[0])(*(fmean(values) for values in zip(*parts, strict=True)))
    n_items = len({rating.item for rating in ratings})
    return [
        {"raters": n, "items": m, "detectable": detectable(mean, n, m, per_rater * m / n_items)}
        for m in (n_items, 2 * n_items)
        for n in (10, 20, 30, 60, 120)
    ]


def _crossed(ratings: Sequence[Rating]) -> bool:
    return len(ratings) >= 4 and min(len({r.rater for r in ratings}), len({r.item for r in ratings})) >= 2


def _correlations(ratings: Sequence[Rating], path: Path) -> dict[str, Any]:
    """Measures of clips beside the listeners' means of the same clips."""
    from scipy.stats import pearsonr, spearmanr

    compared = read_json(path, "a compare.json of `glowtron compare`")
    try:
        rows = {
            (column["name"], clip["id"]): clip["measures"] for column in compared["columns"] for clip in column["clips"]
        }
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is no compare.json of `glowtron compare`: {error!r}") from error
    of: dict[tuple[str, str], list[float]] = {}
    for rating in ratings:
        of.setdefault((rating.system, rating.item), []).append(rating.value)
    result = {}
    for name in sorted({name for row in rows.values() for name in row}):
        pairs = [(fmean(of[clip]), row[name]) for clip, row in rows.items() if clip in of and row.get(name) is not None]
        heard, measured = np.array(pairs).reshape(-1, 2).T
        if len(pairs) >= 3 and heard.std() > 0 and measured.std() > 0:
            result[name] = {
                "n": len(pairs),
                "pearson": float(pearsonr(heard, measured)[0]),
                "spearman": float(spearmanr(heard, measured)[0]),
            }
    if not result:
        raise InputError(
            f"{path}: has no clips of this test; columns and clips must have the names of systems and items"
        )
    return result


def _draw(
    source: Source,
    ratings: Sequence[Rating],
    main: Mapping[str, Any],
    reasons: Mapping[str, Any],
    out: Path,
    margin: float,
) -> None:
    if main["systems"]:
        means = {system: (own["clustered"], own["plain"]) for system, own in main["systems"].items()}
        draw_means(out / "means.png", means, source.method)
        draw_raters(out / "raters.png", first_only(source.ratings), reasons)
    if main["differences"]:
        draw_differences(out / "differences.png", main["differences"], margin)


def _plain(value: Any) -> Any:
    """Named tuples as objects, and what is not finite as null."""
    if isinstance(value, Interval):
        return {**{k: _plain(v) for k, v in value._asdict().items()}}
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ---- words -------------------------------------------------------------------------------------------------------

_NOTES = """\
Intervals are 95 %. *Clustered* ones take into account that ratings of one rater resemble each other, and so do ratings
of one item (Cameron, Gelbach and Miller 2011): they hold for other raters and other sentences. *Plain* ones, as most
papers print them, treat all ratings as independent: they are narrower, and miss the truth in a third to two thirds of
tests with repeated raters. Compare them with papers, conclude from the clustered ones. Means of different tests are not
comparable: listeners stretch the scale to what they hear."""


def markdown(source: Source, report: Mapping[str, Any]) -> str:
    """The report for people."""
    main = report["screened"] or report["everyone"]
    lines = [f"# {source.title}", "", f"{source.method.title}: “{source.question}”", "", *_who(source, report), ""]
    lines += ["## For a paper", "", paragraph(source, report), ""]
    if main["systems"]:
        lines += ["## Means", "", _NOTES, "", *_means_table(main), "", "![means](means.png)", ""]
    if main["differences"]:
        lines += ["## Differences", "", *_differences_table(main["differences"], report["margin"], source), ""]
        lines += ["![differences](differences.png)", ""]
    lines += ["## More raters", "", *_power_lines(main, source)]
    lines += ["## Left out", "", *_left_out_lines(source, report)]
    if main["systems"]:
        lines += ["![raters](raters.png)", ""]
    if "measures" in report:
        lines += ["## Measures beside the listeners", "", *_measures_table(report["measures"]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _who(source: Source, report: Mapping[str, Any]) -> list[str]:
    about, everyone = report["raters"], report["everyone"]
    words = ", ".join(
        [_count(about["n"], "rater"), _count(everyone["n_items"], "item"), _count(everyone["n_ratings"], "rating")]
    )
    if about["n_finished"] is not None:
        words += f"; {about['n_finished']} finished"
    return [f"{words}. Left out by the rules fixed before: {about['n_left_out']}."]


def _means_table(main: Mapping[str, Any]) -> list[str]:
    lines = ["| system | mean | clustered interval | plain interval, as in papers | ratings |", "|---|---|---|---|---|"]
    for system, own in main["systems"].items():
        c, p = own["clustered"], own["plain"]
        lines.append(f"| {_cell(system)} | {c.mean:.2f} | {_range(c)} | {_range(p)} | {own['n']} |")
    return lines


def _differences_table(found: Sequence[Difference], margin: float, source: Source) -> list[str]:
    paired = all(one.paired for one in found)
    lines = [
        "Each over "
        + ("the same raters' ratings of the same items" if paired else "all ratings where pairs are too few")
        + f"; p with Holm's correction for {len(found)} pairs. Equivalent: surely less than {margin:g} apart.",
        "",
        "| better | worse | difference | interval | p (Holm) | p (Wilcoxon, raters) | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        wilcoxon = "" if one.p_wilcoxon is None else _p(one.p_wilcoxon)
        i = one.interval
        cells = [
            _cell(one.better),
            _cell(one.worse),
            f"{i.mean:.2f}",
            _range(i),
            _p(one.p_holm),
            wilcoxon,
            _verdict(one),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if source.method.kind == "pair":
        lines += ["", "| pair | first preferred | second preferred | neither | share of the first, plain interval |"]
        lines.append("|---|---|---|---|---|")
        for one in found:
            if (votes := one.preferred) is not None:
                n = votes.better + votes.worse
                share = f"{votes.better / n:.0%} ({votes.low:.0%} to {votes.high:.0%})" if n else ""
                pair = f"{_cell(one.better)}, {_cell(one.worse)}"
                lines.append(f"| {pair} | {votes.better} | {votes.worse} | {votes.neither} | {share} |")
    return lines


def _verdict(one: Difference) -> str:
    if one.decided:
        return "better" + (", too little to matter" if one.equivalent else "")
    return "equivalent" if one.equivalent else "undecided"


def _power_lines(main: Mapping[str, Any], source: Source) -> list[str]:
    lines = []
    for one in main["differences"]:
        if one.decided or one.equivalent:
            continue
        pair = f"{one.better} and {one.worse}"
        if one.more_raters is None:
            lines.append(
                f"- {pair}: no number of raters would decide on these items; more items would be needed first."
            )
        else:
            lines.append(f"- {pair}: about {one.more_raters} more raters would decide, were the difference as seen.")
    if lines:
        lines.append("")
    if main["plan"]:
        lines += [
            "The smallest difference that would be found four times in five, by how much pairs varied here:",
            "",
            "| items | 10 raters | 20 | 30 | 60 | 120 |",
            "|---|---|---|---|---|---|",
        ]
        by_items: dict[int, list[str]] = {}
        for entry in main["plan"]:
            by_items.setdefault(entry["items"], []).append(f"{entry['detectable']:.2f}")
        lines += [f"| {items} | {' | '.join(cells)} |" for items, cells in by_items.items()]
        lines.append("")
    return lines or ["Too few ratings to plan by.", ""]


def _left_out_lines(source: Source, report: Mapping[str, Any]) -> list[str]:
    rules = "; ".join(words_of(source.rules, source.method.kind)) or "none"
    lines = [f"Rules, fixed before the ratings were seen: {rules}.", ""]
    if report["screened"] is None:
        lines += ["**The rules leave nobody. What stands above is of everyone.**", ""]
    if report["left_out"]:
        lines += ["| rater | why |", "|---|---|"]
        lines += [f"| {_cell(rater)} | {'; '.join(why)} |" for rater, why in report["left_out"].items()]
        lines.append("")
    if report["left_out"] and report["screened"] is not None and report["everyone"]["systems"]:
        lines += ["With everyone:", "", *_means_table(report["everyone"]), ""]
    return lines


def _measures_table(measures: Mapping[str, Any]) -> list[str]:
    lines = ["Over the means of single clips.", "", "| measure | clips | Pearson | Spearman |", "|---|---|---|---|"]
    return lines + [f"| {name} | {m['n']} | {m['pearson']:.2f} | {m['spearman']:.2f} |" for name, m in measures.items()]


def paragraph(source: Source, report: Mapping[str, Any]) -> str:
    """Paragraph for a paper's section on the listening test (Chiang et al. 2023; Cooper et al. 2025)."""
    main, about = report["screened"] or report["everyone"], report["raters"]
    words = [f"We ran a listening test by {source.method.title}."]
    words.append(
        f"Raters answered “{source.question}” on a scale from {source.method.low:g} to {source.method.high:g}."
    )
    n_systems = len({r.system for r in source.ratings} | {r.against for r in source.ratings if r.against})
    words.append(f"{main['n_items']} items of {n_systems} systems were rated by {_count(about['n'], 'rater')}.")
    if "loudness_lufs" in source.made:
        made = source.made
        words.append(
            f"All clips were at {made['sample_rate']} Hz and {made['loudness_lufs']:.1f} LUFS (ITU-R BS.1770), under "
            "names that told nothing; each rater heard every system equally often, in an order by a balanced design "
            f"(seed {made['seed']})."
        )
    if about["devices"]:
        shares = ", ".join(f"{n} with {device}" for device, n in sorted(about["devices"].items()))
        words.append(f"Raters listened {shares}; the clips' language was the first language of {about['n_native']}.")
    if rules := words_of(source.rules, source.method.kind):
        left = about["n_left_out"]
        words.append(f"Rules fixed before left out raters with {'; '.join(rules)}: {left} of {about['n']}.")
    if main["systems"]:
        means = ", ".join(
            f"{system} {own['clustered'].mean:.2f} ± {own['clustered'].half_width:.2f}"
            for system, own in main["systems"].items()
        )
        words.append(
            f"Mean ratings, with 95 % intervals clustered over raters and items (Cameron et al. 2011): {means}."
        )
    decided = [one for one in main["differences"] if one.decided]
    if main["differences"]:
        words.append(
            f"Of {len(main['differences'])} differences {len(decided)} are significant at 5 % after Holm's correction"
            + (": " if decided else "")
            + ", ".join(f"{o.better} over {o.worse} ({o.interval.mean:.2f}, p {_p_words(o.p_holm)})" for o in decided)
            + "."
        )
    words.append("[Add: how raters were found, what they were paid, and which sentences were used.]")
    return " ".join(words)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _range(interval: Interval) -> str:
    if not math.isfinite(interval.half_width):
        return "unknown"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _p_words(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

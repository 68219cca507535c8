"""Has a test of each method taken by simulated raters in Chromium, and shows whether its report finds the true order.

python scripts/listening_chain.py FOLDER [--raters 32] [--items 3] [--methods mos,cmos,ab,mushra,mushra-no-reference]

Needs the extras `listen` and `dev`, and a Chromium. Half an hour on two cores.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "listen"))

from listen_material import say, write_systems
from simulated_raters import QUALITY, stored, take_all

from glowtron.listen.make import Settings, make_test
from glowtron.listen.report import Source, report_ratings

METHODS = ("mushra-no-reference", "mushra", "mos", "ab", "cmos")
PATIENCE_S = 1800.0
"""Whatever else the machine does, no rater gives up."""


def run(method: str, folder: Path, n_raters: int, n_items: int) -> bool:
    """Make, take and report one test; returns whether every pair came out in its true order."""
    began = time.monotonic()
    systems = write_systems(folder / "systems", n_items=n_items, seconds=0.15)
    how = {"headphones": False, "training": 1, **({"reference": "clean"} if method == "mushra" else {})}
    test = make_test(systems, folder / "test", Settings(method=method, raters=n_raters, **how), say)
    take_all(test.folder, n_raters, patience_s=PATIENCE_S)
    report = report_ratings(Source.of_test(test, *stored(test)), folder / "report")
    main = report["screened"] or report["everyone"]
    order = list(QUALITY)
    pairs = [one for one in main["differences"] if {one.better, one.worse} <= set(order)]
    right = all(order.index(one.better) < order.index(one.worse) for one in pairs)
    decided = sum(one.decided for one in pairs)
    minutes = (time.monotonic() - began) / 60
    print(
        f"{method}: {main['n_ratings']} ratings of {main['n_raters']} raters, {len(report['left_out'])} left out, ",
        end="",
        flush=True,
    )
    print(
        f"order {'right' if right else 'WRONG'}, {decided} of {len(pairs)} pairs decided, {minutes:.1f} minutes",
        flush=True,
    )
    return right


def main() -> None:
    """Read the command line and run the methods in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--raters", type=int, default=32)
    parser.add_argument("--items", type=int, default=3)
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    right = [run(method, given.folder / method, given.raters, given.items) for method in given.methods.split(",")]
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()

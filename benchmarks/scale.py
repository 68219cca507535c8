r"""How many cores serve how many listeners, how soon, and for how much: a simulation of queues at measured rates.

    python benchmarks/scale.py                                         the tables of docs/scale.md
    python benchmarks/scale.py --rate 20 --first-s 0.05 --price 0.02   with rates and a price of your own

A *machine* has cores, each of which speaks one sentence at a time; requests take turns sentence by sentence, as in
`glowtron.serve.queue`. Somebody in a *dialogue* asks for a reply of three sentences, 12 s, once a minute; a *reader*
asks for a page of fifteen sentences, a minute, every minute, and so listens without end. Requests come at random
(Poisson). A balancer in front gives a request to one machine: to the one with less in work of two that are drawn (as
Ray Serve does), or to any (as a Service of Kubernetes does).

The *first sound* of a request is its wait for a core and the time of its first piece; a *gap* is when a sentence is not
there when the one before it ends. A pool of 16 machines stands for any larger one: machines share nothing but the
balancer, whose choices depend on shares and not on numbers.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was measured of one core."""

    audio_s_per_s: float
    """Seconds of sound that a core makes in a second of a loaded server."""
    first_s: float
    """Seconds from the start of a request's work to its first sound."""


RATES = Rates(audio_s_per_s=12.0, first_s=0.112)
"""Of `duet` on AMD EPYC (Zen 3): half of what two cores made in `benchmarks/serve.py throughput`, and `first-sound`."""


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """What people ask for."""

    n: int
    requests_per_minute: float = 1.0
    """Of each listener."""
    sentences: float = 3.0
    """Of a request; from 1, geometric about this mean."""
    sentence_s: float = 4.0
    """Of sound; uniform from half to one and a half of it."""

    @property
    def audio_s_per_s(self) -> float:
        """Seconds of sound asked for in a second."""
        return self.n * self.requests_per_minute / 60 * self.sentences * self.sentence_s


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What serves them."""

    machines: int
    cores: int
    """Of a machine."""
    balance: Literal["two", "any"] = "two"
    """Which machine a request goes to: the less busy of two, or any."""


class Outcome(NamedTuple):
    """What listeners met with."""

    first_s: list[float]
    """First sounds of requests, in order."""
    gaps: float
    """Share of requests with a gap."""
    busy: float
    """Share of the cores' time that was worked."""

    def first_within(self, share: float) -> float:
        """First sound that this share of requests had, or had sooner."""
        return self.first_s[min(len(self.first_s) - 1, int(share * len(self.first_s)))]


class Request:
    """A request in work."""

    __slots__ = ("arrived_s", "gapped", "heard_until_s", "left_s")

    def __init__(self, arrived_s: float, left_s: deque[float]) -> None:
        self.arrived_s = arrived_s
        self.left_s = left_s
        """Sound of the sentences that were not begun."""
        self.heard_until_s = math.inf
        """When what is made of it has been heard."""
        self.gapped = False


def simulate(rates: Rates, listeners: Listeners, pool: Pool, seconds: float = 600.0, seed: int = 0) -> Outcome:
    """Serve listeners for so long; requests that come in the first tenth are not counted, as all begins empty."""
    drawn = random.Random(seed)
    free = [pool.cores] * pool.machines
    ready: list[deque[Request]] = [deque() for _ in range(pool.machines)]
    in_work = [0] * pool.machines
    events: list[tuple[float, int, int, Request | None]] = []
    per_s = listeners.n * listeners.requests_per_minute / 60
    warm_s, worked_s, n_events = seconds / 10, 0.0, 0
    first, n_gapped = [], 0

    def push(when_s: float, machine: int, request: Request | None) -> None:
        nonlocal n_events
        n_events += 1
        heapq.heappush(events, (when_s, n_events, machine, request))

    def begin(now_s: float, machine: int) -> None:
        """Have free cores take turns at what is ready."""
        nonlocal worked_s, n_gapped
        while free[machine] and ready[machine]:
            request = ready[machine].popleft()
            free[machine] -= 1
            audio_s = request.left_s.popleft()
            taken_s = max(audio_s / rates.audio_s_per_s, rates.first_s)
            worked_s += taken_s
            if request.heard_until_s == math.inf:
                heard_s = now_s + rates.first_s
                if request.arrived_s >= warm_s:
                    first.append(heard_s - request.arrived_s)
                request.heard_until_s = heard_s + audio_s
            else:
                begun_s = now_s + rates.first_s
                if begun_s > request.heard_until_s and not request.gapped:
                    request.gapped = True
                    n_gapped += request.arrived_s >= warm_s
                request.heard_until_s = max(request.heard_until_s, begun_s) + audio_s
            push(now_s + taken_s, machine, request)

    push(drawn.expovariate(per_s), -1, None)
    while events:
        now_s, _, machine, request = heapq.heappop(events)
        if request is None:
            if now_s >= seconds:
                continue
            push(now_s + drawn.expovariate(per_s), -1, None)
            one = drawn.randrange(pool.machines)
            if pool.balance == "two":
                other = drawn.randrange(pool.machines)
                one = min(one, other, key=lambda i: in_work[i])
            n = 1 if listeners.sentences <= 1 else 1 + _geometric(drawn, listeners.sentences - 1)
            sentences = deque(listeners.sentence_s * drawn.uniform(0.5, 1.5) for _ in range(n))
            in_work[one] += 1
            ready[one].append(Request(now_s, sentences))
            begin(now_s, one)
            continue
        free[machine] += 1
        if request.left_s:
            ready[machine].append(request)
        else:
            in_work[machine] -= 1
        begin(now_s, machine)
    return Outcome(sorted(first), n_gapped / max(1, len(first)), worked_s / (seconds * pool.machines * pool.cores))


def _geometric(drawn: random.Random, mean: float) -> int:
    """0, 1, 2, ... about a mean."""
    return int(math.log(1 - drawn.random()) / math.log(mean / (1 + mean)))


def most_listeners(
    rates: Rates,
    asked: Listeners,
    pool: Pool,
    within_s: float,
    share: float = 0.95,
    seconds: float = 600.0,
    gaps: float = 0.01,
) -> tuple[int, Outcome]:
    """The most listeners of whom this share have their first sound within so long, and few a gap; to about 2 %."""

    def outcome(n: int) -> Outcome:
        return simulate(rates, replace(asked, n=n), pool, seconds)

    def good(found: Outcome) -> bool:
        return bool(found.first_s) and found.first_within(share) <= within_s and found.gaps <= gaps

    # At as much work as there is time, queues grow without end: the answer lies below.
    low = 0
    one = replace(asked, n=1).audio_s_per_s / rates.audio_s_per_s
    high = math.ceil(pool.machines * pool.cores / one) + 1
    best = Outcome([], 0.0, 0.0)
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        found = outcome(middle)
        if good(found):
            low, best = middle, found
        else:
            high = middle
    return low, best


KINDS = {
    "dialogue": Listeners(n=1),
    "reader": Listeners(n=1, sentences=15.0),
}
MACHINES = 16
"""That stand for any more."""


def machines_for(n: int, rates: Rates, asked: Listeners, cores: int, within_s: float) -> tuple[int, Outcome]:
    """How many machines serve so many listeners, and what these meet with."""
    alone = simulate(rates, replace(asked, n=n), Pool(machines=1, cores=cores), 3000.0) if n < 100 else None
    if alone and alone.first_within(0.95) <= within_s:
        return 1, alone
    most, _ = most_listeners(rates, asked, Pool(machines=MACHINES, cores=cores), within_s, seconds=300.0)
    if not most:
        return 0, Outcome([], 0.0, 0.0)
    n_machines = max(1, math.ceil(n / (most / MACHINES)))
    stand_in = min(n_machines, MACHINES)
    met = simulate(rates, replace(asked, n=n * stand_in // n_machines), Pool(machines=stand_in, cores=cores), 300.0)
    return n_machines, met


def table(rates: Rates, cores: int, price: float) -> str:
    """Rows of Markdown. price: of a core for an hour."""
    lines = [
        "| listeners | who are | first sound of 95 % within | machines | cores | busy | 50 % | 99 % | gaps "
        "| price an hour | of an hour listened |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for n in (1, 1_000, 1_000_000):
        for name, asked in KINDS.items():
            for within_s in (0.25, 0.5, 1.0) if n > 1 else (0.25,):
                each = 1 if n == 1 else cores
                machines, met = machines_for(n, rates, asked, each, within_s)
                if not machines:
                    lines.append(f"| {n:,} | {name} | {within_s} s | not to be had |" + " |" * 7)
                    continue
                per_hour = machines * each * price
                heard = per_hour / replace(asked, n=n).audio_s_per_s
                lines.append(
                    f"| {n:,} | {name} | {within_s} s | {machines:,} | {machines * each:,} | {met.busy:.0%} "
                    f"| {met.first_within(0.5):.2f} s | {met.first_within(0.99):.2f} s | {met.gaps:.1%} "
                    f"| {per_hour:,.2f} | {heard:.4f} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rate", type=float, default=RATES.audio_s_per_s, help="seconds of sound a core makes a second"
    )
    parser.add_argument(
        "--first-s", type=float, default=RATES.first_s, help="seconds to the first sound on an idle core"
    )
    parser.add_argument("--cores", type=int, default=8, help="of a machine; one listener is given one core")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour, in any money")
    given = parser.parse_args()
    print(table(Rates(audio_s_per_s=given.rate, first_s=given.first_s), given.cores, given.price))


if __name__ == "__main__":
    main()

"""Changes to markets that are true while they last: every answer agrees with every other one.

One row each; the truth that tests compare with changes too. Stays out: single answers that are
wrong (`page_faults`).
"""

from dataclasses import replace

from data_platform.simulator.edits import Correction, Gap, Late, Standing, to_minute
from data_platform.simulator.fault import Fault, Options, count, factor, moment, pair, seconds

_MINUTE_MS = 60_000


def _gap(standing: Standing, options: Options) -> Standing:
    gap = Gap(to_minute(options["start"]), to_minute(options["end"]))
    return replace(standing, edits=(*standing.edits, gap))


def _correction(standing: Standing, options: Options) -> Standing:
    start = to_minute(options["time"])
    end = start + options["minutes"] * _MINUTE_MS
    correction = Correction(start, end, options["factor"])
    return replace(standing, edits=(*standing.edits, correction))


def _late(standing: Standing, options: Options) -> Standing:
    late = Late(round(options["seconds"] * 1000), options["time"])
    return replace(standing, late=(*standing.late, late))


def _delisted(standing: Standing, _options: Options) -> Standing:
    return replace(standing, is_delisted=True)


def _renamed(standing: Standing, options: Options) -> Standing:
    return replace(standing, renamed=options["to"])


MARKET_FAULTS: tuple[Fault, ...] = (
    Fault(
        "gap",
        "no candles in a range, of one pair or of all; coarser ones are made of the rest",
        change=_gap,
        options={"start": moment("first minute"), "end": moment("exclusive")},
    ),
    Fault(
        "correction",
        "a closed candle changes, in all coarser timeframes too, from `since` on",
        change=_correction,
        options={
            "time": moment("opening time of the first minute that changes"),
            "minutes": count(1, "how many change"),
            "factor": factor(1.01, "what prices and volume are multiplied by"),
        },
        needs_symbol=True,
    ),
    Fault(
        "late_candle",
        "a candle appears only some time after its close",
        change=_late,
        options={
            "seconds": seconds(None, "after its close"),
            "time": moment("only the candle that holds this time", is_required=False),
        },
    ),
    Fault(
        "delisting",
        "the pair is unknown, from `since` on",
        change=_delisted,
        needs_symbol=True,
    ),
    Fault(
        "rename",
        "the pair has another name, from `since` on, and is unknown by the old one",
        change=_renamed,
        options={"to": pair("its new name")},
        needs_symbol=True,
    ),
)

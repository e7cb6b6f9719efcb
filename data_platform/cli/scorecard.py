"""`data-platform scorecard`: how far the checks themselves can be trusted."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from data_platform.cli.output import open_console, print_document
from data_platform.operations.detectors import Detectors
from data_platform.operations.scorecard import (
    FalseAlarms,
    Recall,
    Scorecard,
    judge_files,
    score_detectors,
)
from data_platform.settings import load_settings

MATCHING = (
    "A finding is true where its open_time is exactly a time that was planted, as the check "
    "reports it: the candle's, the first missing one's, midnight of the day; inside a run, any of "
    "its candles. All else is a false alarm, also right beside a defect."
)


@click.command()
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=1000),
    default=20,
    show_default=True,
    help="How many made-up markets.",
)
@click.option(
    "--real",
    envvar="REAL_CANDLES",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of real candles to look at, too: <name>__<timeframe>.parquet.",
    show_envvar=True,
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def scorecard(context: click.Context, seeds: int, real: Path | None, *, as_json: bool) -> None:
    """Plant every defect in made-up markets, and tell what the checks find and what else they say.

    Looks with the audit and all rules across rows, over gaps and between series, under the limits
    of configs/thresholds.yaml. Touches no lake. Exits 1 when a check misses something that cannot
    be true.
    """
    detectors = Detectors(load_settings().thresholds.limits)
    card = score_detectors(range(seeds), detectors)
    alarms = judge_files(real, detectors) if real else []
    if as_json:
        print_document(to_document(card, alarms))
    else:
        _print(card, alarms, has_real=real is not None)
    if card.missed:
        context.exit(1)


def to_document(card: Scorecard, real: Sequence[FalseAlarms]) -> dict[str, object]:
    """Return a scorecard as JSON can hold it."""
    return {
        "seeds": card.seeds,
        "matching": MATCHING,
        "recall": [{**asdict(it), "recall": it.recall} for it in card.recalls],
        "precision": [
            {"check": check, "true": true, "false": false, "precision": card.precision(check)}
            for check, true, false in card.findings
        ],
        "false_alarms": [asdict(it) for it in card.false_alarms],
        "real": [asdict(it) for it in real],
    }


def _print(card: Scorecard, real: Sequence[FalseAlarms], *, has_real: bool) -> None:
    console = open_console()
    console.print(f"{card.seeds} made-up markets. {MATCHING}\n")
    console.print(_recalls(card))
    console.print(_precisions(card))
    console.print(_alarms("False alarms on made-up markets", card.false_alarms))
    if has_real:
        console.print(_alarms("Findings in real candles, to be looked at", real))
    for line in _verdict(card):
        console.print(line)


def _recalls(card: Scorecard) -> Table:
    table = Table("defect", "check", title="Recall", title_justify="left")
    for name in ("planted", "found", "recall"):
        table.add_column(name, justify="right")
    last = ""
    for it in card.recalls:
        defect = "" if it.defect == last else it.defect + ("" if it.is_impossible else " *")
        style = "" if it.found == it.planted else "red" if it.is_impossible else "yellow"
        last = it.defect
        recall = Text(f"{it.recall:.3f}", style)
        table.add_row(defect, it.check, f"{it.planted:,}", f"{it.found:,}", recall)
    table.caption = "* unusual or missing, but possible"
    return table


def _precisions(card: Scorecard) -> Table:
    table = Table("check", title="Precision", title_justify="left")
    for name in ("true", "false", "precision"):
        table.add_column(name, justify="right")
    for check, true, false in card.findings:
        precision = card.precision(check)
        spelled = "-" if precision is None else f"{precision:.3f}"
        table.add_row(check, f"{true:,}", f"{false:,}", spelled)
    return table


def _alarms(title: str, alarms: Sequence[FalseAlarms]) -> Table:
    table = Table("check", "where", title=title, title_justify="left")
    for name in ("count", "of candles"):
        table.add_column(name, justify="right")
    table.add_column("the first")
    for it in alarms:
        table.add_row(it.check, it.where, f"{it.count:,}", f"{it.candles:,}", "; ".join(it.first))
    return table


def _verdict(card: Scorecard) -> Iterator[Text]:
    missed: Sequence[Recall] = card.missed
    for it in missed:
        lost = it.planted - it.found
        yield Text(f"{it.check} has missed {lost:,} of {it.planted:,}: {it.defect}", "red")
    if not missed:
        yield Text("Everything that cannot be true was found, each time.")

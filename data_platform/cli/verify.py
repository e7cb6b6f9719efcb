"""`data-platform verify`: is every file of the lake what was written?"""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from data_platform.cli.options import selection_options
from data_platform.cli.output import print_document
from data_platform.domain.errors import StorageError
from data_platform.domain.markets import Pair, to_exchange, to_pair
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import opened_lake
from data_platform.operations.verify import (
    EXIT_CODES,
    Verification,
    remedy_of,
    require_state,
    spell_name,
    verify_lake,
)
from data_platform.settings import Settings, load_settings
from data_platform.storage.examine import Depth
from data_platform.storage.inventory import Chosen
from data_platform.storage.survey import Survey


@click.command()
@selection_options
@click.option(
    "--quick", is_flag=True, help="Sizes and times only; hash what was touched since its last hash."
)
@click.option("--deep", is_flag=True, help="Also read every row and compare it with the journal.")
@click.option("--json", "is_json", is_flag=True, help="One object, for programs.")
def verify(*, quick: bool, deep: bool, is_json: bool, **typed: Any) -> None:  # noqa: ANN401
    r"""Compare every file of the lake with the journal; print what is wrong and what to do.

    Looks at partitions, exports, replaced files and quarantine: sha256, schema version, rows,
    whose they are; names files that are gone, torn or written by nobody. What is damaged is left
    out of the catalogue, so that queries over all series go on. Repairs nothing.

    Exits 0 when all is sound, 1 when something is damaged, 2 when it could not be checked.

    \b
    --json prints: verdict (sound, damaged, unchecked), depth, lake, files, bytes, hashed_bytes,
    seconds, mb_per_second, left_out_of_catalog (paths), catalog, error, unchecked (path, reason),
    findings (kind, path, layer, exchange, timeframe, pair, feature_set, period, area, fault,
    remedy); kind is damaged, gone, unknown, unjournalled or leftover.
    """
    if quick and deep:
        raise click.UsageError("--quick and --deep exclude each other.")
    depth: Depth = "quick" if quick else "deep" if deep else "full"
    settings = load_settings()
    try:
        chosen = to_chosen(settings, **typed)
        found = verify_lake(settings.data_root, settings.state_url, chosen, depth)
    except StorageError as error:
        _print_unchecked(settings, depth, str(error), is_json=is_json)
        sys.exit(EXIT_CODES["unchecked"])
    if is_json:
        print_document(_to_document(settings, depth, found))
    else:
        print_findings(found)
    sys.exit(EXIT_CODES[found.verdict])


def to_chosen(  # noqa: PLR0913  # one for each option, all by name
    settings: Settings,
    *,
    exchanges: Sequence[str],
    pairs: Sequence[str],
    timeframes: Sequence[Timeframe],
    layers: Sequence[str],
    start: datetime | None,
    end: datetime | None,
) -> Chosen:
    """Return the part of the lake that was typed; what is stored counts as much as the config.

    Raises:
        WrongUseError: a word names nothing that is configured or stored.
        StorageError: there is no lake, or its state cannot be read.
    """
    wished_exchanges = wished_pairs = None
    if exchanges or pairs:
        names, known = _known(settings)
        wished_exchanges = {to_exchange(text, sorted(names)) for text in exchanges} or None
        wished_pairs = {to_pair(text, known).key for text in pairs} or None
    return Chosen(
        exchanges=frozenset(wished_exchanges) if wished_exchanges else None,
        timeframes=frozenset(it.name for it in timeframes) or None,
        pairs=frozenset(wished_pairs) if wished_pairs else None,
        layers=frozenset(layers) or None,
        **({"first": period_of(start).key} if start else {}),
        **({"last": period_of(end - timedelta(milliseconds=1)).key} if end else {}),
    )


def _known(settings: Settings) -> tuple[set[str], set[Pair]]:
    require_state(settings.data_root, settings.state_url)
    names = set(settings.exchanges)
    pairs = {pair for exchange in settings.exchanges.values() for pair in exchange.pairs}
    with opened_lake(settings.data_root, settings.state_url) as lake:
        for row in lake.store.journal_rows("ohlcv"):
            names.add(row.series.exchange)
            pairs.add(row.series.pair)
    return names, pairs


def print_findings(found: Verification) -> None:
    """Print each fault with its remedy, and one line of the whole."""
    for it in found.survey.findings:
        click.echo(f"{spell_name(it)}: {it.path}: {it.fault}. {remedy_of(it)}")
    for path, reason in found.survey.unchecked.items():
        click.echo(f"{path}: could not be read ({reason}). Check its permissions.")
    if found.catalog:
        click.echo(found.catalog)
    click.echo(_summary(found))


def _summary(found: Verification) -> str:
    looked = found.survey
    counts = Counter(it.kind for it in looked.findings)
    said = [f"{count} {kind}" for kind, count in counts.items()]
    if looked.unchecked:
        said.append(f"{len(looked.unchecked)} could not be read")
    speed = f" ({found.speed:,.0f} MB/s)" if looked.hashed else ""
    hashed = f"{looked.hashed / 1e6:,.1f} MB hashed"
    return (
        f"{looked.files:,} files, {looked.size / 1e6:,.1f} MB, {hashed} "
        f"in {found.seconds:.1f} s{speed}: {', '.join(said) or 'all sound'}"
    )


def _print_unchecked(settings: Settings, depth: Depth, reason: str, *, is_json: bool) -> None:
    if is_json:
        nothing = Verification(Survey((), {}, 0, 0, 0), (), "", 0.0)
        told = _to_document(settings, depth, nothing)
        print_document(told | {"verdict": "unchecked", "error": reason})
    else:
        click.echo(f"data-platform: {' '.join(reason.split())}", err=True)


def _to_document(settings: Settings, depth: Depth, found: Verification) -> dict[str, object]:
    looked = found.survey
    return {
        "verdict": found.verdict,
        "depth": depth,
        "lake": str(settings.data_root),
        "files": looked.files,
        "bytes": looked.size,
        "hashed_bytes": looked.hashed,
        "seconds": round(found.seconds, 3),
        "mb_per_second": round(found.speed, 1),
        "left_out_of_catalog": list(found.left_out),
        "catalog": found.catalog,
        "error": "",
        "unchecked": [{"path": path, "reason": why} for path, why in looked.unchecked.items()],
        "findings": [
            {"kind": it.kind, "path": it.path, **it.key, "area": it.area, "fault": it.fault}
            | {"remedy": remedy_of(it)}
            for it in looked.findings
        ],
    }

"""Every indicator, its parameters, warm-up, units and source, and where `ta` is not followed.

`docs/indicators.md` is what this spells; a test holds the two together.
"""

from collections.abc import Iterator

from data_platform.indicators.columns import INDICATORS, to_recipe
from data_platform.indicators.departures import DEPARTURES, OMISSIONS
from data_platform.indicators.indicator import ALL, MAX_ROWS, Indicator

_INTRODUCTION = f"""# Indicators

Made by `data-platform dictionary --indicators`; `make docs` writes it anew.

A name and all its parameters make a column's name: `sma_20`, `bb_20_2`, `kama_10_2_30`, `obv`.
None may be left out: one column has one name. Rows are whole numbers from 1 to {MAX_ROWS}, factors
decimals above 0, to 100. The key `indicators` of the platform config names what the indicators
layer stores; feature sets take any.

Row t uses candles up to t, of its own segment: nothing reaches over a break that was left
unfilled. What is not known is null, never 0 or NaN. **Warm-up** is how many candles before a row
make its value what it always is, to the last bit, however much more history there is: so a month
comes out the same whether history is computed whole, in months or candle by candle. `all` is the
row's whole segment, from its first stored candle on. A correction of one candle then changes every
later row of the segment, and the months that hold them are stale and computed anew; a correction
before the segment changes none.

The library [ta](https://github.com/bukosabino/ta) 0.11.0 is the reference: after the warm-up its
values are these to 1e-9, which tests prove for every column, and once a day the check
`equals_reference` compares a window of a stored month of each asset. Where it is not followed
stands below; there the textbook's formula, exact sums and TA-Lib 0.8.2 are what tests compare with.
"""


def spell_indicators() -> str:
    """Return the list of indicators as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield "| name | what | columns, units | reads | warm-up | source |"
    yield "|---|---|---|---|---|---|"
    for indicator in INDICATORS:
        yield _row(indicator)
    yield from ("", "## Where ta is not followed", "")
    yield "| columns | where | ta | here |"
    yield "|---|---|---|---|"
    for row in DEPARTURES:
        columns = ", ".join(f"`{column}`" for column in row.columns)
        yield f"| {columns} | {row.where} | {row.theirs} | {row.ours} |"
    yield from ("", "## What of ta has no column", "")
    yield "Every class of it also has `fillna`, which fills the warm-up; here it is null."
    yield from ("", "| in ta | here |", "|---|---|")
    for omission in OMISSIONS:
        yield f"| `{omission.place}` | {omission.reason} |"


def _row(indicator: Indicator) -> str:
    recipe = to_recipe(indicator.default_name)
    parameters = ", ".join(f"{it.name} {it.default:g}" for it in indicator.parameters)
    columns = "; ".join(f"`{column.name}` {column.unit}" for column in recipe.columns)
    cells = (
        f"`{indicator.default_name}`" + (f": {parameters}" if parameters else ""),
        indicator.title,
        columns,
        ", ".join(indicator.inputs),
        ALL if recipe.warm_up == ALL else f"{recipe.warm_up:,}",
        indicator.source,
    )
    return "| " + " | ".join(cells) + " |"

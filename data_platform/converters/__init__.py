"""Another program's format: pure conversions between our candles and foreign files.

Belongs here: one module per program, and the tuple that lists them. Stays out: the frameworks
themselves (none is imported), paths of the lake, journals.
"""

from data_platform.converters.converter import Converter, FileFormat
from data_platform.converters.freqtrade import CONVERTER as FREQTRADE
from data_platform.converters.freqtrade import PARQUET as FREQTRADE_PARQUET
from data_platform.converters.nautilus import CONVERTER as NAUTILUS
from data_platform.converters.nautilus_csv import CSV as NAUTILUS_CSV
from data_platform.converters.vectorbt import CONVERTER as VECTORBT

CONVERTERS: tuple[Converter, ...] = (VECTORBT, FREQTRADE, NAUTILUS)

CONVERTERS_BY_NAME = {converter.name: converter for converter in CONVERTERS}

FORMATS: tuple[FileFormat, ...] = (FREQTRADE_PARQUET, NAUTILUS_CSV)
"""Written by `data-platform export` alone: no assets, so they cost nobody who does not ask."""

FORMATS_BY_NAME = {each.name: each for each in FORMATS}

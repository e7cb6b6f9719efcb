"""Another program's format: pure conversions between our candles and foreign files.

Belongs here: one module per program, and the tuple that lists them. Stays out: the frameworks
themselves (none is imported), paths of the lake, journals.
"""

from data_platform.converters.converter import Converter
from data_platform.converters.freqtrade import CONVERTER as FREQTRADE
from data_platform.converters.nautilus import CONVERTER as NAUTILUS
from data_platform.converters.vectorbt import CONVERTER as VECTORBT

CONVERTERS: tuple[Converter, ...] = (VECTORBT, FREQTRADE, NAUTILUS)

CONVERTERS_BY_NAME = {converter.name: converter for converter in CONVERTERS}

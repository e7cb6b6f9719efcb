import subprocess
import sys

from data_platform.config.exchanges import ccxt_exchanges
from data_platform.domain.exchanges import EXCHANGES


def test_the_installed_ccxt_is_known_without_importing_it() -> None:
    known = ccxt_exchanges()
    assert len(known) > 90
    assert {exchange.ccxt_id or exchange.name for exchange in EXCHANGES} <= known
    assert "__init__" not in known


def test_loading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys; from data_platform.settings import load_settings; load_settings({});"
        "print(*sorted({'ccxt', 'pandas', 'pandera', 'duckdb', 'dagster', 'sqlalchemy'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

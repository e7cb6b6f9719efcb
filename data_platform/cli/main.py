"""The group of all commands, and what becomes of an error.

Exit codes: 0 all done, 1 something failed, 2 wrong use. An error meant for people is one line on
stderr; anything else is a defect of the program and keeps its traceback.
"""

from typing import Any

import click

from data_platform.cli.alerts import alerts
from data_platform.cli.backup import backup
from data_platform.cli.demo import demo
from data_platform.cli.demo_correction import demo_correction
from data_platform.cli.dictionary import dictionary
from data_platform.cli.doctor import doctor
from data_platform.cli.download import download
from data_platform.cli.export import export
from data_platform.cli.generate_sample import generate_sample
from data_platform.cli.history import history
from data_platform.cli.import_candles import import_command
from data_platform.cli.prove_causal import prove_causal
from data_platform.cli.quarantine import quarantine
from data_platform.cli.query import query
from data_platform.cli.report import report
from data_platform.cli.restore import restore
from data_platform.cli.retention import retention
from data_platform.cli.scorecard import scorecard
from data_platform.cli.show import show
from data_platform.cli.simulate import simulate
from data_platform.cli.snapshot import snapshot
from data_platform.cli.state import state
from data_platform.cli.status import status
from data_platform.cli.verify import verify
from data_platform.domain.errors import DataPlatformError, WrongUseError

FAILED = 1
WRONG_USE = 2


class PlatformGroup(click.Group):
    """A group that prints the platform's own errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run a command; end with 1 or 2 where it raised an error meant for people."""
        try:
            return super().invoke(ctx)
        except DataPlatformError as error:
            line = " ".join(str(error).split())
            click.echo(f"data-platform: {line}", err=True)
            ctx.exit(WRONG_USE if isinstance(error, WrongUseError) else FAILED)


@click.group(cls=PlatformGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="data-platform")
def main() -> None:
    """Proven OHLCV candles from any exchange to VectorBT, Freqtrade and NautilusTrader.

    DATA_PLATFORM_CONFIG names the config (default configs/platform.yaml), DATA_PLATFORM_DATA the
    root of the lake (default data/).
    """


COMMANDS = (
    *(
        alerts,
        backup,
        demo,
        demo_correction,
        dictionary,
        doctor,
        download,
        export,
        generate_sample,
        history,
        import_command,
        prove_causal,
        quarantine,
        query,
        restore,
        show,
    ),
    *(report, retention, scorecard, simulate, snapshot, state, status, verify),
)

for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()

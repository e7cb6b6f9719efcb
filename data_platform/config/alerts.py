"""When somebody is told, as `configs/thresholds.yaml` says, and by which channels.

Stays out: what an alarm is (`operations/alarms.py`) and how a message goes out
(`operations/alerts.py`).
"""

from data_platform.config.models import read_model
from data_platform.config.strict_yaml import Document
from data_platform.config.thresholds_file import ThresholdsFile
from data_platform.domain.alerts import AlarmLimits, Channel


def read_alarm_limits(document: Document) -> AlarmLimits:
    """Return when something is bad enough; what the file leaves out keeps its default.

    Raises:
        ConfigError: an unknown key, or a value out of range; names file and line.
    """
    given = dict(read_model(document, ThresholdsFile).alerts)
    return AlarmLimits(**{name: value for name, value in given.items() if value is not None})


def to_channels(text: str) -> tuple[Channel, ...]:
    """Return the channels of a variable that holds Apprise URLs, parted by spaces; each once."""
    return tuple(Channel(url) for url in dict.fromkeys(text.split()))

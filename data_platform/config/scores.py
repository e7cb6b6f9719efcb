"""The profiles by which scores are weighed, as `configs/thresholds.yaml` sets them.

Stays out: what a component is (`quality/score.py`).
"""

from math import isclose

from data_platform.config.models import read_model
from data_platform.config.strict_yaml import Document
from data_platform.config.thresholds_file import ProfileEntry, ThresholdsFile
from data_platform.quality.score import COMPONENTS, Profile, Profiles


def read_profiles(document: Document) -> Profiles:
    """Return both profiles and which is shown first; what the file is silent of keeps its default.

    Raises:
        ConfigError: an unknown key, component or profile, or weights that do not sum to 1; names
            file and line.
    """
    given = read_model(document, ThresholdsFile).scores
    defaults = Profiles()
    names = [profile.name for profile in defaults.both]
    if given.default is not None and given.default not in names:
        raise document.error(
            ("scores", "default"),
            f"expected one of {', '.join(names)}, found {given.default!r}.",
        )
    entries = {names[0]: given.five_dimensions, names[1]: given.four_dimensions}
    five, four = (_profile(document, profile, entries[profile.name]) for profile in defaults.both)
    return Profiles(five, four, given.default or defaults.default)


def _profile(document: Document, own: Profile, entry: ProfileEntry | None) -> Profile:
    if entry is None:
        return own
    place = ("scores", own.name, "weights")
    for name in entry.weights:
        if name not in COMPONENTS:
            raise document.error(
                (*place, name), f"unknown component. Accepted: {', '.join(COMPONENTS)}."
            )
    total = sum(entry.weights.values())
    if not isclose(total, 1.0, abs_tol=1e-9):
        raise document.error(place, f"expected weights that sum to 1, found {total:.10g}.")
    if entry.version == own.version and entry.weights != own.weights:
        raise document.error(
            ("scores", own.name, "version"),
            f"version {own.version} is what is shipped, with other weights: scores of two "
            "measures would stand under one name. Raise it.",
        )
    return Profile(own.name, entry.version, entry.weights)

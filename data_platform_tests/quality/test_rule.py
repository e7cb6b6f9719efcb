import dataclasses

import pytest

from data_platform.quality.continuity import GAP_RULES, RULES
from data_platform.quality.freshness import FRESHNESS_RULES


@pytest.mark.parametrize("rule", [RULES[0], GAP_RULES[0], FRESHNESS_RULES[0]])
def test_a_rule_cannot_be_changed(rule: object) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "another"  # type: ignore[attr-defined]

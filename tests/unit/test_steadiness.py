"""
Steadiness: a difference that changes over the rounds is found.
"""

from __future__ import annotations

import pytest

from analysis.topics.warm_up.findings import over_rounds
from tests.unit.samples import side_by_side, trial

PAIR = ("netns", "docker")


def test_a_difference_that_grows_is_found_whatever_the_machine_does() -> None:
    """
    From the first half of the rounds to the second, without the middle one of an odd number.
    """
    trials = []
    for block in range(1, 4):
        drift = [1000.0, 1500.0, 900.0 * block, 2000.0, 1200.0]
        times = [1.1, 1.1, 9.0, 1.21, 1.21]
        both = [us * more for us, more in zip(drift, times, strict=True)]
        trials += [side_by_side(1, block, "netns", drift), side_by_side(2, block, "docker", both)]
    found = over_rounds(*PAIR, trials)
    assert found is not None
    assert found.estimate == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)


def test_without_two_rounds_of_both_nothing_is_said() -> None:
    """
    Nor where one of them has one load alone.
    """
    assert over_rounds(*PAIR, []) is None
    single = [side_by_side(1, 1, "netns", [1000]), side_by_side(2, 1, "docker", [1000, 1100])]
    assert over_rounds(*PAIR, single) is None
    assert over_rounds(*PAIR, [trial(1, 1, "netns", 100), trial(2, 1, "docker", 100)]) is None

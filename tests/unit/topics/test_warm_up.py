"""
Cold start and warm-up: what is recorded is shown, and what is not is not made up.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.warm_up.findings import over_rounds
from analysis.topics.warm_up.section import warm_up, warm_up_details
from experiments.declare.variants import Comparison
from tests.unit.reading import rows_of
from tests.unit.samples import failed_trial, findings, load, manifest, side_by_side, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def started(each: TrialRecord, answer_s: float, cold_rate: float) -> TrialRecord:
    """
    A trial whose start was recorded.
    """
    cold = structs.replace(load(cold_rate), requests=100)
    return structs.replace(each, first_answer_s=answer_s, cold=cold)


def pairs() -> list[TrialRecord]:
    """
    Three blocks of four rounds in which docker answers 0.5, 0.6 and 0.7 s later.

    Against netns its last two rounds take 1.1 times as long as its first two.
    """
    trials = []
    for block in (1, 2, 3):
        later = 0.4 + block / 10
        netns = side_by_side(2 * block, block, "netns", [4000.0] * 4)
        docker = side_by_side(7 * block, block, "docker", [4800.0, 4800.0, 5280.0, 5280.0])
        trials.append(started(netns, 1.0, 200))
        trials.append(started(docker, 1.0 + later, 100))
    return trials


def with_twin(made: Manifest) -> Manifest:
    """
    The same run with its baseline declared twice, and compared with itself.
    """
    again = dataclasses.replace(made.variants[0], name="netns-again")
    pair = Comparison("A/A", "", "netns", "netns-again")
    return dataclasses.replace(
        made, variants=[*made.variants, again], comparisons=[*made.comparisons, pair]
    )


def text_of(made: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    What the report says of it, in its two places.
    """
    found = findings(made, trials)
    return "\n\n".join([section(found) for section in (warm_up, warm_up_details)]).strip()


def test_each_variant_shows_how_it_began() -> None:
    """
    Its first requests against those that count.
    """
    text = text_of(manifest(blocks=3), pairs())
    assert text.startswith("## Cold start and warm-up\n")
    assert "100 of a fresh deployment" in text
    (netns,) = rows_of(text, "netns")
    assert netns[1:] == ["3", "1.00 ± 0.00", "5000 ± 0", "+25.0 % [+25.0, +25.0]"]
    (docker,) = rows_of(text, "docker")
    # Student's t(0.975, 2) is 4.303: of 1.5, 1.6 and 1.7 the mean, ± 4.303 × 0.1 / √3.
    assert docker[1:4] == ["3", "1.60 ± 0.25", "10000 ± 0"]


def test_that_others_came_up_at_the_same_time_is_said() -> None:
    """
    Seconds are more than one alone would take.
    """
    made = manifest(blocks=3)
    seen = dataclasses.replace(made.environment, brought_up_at_once=7)
    assert "7 deployments" in text_of(dataclasses.replace(made, environment=seen), pairs())
    assert "deployments came up" not in text_of(made, pairs())


def test_each_comparison_is_paired_and_the_twin_is_none() -> None:
    """
    By blocks: seconds to the first answer, first requests, and how it changes over the rounds.
    """
    text = text_of(with_twin(manifest(blocks=3)), pairs())
    (row,) = rows_of(text, "matched")
    assert row[0] == "matched (docker against netns)"
    assert row[1:] == [
        "0.60 ± 0.25, 3 blocks",
        "+100.0 % [+100.0, +100.0], 3 blocks",
        "+10.0 % [+10.0, +10.0]",
    ]
    assert "A/A" not in text
    assert rows_of(text, "netns-again") == []


def test_a_trial_without_a_partner_is_in_no_difference() -> None:
    """
    It counts for its own variant, and a comparison without any block has no numbers.
    """
    alone = [each for each in pairs() if each.variant == "netns"]
    text = text_of(manifest(), [*alone, failed_trial(9, 1, "docker")])
    assert rows_of(text, "netns")[0][1] == "3"
    assert rows_of(text, "docker") == []
    assert rows_of(text, "matched")[0][1:] == ["–", "–", "–"]


def test_what_was_not_recorded_is_a_dash() -> None:
    """
    Rounds alone say nothing of the start, and a start alone nothing of what changes.
    """
    pair = [side_by_side(n, 1, name, [4000.0] * 2) for n, name in ((1, "netns"), (2, "docker"))]
    steady = text_of(manifest(), pair)
    assert rows_of(steady, "matched")[0][1:] == ["–", "–", "+0.0 % [no interval: one block]"]
    assert rows_of(steady, "netns") == []
    assert "of a fresh deployment" not in steady
    start = structs.replace(trial(1, 1, "netns", 250), first_answer_s=2.0)
    assert rows_of(text_of(manifest(), [start]), "netns")[0][2:] == ["2.00", "–", "–"]


def test_a_run_that_recorded_none_of_it_has_no_such_section() -> None:
    """
    Nor one whose trials failed, whatever they had recorded before.
    """
    assert text_of(manifest(), [trial(1, 1, "netns", 250)]) == ""
    begun = structs.replace(failed_trial(1, 1, "docker"), first_answer_s=2.0)
    assert text_of(manifest(), [begun]) == ""


# --- how a difference changes over the rounds ---


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
    found = over_rounds("netns", "docker", trials)
    assert found is not None
    assert found.estimate == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)


def test_without_two_rounds_of_both_nothing_is_said() -> None:
    """
    Nor where one of them has one load alone.
    """
    assert over_rounds("netns", "docker", []) is None
    single = [side_by_side(1, 1, "netns", [1000]), side_by_side(2, 1, "docker", [1000, 1100])]
    assert over_rounds("netns", "docker", single) is None
    assert (
        over_rounds("netns", "docker", [trial(1, 1, "netns", 100), trial(2, 1, "docker", 100)])
        is None
    )

"""
Cold start and warm-up: what is recorded is shown, and what is not is not made up.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from analysis.topics.warm_up.section import warm_up, warm_up_details
from experiments.declare.variants import Comparison
from tests.unit.samples import failed_trial, findings, load, manifest, side_by_side, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord


def started(each: TrialRecord, answer_s: float, cold_rate: float) -> TrialRecord:
    """
    A trial whose start was recorded.
    """
    cold = dataclasses.replace(load(cold_rate), requests=100)
    return dataclasses.replace(each, first_answer_s=answer_s, cold=cold)


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


def rows(text: str, beginning: str) -> list[list[str]]:
    """
    The cells of the table's rows that begin so.
    """
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(f"| {beginning}")
    ]


def shown(made: Manifest, trials: Sequence[TrialRecord]) -> str:
    """
    What the report says of it, in its two places.
    """
    found = findings(made, trials)
    return "\n\n".join([section(found) for section in (warm_up, warm_up_details)]).strip()


def test_each_variant_shows_how_it_began() -> None:
    """
    Its first requests against those that count.
    """
    text = shown(manifest(blocks=3), pairs())
    assert text.startswith("## Cold start and warm-up\n")
    assert "the first 100 of a fresh deployment" in text
    assert "Nothing else came up meanwhile." in text
    (netns,) = rows(text, "netns")
    assert netns[1:] == ["3", "1.00 ± 0.00", "5000 ± 0", "+25.0 % [+25.0, +25.0]"]
    (docker,) = rows(text, "docker")
    # Student's t(0.975, 2) is 4.303: of 1.5, 1.6 and 1.7 the mean, ± 4.303 × 0.1 / √3.
    assert docker[1:4] == ["3", "1.60 ± 0.25", "10000 ± 0"]


def test_that_others_came_up_at_the_same_time_is_said() -> None:
    """
    Seconds are more than one alone would take.
    """
    made = manifest(blocks=3)
    seen = dataclasses.replace(made.environment, brought_up_at_once=2)
    text = shown(dataclasses.replace(made, environment=seen), pairs())
    assert "Up to 2 deployments came up at the same time, on all CPUs" in text


def test_each_comparison_is_paired_and_the_twin_is_none() -> None:
    """
    By blocks: seconds to the first answer, first requests, and how it changes over the rounds.
    """
    text = shown(with_twin(manifest(blocks=3)), pairs())
    (row,) = rows(text, "matched")
    assert row[0] == "matched (docker against netns)"
    assert row[1:] == [
        "0.60 ± 0.25, 3 blocks",
        "+100.0 % [+100.0, +100.0], 3 blocks",
        "+10.0 % [+10.0, +10.0]",
    ]
    assert "A/A" not in text
    assert rows(text, "netns-again") == []


def test_a_trial_without_a_partner_is_in_no_difference() -> None:
    """
    It counts for its own variant, and a comparison without any block has no numbers.
    """
    alone = [each for each in pairs() if each.variant == "netns"]
    text = shown(manifest(), [*alone, failed_trial(9, 1, "docker")])
    assert rows(text, "netns")[0][1] == "3"
    assert rows(text, "docker") == []
    assert rows(text, "matched")[0][1:] == ["–", "–", "–"]


def test_what_was_not_recorded_is_a_dash() -> None:
    """
    Rounds alone say nothing of the start, and a start alone nothing of what changes.
    """
    pair = [side_by_side(n, 1, name, [4000.0] * 2) for n, name in ((1, "netns"), (2, "docker"))]
    steady = shown(manifest(), pair)
    assert rows(steady, "matched")[0][1:] == ["–", "–", "+0.0 % [no interval: one block]"]
    assert rows(steady, "netns") == []
    assert "first good answer is timed" not in steady
    start = dataclasses.replace(trial(1, 1, "netns", 250), first_answer_s=2.0)
    assert rows(shown(manifest(), [start]), "netns")[0][2:] == ["2.00", "–", "–"]


def test_a_run_that_recorded_none_of_it_has_no_such_section() -> None:
    """
    Nor one whose trials failed, whatever they had recorded before.
    """
    assert shown(manifest(), [trial(1, 1, "netns", 250)]) == ""
    begun = dataclasses.replace(failed_trial(1, 1, "docker"), first_answer_s=2.0)
    assert shown(manifest(), [begun]) == ""

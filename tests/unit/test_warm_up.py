"""
Warm-up, steadiness and cold start: what is recorded is shown, and what is not is not made up.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from analysis.sections.warm_up import warm_up, warm_up_details
from experiments.records import Pulse
from tests.unit.samples import failed_trial, load, manifest, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records import Manifest, TrialRecord

BEATS = 100
WORK_US = 900.0


def pulse(first_third: float) -> Pulse:
    """
    Beats at 250 requests per second but for the first third, which has so many times as many.
    """
    opened, now = [], 50.0
    for beat in range(BEATS):
        # A ripple, because no rate is quite even.
        now += 12.5 * (first_third if beat < BEATS // 3 else 1.0) * (1 + 0.02 * (-1) ** beat)
        opened.append(round(now * 100))
    return Pulse([0.05 * (beat + 1) for beat in range(BEATS)], opened, [WORK_US] * BEATS)


def started(
    each: TrialRecord, answer_s: float, cold_rate: float, first_third: float = 1.0
) -> TrialRecord:
    """
    A trial of which everything was recorded.
    """
    cold = dataclasses.replace(load(cold_rate), requests=100)
    return dataclasses.replace(each, first_answer_s=answer_s, cold=cold, pulse=pulse(first_third))


def pairs() -> list[TrialRecord]:
    """
    Three blocks in which docker answers 0.5, 0.6 and 0.7 s later, and warms up in one of them.
    """
    trials = []
    for block in (1, 2, 3):
        later = 0.4 + block / 10
        netns, docker = (
            trial(2 * block, block, "netns", 250),
            trial(7 * block, block, "docker", 200),
        )
        trials.append(started(netns, 1.0, 200))
        trials.append(started(docker, 1.0 + later, 100, 0.8 if block == 2 else 1.0))
    return trials


def with_twin(made: Manifest) -> Manifest:
    """
    The same run with its baseline declared twice, and compared with itself.
    """
    again = {**made.variants[0], "name": "netns-again"}
    pair = {"name": "A/A", "about": "", "baseline": "netns", "treatment": "netns-again"}
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
    return "\n\n".join([warm_up(made, trials), warm_up_details(made, trials)]).strip()


def test_each_variant_shows_how_it_began_and_how_steady_it_was() -> None:
    """
    Unsteady trials with their share and change, and first requests against those that count.
    """
    text = shown(manifest(blocks=3), pairs())
    assert text.startswith("## Warm-up, steadiness and cold start\n")
    assert "the first 100 of a fresh deployment" in text
    assert "**Nothing is dropped**" in text
    assert "Of 6 loads 1 (17 %) were unsteady" in text
    (netns,) = rows(text, "netns")
    assert netns[1:4] == ["3", "0 of 3 (0 %)", "–"]
    assert netns[4:] == ["1.00 ± 0.00", "5000 ± 0", "+25.0 % [+25.0, +25.0]"]
    (docker,) = rows(text, "docker")
    assert docker[1:3] == ["3", "1 of 3 (33 %)"]
    assert docker[3].startswith("+2")
    # Student's t(0.975, 2) is 4.303: of 1.5, 1.6 and 1.7 the mean, ± 4.303 × 0.1 / √3.
    assert docker[4:] == ["1.60 ± 0.25", "10000 ± 0", "+100.0 % [+100.0, +100.0]"]


def test_each_comparison_is_paired_and_the_twin_is_none() -> None:
    """
    Seconds to the first good answer and the first requests' time, by blocks; A/A is left out.
    """
    text = shown(with_twin(manifest(blocks=3)), pairs())
    (row,) = rows(text, "matched")
    assert row[0] == "matched (docker against netns)"
    assert row[1:] == ["0.60 ± 0.25, 3 blocks", "+100.0 % [+100.0, +100.0], 3 blocks"]
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
    assert rows(text, "matched")[0][1:] == ["–", "–"]


def test_what_was_not_recorded_is_a_dash() -> None:
    """
    A pulse alone says nothing of the start, and a start alone nothing of steadiness.
    """
    pulsed, bare = pairs()[0], trial(1, 1, "netns", 250)
    steady = shown(manifest(), [dataclasses.replace(bare, pulse=pulsed.pulse)])
    assert rows(steady, "netns")[0][2:] == ["0 of 1 (0 %)", "–", "–", "–", "–"]
    assert rows(steady, "matched") == []
    assert "first good answer" not in steady
    start = shown(manifest(), [dataclasses.replace(bare, first_answer_s=2.0)])
    assert rows(start, "netns")[0][2:] == ["–", "–", "2.00", "–", "–"]


def test_a_run_that_recorded_none_of_it_has_no_such_section() -> None:
    """
    Nor one whose trials failed, whatever they had recorded before.
    """
    assert shown(manifest(), [trial(1, 1, "netns", 250)]) == ""
    begun = dataclasses.replace(failed_trial(1, 1, "docker"), first_answer_s=2.0)
    assert shown(manifest(), [begun]) == ""

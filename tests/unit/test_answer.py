"""
The answer in three sentences says what the verdicts say.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from experiments.declare.variants import MATCHED, PUBLISHED, Comparison, Ladder, Variant, Whole
from tests.unit.samples import load, manifest, report, trial

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

LEVELS = {
    "netns": {"runtime": "process"},
    "docker": {"runtime": "container"},
    "docker-host": {"runtime": "container", "network": "host"},
}
NAMES = tuple(LEVELS)


def run_of(docker: float, host: float, spread: float = 0.01) -> tuple[Manifest, list[TrialRecord]]:
    """
    Nine blocks, in which Docker and its change take so many times as long per request.
    """
    made = dataclasses.replace(
        manifest(blocks=9),
        variants=[Variant(name, f"+ {name}", levels) for name, levels in LEVELS.items()],
        comparisons=[
            Comparison("the pair", "", "netns", "docker", role=MATCHED),
            Comparison("host network", "", "docker", "docker-host"),
        ],
    )
    trials = []
    for block in range(1, 10):
        for position, times in enumerate((1.0, docker, docker * host)):
            rate = 250 / times * (1 + spread * ((block * (position + 1)) % 4 - 1.5))
            trials.append(trial(3 * block + position, block, NAMES[position], rate))
    return made, trials


def answer_of(run: tuple[Manifest, list[TrialRecord]]) -> str:
    """
    The paragraph under its heading.
    """
    return report(*run).partition("## The answer\n\n")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("docker", "spread", "words"),
    [
        (1.5, 0.01, " more time per request than raw network namespaces."),
        (0.7, 0.01, " less time per request than raw network namespaces."),
        (1.0, 0.001, "takes the same time per request, within ±2 %"),
        (1.0, 0.2, "cannot be told apart here"),
    ],
)
def test_the_first_sentence_is_the_matched_pair_s_verdict(
    docker: float, spread: float, words: str
) -> None:
    """
    Whatever that is.
    """
    text = answer_of(run_of(docker, 1.0, spread))
    assert text.startswith("With the same files, network layout and way in, Docker as it comes ")
    assert words in text


def test_a_pair_that_answers_unlike_is_not_compared() -> None:
    """
    With both shares of good answers.
    """
    made, trials = run_of(0.7, 1.0)
    bad = [
        dataclasses.replace(each, load=load(357.0, non_2xx=72))
        if each.variant == "docker"
        else each
        for each in trials
    ]
    assert answer_of((made, bad)).startswith(
        "With the same files, network layout and way in, Docker as it comes cannot be compared in "
        "time per request (92.80 % of its answers were good, and 100.00 % of the baseline's) with "
        "raw network namespaces."
    )


def test_the_last_sentence_is_the_change_that_saves_most() -> None:
    """
    Only where that was told.
    """
    text = answer_of(run_of(1.5, 0.8))
    words = (
        "Of the changes to docker that were tried, “host network” (docker-host) shows the largest "
    )
    assert words in text
    # Nothing else has the same server as what is left, in raw namespaces.
    assert re.search(r"with the same server \(netns\) \+(19|20)\.\d % \[.*\] remain\.", text)
    assert "No change to Docker that was tried" in answer_of(run_of(1.5, 1.0))


def test_with_a_ladder_it_is_where_the_cost_comes_from() -> None:
    """
    The dearest step first.
    """
    made, trials = run_of(1.5, 1.5)
    ladder = Ladder("up", "", NAMES)
    text = answer_of((dataclasses.replace(made, ladders=[ladder]), trials))
    assert "can be shown to cost time: docker-host (+" in text
    assert text.index("docker-host (+") < text.index(", docker (+")


def test_both_pairs_a_ladder_and_a_change_are_three_sentences() -> None:
    """
    What it costs, where that comes from, and what gets it back.
    """
    names = {"netns": "netns-as-published", "docker": "docker-as-published"}
    made, trials = run_of(1.5, 0.8)
    made = dataclasses.replace(
        made,
        variants=[
            *made.variants,
            *(
                dataclasses.replace(each, name=names[each.name])
                for each in made.variants
                if each.name in names
            ),
        ],
        comparisons=[
            *made.comparisons,
            dataclasses.replace(
                made.comparisons[0],
                baseline=names["netns"],
                treatment=names["docker"],
                role=PUBLISHED,
            ),
        ],
        ladders=[
            Ladder("up", "", ("netns", "docker")),
            Ladder("aside", "", ("netns", "docker-host")),
        ],
        wholes=[Whole("from there to here", "netns", "docker", ("up",))],
    )
    trials += [
        dataclasses.replace(each, variant=names[each.variant], number=each.number + 100)
        for each in trials
        if each.variant in names
    ]
    first, second, third = re.split(r"(?<=[a-z)\]])\. ", answer_of((made, trials)))
    assert first.startswith("With the same files, network layout and way in, Docker as it comes")
    assert "raw network namespaces; as it was published, through docker-proxy" in first
    assert second.startswith("From there to here it is +")
    # A step of a ladder that leads elsewhere is none of the whole.
    assert "can be shown to cost time: docker (+" in second
    assert "docker-host" not in second
    assert "; all steps together add up to +" in second
    assert third.startswith("Of the changes to docker that were tried, “host network”")


def test_a_run_of_neither_pair_has_no_answer() -> None:
    """
    And no heading.
    """
    made, trials = run_of(1.5, 1.0)
    alone = dataclasses.replace(made, comparisons=made.comparisons[1:])
    assert "## The answer" not in report(alone, trials)


def test_an_instrument_that_sees_what_is_not_there_gives_no_answer() -> None:
    """
    Nothing that it says is to be quoted.
    """
    made, trials = run_of(1.5, 1.0)
    twin = dataclasses.replace(made.variants[0], name="netns-again", twin_of="netns")
    control = dataclasses.replace(made.comparisons[0], name="A/A", treatment="netns-again", role="")
    twice = dataclasses.replace(
        made, variants=[*made.variants, twin], comparisons=[*made.comparisons, control]
    )
    for each in [each for each in trials if each.variant == "netns"]:
        rate = 200 * (1 + 0.01 * (each.block % 3))
        trials.append(trial(500 + each.block, each.block, "netns-again", rate))
    text = answer_of((twice, trials))
    assert text.startswith("None: in this run two things that are the same came out as two")
    assert "Docker" not in text

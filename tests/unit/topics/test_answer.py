"""
The answer says what the verdicts say: what Docker costs, where that comes from, what gets it back.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.answer.section import answer
from experiments.declare.variants import MATCHED, PUBLISHED, Comparison, Ladder, Variant, Whole
from tests.unit.reading import items_of
from tests.unit.samples import findings, manifest, trial
from tests.unit.topics.samples import failing, with_twin

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

LEVELS = {
    "netns": {"runtime": "process"},
    "docker": {"runtime": "container"},
    "docker-host": {"runtime": "container", "network": "host"},
}
NAMES = tuple(LEVELS)
COSTS, WHERE, BACK = "**What it costs.**", "**Where that comes from.**", "**What gets it back.**"


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


def item(run: tuple[Manifest, list[TrialRecord]], name: str) -> str:
    """
    The one item of the answer that begins so.
    """
    (found,) = [each for each in items_of(answer(findings(*run))) if each.startswith(name)]
    return found


@pytest.mark.parametrize(
    ("docker", "spread", "words"),
    [
        (1.5, 0.01, "more time per request"),
        (0.7, 0.01, "less time per request"),
        (1.0, 0.001, "the same time per request, within ±2 %"),
        (1.0, 0.2, "cannot be told apart"),
    ],
)
def test_the_cost_is_the_matched_pair_s_verdict(docker: float, spread: float, words: str) -> None:
    """
    Whatever that is, with its interval.
    """
    text = item(run_of(docker, 1.0, spread), COSTS)
    assert words in text
    assert re.search(r" % \[[^]]*\d\]", text)


@pytest.mark.parametrize(("docker", "per_cent"), [(1.5, 50), (0.7, 30)])
def test_more_and_less_time_are_both_told_without_a_sign(docker: float, per_cent: int) -> None:
    """
    The word says the direction; the interval is around the estimate.
    """
    found = re.search(r"takes ([\d.]+) % \[([\d.]+), ([\d.]+)\]", item(run_of(docker, 1.0), COSTS))
    assert found is not None
    estimate, low, high = map(float, found.groups())
    assert estimate == pytest.approx(per_cent, abs=1.5)
    assert low < estimate < high


def test_a_pair_that_answers_unlike_is_not_compared() -> None:
    """
    With both shares of good answers, and without an interval.
    """
    made, trials = run_of(0.7, 1.0)
    text = item((made, failing(trials, "docker", non_2xx=72)), COSTS)
    assert "cannot be compared" in text
    assert "92.80 %" in text
    assert "100.00 %" in text
    assert "[" not in text


def test_what_gets_it_back_is_the_change_that_saves_most() -> None:
    """
    With what is left against raw namespaces with the same server; only where a saving was told.
    """
    text = item(run_of(1.5, 0.8), BACK)
    assert "“host network” (docker-host)" in text
    assert re.search(r"\+(19|20)\.\d % \[.*\] remain .*\(netns\)", text)
    assert "No change to Docker" in item(run_of(1.5, 1.0), BACK)


def test_without_a_ladder_nothing_is_said_of_where_it_comes_from() -> None:
    """
    And with one, the dearest step comes first.
    """
    made, trials = run_of(1.5, 1.5)
    assert len(items_of(answer(findings(made, trials)))) == 2
    climbed = dataclasses.replace(made, ladders=[Ladder("up", "", NAMES)])
    text = item((climbed, trials), WHERE)
    assert text.index("docker-host (+") < text.index("; docker (+")


def test_steps_that_nobody_can_tell_from_zero_are_not_named() -> None:
    """
    The answer says that there is none.
    """
    made, trials = run_of(1.0, 1.0, spread=0.2)
    climbed = dataclasses.replace(made, ladders=[Ladder("up", "", NAMES)])
    text = item((climbed, trials), WHERE)
    assert "No single step" in text
    assert "µs" not in text


def test_a_step_of_a_ladder_that_leads_elsewhere_is_no_part_of_the_whole() -> None:
    """
    Both pairs, the whole with its own steps and their sum, and a change make three items.
    """
    names = {"netns": "netns-as-published", "docker": "docker-as-published"}
    made, trials = run_of(1.5, 0.8)
    renamed = [
        dataclasses.replace(each, name=names[each.name])
        for each in made.variants
        if each.name in names
    ]
    published = dataclasses.replace(
        made.comparisons[0],
        baseline=names["netns"],
        treatment=names["docker"],
        role=PUBLISHED,
    )
    made = dataclasses.replace(
        made,
        variants=[*made.variants, *renamed],
        comparisons=[*made.comparisons, published],
        ladders=[
            Ladder("up", "", ("netns", "docker")),
            Ladder("aside", "", ("netns", "docker-host")),
        ],
        wholes=[Whole("from there to here", "netns", "docker", ("up",))],
    )
    trials += [
        structs.replace(each, variant=names[each.variant], number=each.number + 100)
        for each in trials
        if each.variant in names
    ]
    run = (made, trials)
    costs, where, back = items_of(answer(findings(*run)))
    assert costs.count("more time per request") == 2
    assert re.search(r"From there to here\W.*\+\d", where)
    assert "docker (+" in where
    assert "docker-host" not in where
    assert "add up to +" in where
    assert "“host network”" in back


def test_a_run_of_neither_pair_has_no_answer() -> None:
    """
    And no heading.
    """
    made, trials = run_of(1.5, 1.0)
    alone = dataclasses.replace(made, comparisons=made.comparisons[1:])
    assert answer(findings(alone, trials)) == ""


@pytest.mark.parametrize("role", [MATCHED, PUBLISHED])
def test_a_user_s_own_pair_gets_an_answer_by_its_role(role: str) -> None:
    """
    Whatever its variants and its comparison are called.
    """
    names = {"netns": "plain", "docker": "mine", "docker-host": "mine-faster"}
    made, trials = run_of(1.5, 0.8)
    own = dataclasses.replace(
        made,
        variants=[dataclasses.replace(each, name=names[each.name]) for each in made.variants],
        comparisons=[
            dataclasses.replace(
                each,
                name=f"my {each.name}",
                baseline=names[each.baseline],
                treatment=names[each.treatment],
                role=each.role and role,
            )
            for each in made.comparisons
        ],
    )
    run = (own, [structs.replace(each, variant=names[each.variant]) for each in trials])
    assert "more time per request" in item(run, COSTS)
    assert "“my host network” (mine-faster)" in item(run, BACK)


def test_an_instrument_that_sees_what_is_not_there_gives_no_answer() -> None:
    """
    Nothing that it says is to be quoted.
    """
    made, trials = run_of(1.5, 1.0)
    twice, again = with_twin(made, [1.25 * (1 + 0.01 * (block % 3)) for block in range(1, 10)])
    found = findings(twice, [*trials, *again])
    assert found.answer is not None
    assert not found.answer.trusted
    text = answer(found)
    assert "A/A" in text
    assert "Docker" not in text
    assert "µs" not in text

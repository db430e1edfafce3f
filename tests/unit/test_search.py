"""
The bounded search: what it tries, how it judges it, and what it ends with.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from experiments.declare.reading import load_variants
from experiments.declare.variants import Search
from experiments.plan.stopping import Rule
from experiments.records.files import SEARCH_TRIALS
from experiments.records.manifest import Candidate
from experiments.records.store import read_trials
from experiments.run.memory import Memory
from experiments.run.progress import Progress
from experiments.run.search import TunedSearch, best_of, candidates_of, gain, judge
from tests.unit.samples import failed_trial, side_by_side
from tests.unit.stage_stub import StubConditions, StubStage, as_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from experiments.declare.variants import Variant
    from experiments.records.manifest import SearchStep
    from experiments.records.trials import TrialRecord
    from experiments.run.search import Levels

DECLARED = load_variants()
START = DECLARED.variants["docker-as-published"]
ALL = DECLARED.variants["docker-all"]
WANTED = Search(
    name="best",
    about="",
    start="docker-as-published",
    changes=(
        {"server": "gunicorn"},
        {"network": "host", "entry": "direct", "discovery": "addresses"},
        {"discovery": "addresses"},
        {"userland_proxy": "off"},
        {"stdio": "docker-none"},
        {"worker_class": "sync", "workers": "4"},
    ),
    also=("docker-all",),
    blocks=2,
    rounds=3,
)


def cost_us(levels: Mapping[str, str]) -> float:
    """
    A machine on which gunicorn is dearer, and host network and no log cheaper.
    """
    us = 1000.0
    us += 100 * (levels["server"] == "gunicorn")
    us -= 200 * (levels["network"] == "host")
    us -= 50 * (levels["stdio"] == "docker-none")
    return us


def on_that_machine(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
    """
    A trial there, in which each round is slower than the one before.
    """
    rounds_us = [cost_us(variant.levels) * 1.1**place for place in range(conditions.rounds)]
    return side_by_side(number, 0, variant.name, rounds_us)


def searched(
    run: Path,
    measured: Callable[[int, Variant, StubConditions], TrialRecord] = on_that_machine,
    wanted: Search = WANTED,
) -> tuple[Levels, list[SearchStep], StubStage]:
    """
    What a search finds, its steps, and the stage with its blocks.
    """
    stage = StubStage(run, measured)
    also = [DECLARED.variants[name] for name in wanted.also]
    progress = Progress(Rule(1, []), [], Console(file=io.StringIO()))
    tuned = TunedSearch(
        wanted,
        START,
        also,
        stage=as_stage(stage),
        memory=Memory(as_stage(stage)),
        progress=progress,
    )
    found = tuned.run()
    return found.levels, found.steps, stage


def test_each_change_that_is_one_is_a_candidate() -> None:
    """
    A level that is there already is no change, and two ways to the same levels are one.
    """
    changes = [
        {"server": "gunicorn"},
        {"discovery": "names"},
        {"server": "gunicorn", "discovery": "names"},
    ]
    (found,) = candidates_of(START.levels, changes)
    assert found.change == {"server": "gunicorn"}
    assert found.levels == {**START.levels, "server": "gunicorn"}


def test_what_is_impossible_is_not_tried() -> None:
    """
    It may be possible on top of something else.
    """
    workers = {"worker_class": "sync", "workers": "4"}
    assert candidates_of(START.levels, [workers]) == []
    (found,) = candidates_of({**START.levels, "server": "gunicorn"}, [workers])
    assert found.change == workers


def test_whole_configurations_can_be_candidates_too() -> None:
    """
    Described by what they change in what is best so far; what is best already is none.
    """
    *_, last = candidates_of(START.levels, [{"server": "gunicorn"}], [ALL.levels])
    assert last.levels == ALL.levels
    assert last.change == {
        "network": "host",
        "entry": "direct",
        "discovery": "addresses",
        "server": "gunicorn",
        "stdio": "docker-none",
    }
    assert candidates_of(ALL.levels, [], [ALL.levels]) == []


def a_candidate(*log_ratios: float, note: str = "") -> Candidate:
    """
    A candidate with these log-ratios.
    """
    return Candidate({}, {}, list(log_ratios), note=note)


def test_the_fastest_is_the_best_if_it_is_faster_than_what_was_before() -> None:
    """
    By the mean over blocks.
    """
    assert best_of([a_candidate(-0.1, -0.1), a_candidate(-0.5, 0.1), a_candidate(0.2)]) == 1
    assert best_of([a_candidate(0.0), a_candidate(0.1)]) is None
    assert best_of([]) is None


def test_what_failed_or_cannot_be_compared_is_never_the_best() -> None:
    """
    Whatever its other blocks said.
    """
    assert best_of([a_candidate(-0.9, note="not comparable: …"), a_candidate()]) is None


def test_a_candidate_is_judged_by_the_rounds_of_one_block() -> None:
    """
    In which both were loaded, as the mean log-ratio.
    """
    found = a_candidate()
    before = side_by_side(1, 0, "before", [1000.0, 2000.0, 4000.0])
    judge(found, before, side_by_side(2, 0, "after", [900.0, 1600.0]))
    assert found.log_ratios == [pytest.approx((math.log(0.9) + math.log(0.8)) / 2)]
    assert (found.good_share, found.note) == (1.0, "")


def test_errors_are_no_improvement() -> None:
    """
    They are answered sooner; the note says how many there were.
    """
    found = a_candidate()
    before = side_by_side(1, 0, "before", [1000.0])
    judge(found, before, side_by_side(2, 0, "after", [500.0], non_2xx=25))
    assert found.note == (
        "not comparable: 90.00 % good answers, against 100.00 % of the best configuration so far"
    )
    assert found.good_share == 0.9
    assert (found.log_ratios, gain(found)) == ([], 0.0)
    # Nor is it one that what was best before had errors.
    other = a_candidate()
    judge(other, side_by_side(1, 0, "before", [1000.0], non_2xx=25), before)
    assert gain(other) == 0.0


def test_a_trial_that_failed_says_why() -> None:
    """
    The candidate's own reason, or that of what it is compared with.
    """
    good, bad = side_by_side(1, 0, "good", [1000.0]), failed_trial(2, 0, "bad")
    for before, after in ((good, bad), (bad, good)):
        found = a_candidate()
        judge(found, before, after)
        assert found.note.startswith("gateway did not become healthy")
        assert found.log_ratios == []


def test_all_candidates_of_a_step_stand_side_by_side_with_what_is_best(tmp_path: Path) -> None:
    """
    In as many blocks of as many rounds as declared, and the one brought up first is another each.
    """
    _, steps, stage = searched(tmp_path)
    assert len(stage.begun) == WANTED.blocks * len(steps)
    firsts = []
    for variants, conditions, kind in stage.begun[: WANTED.blocks]:
        firsts.append(variants[0].name)
        # The start, four changes that are possible on it, and all together.
        assert len(variants) == 1 + len(steps[0].candidates) == 1 + 5 + 1
        assert START.levels in [each.levels for each in variants]
        assert ALL.levels in [each.levels for each in variants]
        assert (conditions.rounds, conditions.at_once, kind) == (3, frozenset(), "search")
    assert len(set(firsts)) == WANTED.blocks
    assert len(steps[0].candidates[0].log_ratios) == WANTED.blocks


def test_what_is_faster_is_kept_step_by_step(tmp_path: Path) -> None:
    """
    Until nothing is; on this machine all together is beaten by leaving gunicorn out.
    """
    levels, steps, _ = searched(tmp_path)
    kept = [each.candidates[each.chosen].change for each in steps if each.chosen is not None]
    assert kept == [
        {"network": "host", "entry": "direct", "discovery": "addresses"},
        {"stdio": "docker-none"},
    ]
    assert steps[-1].chosen is None
    assert cost_us(levels) == 750
    # Later steps do not ask again for what was beaten in the first.
    assert all(ALL.levels != each.levels for each in steps[1].candidates)


def test_the_search_ends_no_worse_than_what_it_is_to_beat(tmp_path: Path) -> None:
    """
    Also where each part of that alone makes things worse.
    """

    def only_together(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        us = 700.0 if variant.levels == ALL.levels else 1000.0 + 100 * (variant.levels != start)
        return side_by_side(number, 0, variant.name, [us] * conditions.rounds)

    start = START.levels
    levels, steps, _ = searched(tmp_path, only_together)
    assert levels == ALL.levels
    assert [step.chosen is None for step in steps] == [False, True]


@pytest.mark.parametrize("needed", [START.levels, ALL.levels], ids=["before", "whole"])
def test_one_failed_deployment_does_not_decide_the_search(tmp_path: Path, needed: Levels) -> None:
    """
    A block without what was best before, or without what can be chosen once, is tried again.
    """
    failed: list[int] = []

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        if variant.levels == needed and not failed:
            failed.append(number)
            return failed_trial(number, 0, variant.name)
        return on_that_machine(number, variant, conditions)

    levels, steps, stage = searched(tmp_path, measured)
    assert failed
    assert cost_us(levels) == 750
    assert len(stage.begun) == WANTED.blocks * len(steps) + 1
    # What failed is kept all the same.
    assert [each for each in read_trials(tmp_path, SEARCH_TRIALS) if each.load is None]


def test_what_always_fails_does_not_hold_up_the_search(tmp_path: Path) -> None:
    """
    A block is tried twice at most, and the reason is the candidates' note.
    """

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        if variant.levels == START.levels:
            return failed_trial(number, 0, variant.name)
        return on_that_machine(number, variant, conditions)

    levels, steps, stage = searched(tmp_path, measured)
    assert levels == START.levels
    assert len(stage.begun) == 2 * WANTED.blocks
    assert {each.note.partition(" ")[0] for each in steps[0].candidates} == {"gateway"}


def test_a_change_whose_trials_fail_or_answer_by_errors_is_not_kept(tmp_path: Path) -> None:
    """
    And the search goes on.
    """

    def measured(number: int, variant: Variant, conditions: StubConditions) -> TrialRecord:
        if variant.levels["network"] == "host":
            return failed_trial(number, 0, variant.name)
        if variant.levels["discovery"] == "addresses":
            rounds_us = [100.0] * conditions.rounds
            return side_by_side(number, 0, variant.name, rounds_us, non_2xx=100)
        return on_that_machine(number, variant, conditions)

    levels, steps, _ = searched(tmp_path, measured)
    assert levels == {**START.levels, "stdio": "docker-none"}
    notes = [each.note.partition(" ")[0] for each in steps[0].candidates]
    assert notes == ["", "gateway", "not", "", "", "gateway"]


def test_the_blocks_of_a_search_are_no_part_of_the_results(tmp_path: Path) -> None:
    """
    They chose, so they are kept apart; every step holds what was measured.
    """
    _, steps, stage = searched(tmp_path)
    assert read_trials(tmp_path) == []
    trials = read_trials(tmp_path, SEARCH_TRIALS)
    assert len(trials) == sum(len(variants) for variants, _, _ in stage.begun)
    (candidate, *_) = steps[0].candidates
    assert candidate.change == {"server": "gunicorn"}
    assert candidate.log_ratios == [pytest.approx(math.log(1.1))] * WANTED.blocks


def test_a_search_that_is_stopped_stops_the_run(tmp_path: Path) -> None:
    """
    What it has is kept all the same.
    """
    stage = StubStage(tmp_path, on_that_machine, stopped=True)
    progress = Progress(Rule(1, []), [], Console(file=io.StringIO()))
    tuned = TunedSearch(
        WANTED,
        START,
        [],
        stage=as_stage(stage),
        memory=Memory(as_stage(stage)),
        progress=progress,
    )
    with pytest.raises(KeyboardInterrupt):
        tuned.run()
    assert read_trials(tmp_path, SEARCH_TRIALS)


def test_the_declared_search_changes_levels_that_there_are(tmp_path: Path) -> None:
    """
    From a variant that is part of the group, and all together is what it has to beat.
    """
    wanted = DECLARED.search
    assert wanted is not None
    group = DECLARED.groups["optimized"].variants
    assert {wanted.name, wanted.start, *wanted.also} <= set(group)
    assert wanted.also == ("docker-all",)
    levels, steps, stage = searched(tmp_path, wanted=wanted)
    assert cost_us(levels) == 750
    assert len(steps) == 3
    assert {len({each.name for each in variants}) for variants, _, _ in stage.begun} == {
        len(variants) for variants, _, _ in stage.begun
    }

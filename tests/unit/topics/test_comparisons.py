"""
Comparisons: the table of verdicts, what follows from each, a sentence on each, and their figure.
"""

from __future__ import annotations

import dataclasses

import pytest

from analysis.drawing.canvas import PAPER
from analysis.drawing.forest import MARKS
from analysis.formatting import time_difference
from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind, Verdict
from analysis.topics.comparisons import figure
from analysis.topics.comparisons.findings import JudgedComparison
from analysis.topics.comparisons.section import (
    ELSEWHERE,
    RUNTIMES,
    WHOLE,
    advice,
    unsaid,
    verdict_lines,
    verdicts,
)
from analysis.topics.recommendations.findings import Change
from experiments.declare.variants import Ladder
from tests.unit.reading import data_of, items_of, number_of, row_of, rows_of, shown
from tests.unit.samples import compare, findings, manifest
from tests.unit.topics.samples import LADDER, failing, pair_of, run_of, with_twin

CLEAR = [1.24, 1.25, 1.26, 1.25]


def judged(kind: Kind, blocks_needed: int | None = None) -> JudgedComparison:
    """
    A comparison with this verdict.
    """
    verdict = Verdict(kind, 0.02, blocks_needed=blocks_needed)
    return JudgedComparison("a change", "", "netns", "docker", None, verdict)


def change(each: JudgedComparison, *gives_up: str) -> Change:
    """
    The comparison as a change that gives this up.
    """
    return Change(each, list(gives_up), None)


def control(ratios: list[float]) -> JudgedComparison:
    """
    A/A of two whose time differs by these ratios, one a block.
    """
    difference = compare("netns", "docker", pair_of(ratios)) if ratios else None
    verdict = Verdict(Kind.CANNOT_TELL, 0.02)
    return JudgedComparison("A/A", "", "netns", "docker", difference, verdict, control=True)


@pytest.mark.parametrize(
    ("kind", "as_fact", "as_change"),
    [
        (Kind.SLOWER, "Expect this cost", "Do not apply"),
        (Kind.FASTER, "Expect this saving", "Apply"),
        (Kind.EQUIVALENT, "other criteria", "other criteria"),
        (Kind.CANNOT_TELL, "more blocks", "more blocks"),
        (Kind.NOT_COMPARABLE, "errors", "errors"),
    ],
)
def test_what_to_do_follows_from_the_verdict(kind: Kind, as_fact: str, as_change: str) -> None:
    """
    A change can be applied or left; any other difference can only be expected.
    """
    each = judged(kind)
    assert as_fact in advice(each, None)
    assert as_change in advice(each, change(each))


def test_an_open_question_says_how_many_blocks_would_close_it() -> None:
    """
    Where that is known.
    """
    assert "40 blocks" in advice(judged(Kind.CANNOT_TELL, blocks_needed=40), None)
    assert not any(map(str.isdigit, advice(judged(Kind.CANNOT_TELL), None)))


def test_what_a_change_gives_up_stands_beside_the_advice_to_apply_it() -> None:
    """
    The first thing, and how many more; nothing where it is not known.
    """
    each = judged(Kind.FASTER)
    assert "gives up" not in advice(each, change(each))
    assert advice(each, change(each, "logs")).endswith("gives up logs.")
    assert advice(each, change(each, "logs", "names", "ports")).endswith("logs and 2 more (below).")
    assert "gives up" not in advice(judged(Kind.SLOWER), change(each, "logs"))


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([1.05, 1.06, 1.05, 1.04, 1.05], "Trust no verdict"),
        ([1.01, 0.99, 1.02, 1.0, 0.98], "Nothing"),
        ([1.05], "more blocks"),
        ([], "more blocks"),
    ],
)
def test_an_a_a_pair_says_whether_to_trust_the_run(ratios: list[float], words: str) -> None:
    """
    Not where one of the same thing differs from the other; one block cannot tell.
    """
    assert words in advice(control(ratios), None)


def test_the_table_has_a_row_for_each_comparison_with_its_verdict_and_advice() -> None:
    """
    The numbers and the word are those of the verdict; a change is known as one.
    """
    made, trials = run_of([*LADDER, "netns-again"])
    found = findings(made, trials)
    matched, host, twin = rows_of(verdicts(found))
    assert matched[0] == "**Matched**"
    assert number_of(matched[1]) == pytest.approx(25, abs=0.2)
    assert matched[2:4] == ["slower", advice(found.comparisons[0], None)]
    assert matched[4] == "`docker` against `netns`"
    assert number_of(host[1]) == pytest.approx(-7.9, abs=0.1)
    assert host[2:4] == ["faster", advice(found.comparisons[1], found.changes[0])]
    assert twin[2:4] == ["A/A", advice(found.comparisons[2], None)]


def test_what_cannot_be_compared_has_no_number_in_the_table() -> None:
    """
    Where answers differ, and where no block has both.
    """
    made, trials = run_of(["netns", "docker"])
    row = row_of(verdicts(findings(made, failing(trials, "docker"))), "**Matched**")
    assert row[1:3] == ["not comparable", "not comparable"]
    row = row_of(verdicts(findings(made, trials[::2])), "**Matched**")
    assert row[1:3] == ["–", "cannot tell"]


def test_a_run_of_one_variant_has_no_verdicts() -> None:
    """
    Neither a table nor a sentence.
    """
    alone = findings(dataclasses.replace(manifest(), comparisons=[]), [])
    assert verdicts(alone) == ""
    assert verdict_lines(alone) == []


def test_there_is_a_sentence_for_each_comparison() -> None:
    """
    A/A is told in its own words, and no direction of it.
    """
    twice, again = with_twin(manifest(blocks=4), [1.0, 1.01, 0.99, 1.0])
    found = findings(twice, [*pair_of(CLEAR), *again])
    matched, twin = verdict_lines(found)
    assert matched.startswith("**matched** (docker against netns): slower by 25")
    assert matched.endswith("(4 blocks).")
    assert twin.startswith("**A/A**: netns and netns-again")
    assert "slower" not in twin


def test_few_blocks_are_among_what_a_run_does_not_say() -> None:
    """
    With their number, and no more from five blocks on.
    """
    assert items_of(unsaid(findings(manifest(), pair_of(CLEAR))))[0].startswith("**4 blocks")
    many = unsaid(findings(manifest(), pair_of([*CLEAR, 1.25])))
    assert not any("blocks of each" in each for each in items_of(many))


def test_a_run_without_a_ladder_does_not_say_which_part_costs_what() -> None:
    """
    With one it does; that runtimes and machines differ is unsaid in every run.
    """
    made, trials = manifest(), pair_of([*CLEAR, 1.25])
    assert items_of(unsaid(findings(made, trials))) == [RUNTIMES, ELSEWHERE, WHOLE]
    climbed = dataclasses.replace(made, ladders=[Ladder("up", "", ("netns", "docker"))])
    assert items_of(unsaid(findings(climbed, trials))) == [RUNTIMES, ELSEWHERE]


def test_the_figure_has_the_numbers_and_the_verdict_of_each() -> None:
    """
    The drawing as text too; it says which one compares a thing with itself.
    """
    found = findings(*run_of(["netns", "docker", "netns-again"]))
    drawn = figure.comparisons(found)
    matched, twin = data_of(drawn)
    assert (matched["verdict"], twin["verdict"]) == ("slower", "equivalent within ±2 %")
    assert (matched["same_thing"], twin["same_thing"]) == ("no", "yes")
    keys = ("difference_percent", "low_percent", "high_percent")
    estimate, low, high = (float(matched[key]) for key in keys)
    assert estimate == pytest.approx(25, abs=0.2)
    assert Interval(estimate, low, high).excludes_zero
    assert "matched +25" in shown(drawn).alternative
    for each in found.comparisons:
        assert each.difference is not None
        assert f">{time_difference(each.difference)}<" in shown(drawn).svg


def test_only_a_difference_that_is_told_has_a_filled_marker() -> None:
    """
    And no two verdicts look alike without their colours.
    """
    hollow = {kind for kind, (_, _, face) in MARKS.items() if face == PAPER}
    assert hollow == {Kind.CANNOT_TELL}
    assert len({(marker, face == PAPER) for marker, _, face in MARKS.values()}) == len(MARKS)


def test_the_figure_has_no_number_of_what_is_not_comparable() -> None:
    """
    But the word, because errors are quick.
    """
    made, trials = run_of(["netns", "docker", "netns-again"])
    drawn = figure.comparisons(findings(made, failing(trials, "docker")))
    matched, twin = data_of(drawn)
    assert (matched["difference_percent"], matched["verdict"]) == ("", "not comparable")
    assert twin["difference_percent"]
    assert "ot comparable: matched" in shown(drawn).alternative


def test_a_run_in_which_no_block_has_both_has_no_figure() -> None:
    """
    There is nothing to draw.
    """
    made, trials = run_of(["netns", "docker"])
    assert figure.comparisons(findings(made, trials[::2])) is None

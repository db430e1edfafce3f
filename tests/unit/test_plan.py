"""
Planning: the order and the parts of blocks, what is to be known how well, and the options.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from analysis.topics.environment.section import reproduce
from experiments.declare.profiles import PROFILES, WIDER
from experiments.declare.reading import load_variants
from experiments.declare.variants import with_control
from experiments.errors import DeployError, UsageError
from experiments.host.measure import keep_variants, until
from experiments.plan.draft import draft_manifest, targets
from experiments.plan.fit import leave_out, parts_of, too_many_cpus
from experiments.plan.options import measure_parser
from experiments.plan.order import block_order, round_order
from tests.unit.samples import findings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.declare.variants import Comparison, Target, Variant
    from experiments.records.manifest import Manifest

VARIANTS = dict.fromkeys("abcd", 1)


def test_every_block_has_every_variant_once() -> None:
    """
    A block is a complete comparison.
    """
    for block in range(1, 51):
        assert sorted(block_order(VARIANTS, block, 7)) == list(VARIANTS)


def test_a_variant_may_have_a_trial_in_every_third_block_only() -> None:
    """
    The first one included, so that a short run has one too.
    """
    order = [block_order({"often": 1, "rare": 3}, block, 1) for block in range(1, 8)]
    assert ["rare" in block for block in order] == [True, False, False, True, False, False, True]
    assert all("often" in block for block in order)


def rounds(count: int) -> list[list[str]]:
    """
    So many rounds of a ladder of six and of two that are compared with its foot.
    """
    steps = list("abcdef")
    pairs = [*pairwise(steps), ("a", "x"), ("a", "y")]
    generator = random.Random(1)  # noqa: S311 - no secret
    return [round_order([*steps, "x", "y"], pairs, generator, [("a", "y")]) for _ in range(count)]


def test_a_round_has_every_deployment_once_in_another_order_each_time() -> None:
    """
    Also one that is compared with nothing.
    """
    assert all(sorted(order) == list("abcdefxy") for order in rounds(20))
    assert len({tuple(order) for order in rounds(20)}) > 10
    generator = random.Random(2)  # noqa: S311 - no secret
    assert sorted(round_order(list("abc"), [], generator)) == list("abc")


def test_what_is_compared_mostly_follows_each_other() -> None:
    """
    The closest pair most of all; in a random order three of four steps would be further apart.
    """
    found = rounds(400)
    for pair, share in ((("c", "d"), 0.6), (("a", "y"), 0.75)):
        apart = [abs(order.index(pair[0]) - order.index(pair[1])) for order in found]
        assert sum(each == 1 for each in apart) / len(found) > share


def test_either_of_a_pair_comes_first_equally_often() -> None:
    """
    Else a machine that becomes slower within a round would always be to the loss of one.
    """
    found = rounds(2000)
    for one, other in (*pairwise("abcdef"), ("a", "x"), ("a", "y")):
        first = sum(order.index(one) < order.index(other) for order in found) / len(found)
        assert first == pytest.approx(0.5, abs=0.05)


def test_the_seed_decides_the_order() -> None:
    """
    The same seed gives the same run; another gives another.
    """
    orders = [[block_order(VARIANTS, block, seed) for block in range(1, 21)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_each_variant_stands_in_each_place_equally_often() -> None:
    """
    Once in as many blocks as there are variants, and again in as many more.
    """
    for first in (1, 1 + len(VARIANTS)):
        orders = [block_order(VARIANTS, block, 3) for block in range(first, first + len(VARIANTS))]
        for place in range(len(VARIANTS)):
            assert sorted(order[place] for order in orders) == list(VARIANTS)


def test_a_plan_without_variants_has_empty_blocks() -> None:
    """
    As where a machine lacks what all of them need.
    """
    assert block_order({}, 1, 1) == []


def test_a_block_that_fits_is_one_part() -> None:
    """
    In the order in which its variants are brought up.
    """
    assert parts_of("cab", [("a", "b")], 3) == [list("cab")]
    assert parts_of("a", [], 1) == [["a"]]


STAR = [("a", other) for other in "bcdefg"]
LADDER = list(pairwise("abcdefg"))


@pytest.mark.parametrize("fits", range(2, 8))
@pytest.mark.parametrize("pairs", [STAR, LADDER, [*STAR, *LADDER], []])
def test_both_of_each_pair_stand_in_one_part(pairs: list[tuple[str, str]], fits: int) -> None:
    """
    Of which none is larger than the memory, and each has the block's order.
    """
    names = "gfedcba"
    parts = parts_of(names, pairs, fits)
    assert set(names) == {name for part in parts for name in part}
    for part in parts:
        assert 1 <= len(part) <= fits
        assert part == [name for name in names if name in part]
    for pair in pairs:
        assert any(set(pair) <= set(part) for part in parts), pair


def test_a_ladder_is_cut_where_the_memory_ends() -> None:
    """
    The step at which it is cut stands in both parts.
    """
    assert parts_of("abcde", list(pairwise("abcde")), 3) == [list("abc"), list("cde")]
    assert parts_of("abcd", list(pairwise("abcd")), 2) == [list("ab"), list("bc"), list("cd")]


def test_what_is_compared_with_nothing_stands_where_there_is_room() -> None:
    """
    A pair of which one has no trial in this block is none.
    """
    pairs = [("a", "b"), ("c", "d"), ("a", "absent")]
    assert parts_of("abcdx", pairs, 3) == [list("abx"), list("cd")]
    assert parts_of("abcdx", pairs, 2) == [list("ab"), list("cd"), ["x"]]


@pytest.mark.parametrize("fits", [1, 0, -1])
def test_a_memory_for_less_than_two_deployments_is_an_error(fits: int) -> None:
    """
    Nothing could be compared.
    """
    message = f"{max(fits, 0)} deployments fit in memory, and a comparison needs two"
    with pytest.raises(DeployError, match=message):
        parts_of("ab", [("a", "b")], fits)


def planned(*arguments: str) -> Manifest:
    """
    The plan that these arguments make.
    """
    return draft_manifest(measure_parser().parse_args(list(arguments)), None)


def test_the_defaults_are_the_published_parameters() -> None:
    """
    A thousand requests at once, fifty at a time, products; the loads of rounds are shorter.
    """
    options = measure_parser().parse_args([])
    made = draft_manifest(options, None)
    assert (made.requests_at_once, made.concurrency, made.workload.name) == (
        1000,
        50,
        "products",
    )
    assert (made.rounds, made.requests) == (6, 250)
    assert (options.profile, options.machine) == ("standard", "auto")


def test_a_plan_holds_what_was_asked() -> None:
    """
    Options win over the profile.
    """
    arguments = ["--profile", "quick", "--blocks", "7", "--seed", "5", "--rounds", "3"]
    made = planned(*arguments, "--requests", "100", "--variants", "docker,netns")
    assert (made.blocks, made.minutes, made.seed) == (7, PROFILES["quick"].minutes, 5)
    assert (made.rounds, made.requests) == (3, 100)
    assert (made.half_width, made.targets) == (None, [])
    assert [variant.name for variant in made.variants] == ["docker", "netns", "netns-again"]
    assert made.order == []
    assert [pair.name for pair in made.comparisons] == ["matched", "A/A"]
    assert made.focal == [("netns", "docker")]
    assert made.side_by_side == [("netns", "docker"), ("netns", "netns-again")]
    assert made.at_once == ["docker", "netns", "netns-again"]


def widths_of(made: Sequence[Target]) -> dict[tuple[str, str], float]:
    """
    The half-width that each pair is to reach.
    """
    return {(each.baseline, each.treatment): each.half_width for each in made}


def test_a_pair_is_to_be_known_as_well_as_the_narrowest_of_its_kinds_asks() -> None:
    """
    Each pair once.
    """
    pairs = {
        "focal": [("a", "b")],
        "step": [("b", "c")],
        "comparison": [("a", "b"), ("a", "c")],
        "dose": [("a", "d"), ("a", "c")],
        "injected": [("a", "e")],
    }
    made = targets(pairs, 0.01)
    assert len(made) == 5
    assert widths_of(made) == {
        ("a", "b"): pytest.approx(0.01 * WIDER["focal"]),
        ("b", "c"): pytest.approx(0.01 * WIDER["step"]),
        ("a", "c"): pytest.approx(0.01 * WIDER["comparison"]),
        ("a", "d"): pytest.approx(0.01 * WIDER["dose"]),
        ("a", "e"): pytest.approx(0.01 * WIDER["injected"]),
    }


def test_what_a_run_is_for_is_to_be_known_best() -> None:
    """
    Then the steps of its ladders, what is compared besides, and doses; never a control.
    """
    names = "netns,docker,docker-host,docker-cpus-1,bridge,bridge-beside-dockerd"
    assert widths_of(planned("--variants", names).targets) == {
        ("netns", "docker"): pytest.approx(0.01),
        ("bridge", "bridge-beside-dockerd"): pytest.approx(0.015),
        ("docker", "docker-host"): pytest.approx(0.02),
        ("docker", "docker-cpus-1"): pytest.approx(0.05),
    }


def test_a_pair_of_the_sweep_is_to_be_known_as_any_comparison() -> None:
    """
    The CPU time in it is no dose that is put in to test the instrument.
    """
    made = planned("--variants", "netns,docker,netns-burn-1ms,docker-burn-1ms")
    assert widths_of(made.targets) == {
        ("netns", "docker"): pytest.approx(0.01),
        ("netns-burn-1ms", "docker-burn-1ms"): pytest.approx(0.02),
    }


def test_several_calls_are_refused_where_their_number_is_not_proved() -> None:
    """
    Before anything is brought up, and with the workload that has them.
    """
    message = r"netns-calls-2 calls product services .* workload fixed .* --workload products"
    with pytest.raises(UsageError, match=message):
        planned("--variants", "netns,netns-calls-2", "--workload", "fixed")
    assert planned("--variants", "netns", "--workload", "fixed").workload.name == "fixed"


def test_what_is_put_in_to_test_the_instrument_is_to_be_known_better_still() -> None:
    """
    Because a dose is small.
    """
    made = planned("--variants", "netns,docker,inject-0,burn-25,sleep-25")
    assert widths_of(made.targets) == {
        ("netns", "docker"): pytest.approx(0.01),
        ("inject-0", "burn-25"): pytest.approx(0.005),
        ("inject-0", "sleep-25"): pytest.approx(0.005),
    }


def test_all_that_is_compared_stands_side_by_side() -> None:
    """
    Doses, steps and the control too, and the two ends of what ladders should add up to.
    """
    names = "netns,docker,docker-host,docker-cpus-1,bridge,bridge-beside-dockerd"
    made = planned("--variants", names)
    assert set(made.side_by_side) == {
        ("netns", "docker"),
        ("docker", "docker-host"),
        ("docker", "docker-cpus-1"),
        ("bridge", "bridge-beside-dockerd"),
        ("netns", "netns-again"),
    }
    whole = draft_manifest(measure_parser("ladder").parse_args([]), None)
    ends = [(each.baseline, each.treatment) for each in whole.wholes]
    assert ends
    assert all(pair in whole.side_by_side for pair in ends)


def test_the_focal_pairs_and_the_control_are_loaded_at_once_too() -> None:
    """
    As was published; not the steps of a ladder, which nobody published.
    """
    names = "netns,docker,docker-host,bridge,bridge-beside-dockerd"
    assert planned("--variants", names).at_once == ["docker", "netns", "netns-again"]
    assert planned("--variants", "bridge,bridge-beside-dockerd").at_once == []


def test_a_user_is_told_when_the_run_will_end() -> None:
    """
    By blocks, by how well differences are known, and by the budget.
    """
    assert until(planned("--variants", "netns,docker,docker-host,docker-gunicorn")) == (
        "5 blocks or more, until the differences are known: 1 to ±1 %, 2 to ±2 %, within 10 min"
    )
    assert until(planned("--variants", "netns,docker", "--blocks", "3", "--minutes", "7")) == (
        "3 blocks, within 7 min"
    )
    steps = until(planned("--variants", "bare,veth,bridge,tiers"))
    assert "are known: 3 to ±1.5 %, within" in steps


def test_the_help_of_a_session_has_its_own_budget() -> None:
    """
    A group that needs more time than the profile gives says so.
    """
    for session, minutes in (("measure", 10), ("netns", 10), ("ladder", 45)):
        words = " ".join(measure_parser(session).format_help().split())
        assert f"standard: 5 blocks or more, until ±1 %, at most {minutes} min" in words


def test_a_baseline_is_measured_twice_in_every_run_that_compares() -> None:
    """
    The first comparison's, or the foot of the first ladder; but not where two are alike already.
    """

    def made(names: str) -> list[str]:
        return [table.name for table in planned("--variants", names).variants]

    assert made("netns") == ["netns"]
    assert made("bare,veth,bridge,tiers")[-1] == "bare-again"
    # What the search will find is not what it begins with.
    assert made("docker,docker-as-published,docker-tuned")[-1] == "docker-as-published-again"
    assert made("docker-host,container-logging,docker")[-1] == "docker-again"
    assert made("docker-tuned,docker")[-1] == "docker"
    # Two that are the same, and that nobody compares, are no control.
    assert made("netns,docker,docker-host,container-log-json-file")[-1] == "netns-again"
    again = with_control(*with_control(*pair_of("netns", "docker"), []), [])
    assert [variant.name for variant in again[0]] == ["netns", "docker", "netns-again"]


def test_a_report_s_command_plans_the_same_run_again() -> None:
    """
    Word for word, with the twin that nobody names.
    """
    arguments = ["--variants", "netns,docker,docker-host", "--seed", "4", "--blocks", "3"]
    first = draft_manifest(measure_parser().parse_args(arguments), None)
    text = reproduce(findings(first, []))
    (command,) = [line for line in text.splitlines() if line.startswith("nox -s measure -- ")]
    again = draft_manifest(measure_parser().parse_args(command.split()[4:]), None)
    fields = ("variants", "comparisons", "focal", "side_by_side", "at_once", "blocks", "seed")
    for field in (*fields, "rounds", "requests", "requests_at_once"):
        assert getattr(again, field) == getattr(first, field), field


def test_a_kept_variants_file_plans_the_same_run_again(tmp_path: Path) -> None:
    """
    Also where the baseline has an override file of the user's own.
    """
    (tmp_path / "own.yaml").write_text("services: {}\n")
    file = tmp_path / "own.toml"
    own = 'runtime = "process"\nnetwork = "bridge"\nentry = "direct"\ndiscovery = "addresses"\n'
    file.write_text(f'[variants.one]\n{own}overlays = ["own.yaml"]\n[variants.two]\nlike = "one"\n')
    first = draft_manifest(measure_parser().parse_args(["--variants-file", str(file)]), None)
    run = tmp_path / "run"
    run.mkdir()
    kept = keep_variants(run, first)
    again = draft_manifest(
        measure_parser().parse_args(["--variants-file", str(run / kept.variants_file)]), None
    )
    names = ["one", "two", "one-again"]
    for made in (first, again):
        assert [table.name for table in made.variants] == names
        assert [pair.name for pair in made.comparisons] == ["two and one", "A/A"]
        assert [table.twin_of for table in made.variants] == ["", "", "one"]


def pair_of(baseline: str, treatment: str) -> tuple[list[Variant], list[Comparison]]:
    """
    Two declared variants and their comparison.
    """
    declared = load_variants()
    names = [baseline, treatment]
    return declared.choose(names), declared.comparisons_among(names)


def test_a_run_is_for_its_focal_comparisons_and_the_steps_of_its_ladders() -> None:
    """
    All comparisons where there is neither; never the one of a variant with itself.
    """

    def focal(names: str) -> list[tuple[str, str]]:
        return planned("--variants", names).focal

    assert focal("netns,docker,docker-host") == [("netns", "docker")]
    assert focal("docker,docker-host") == [("docker", "docker-host")]
    assert focal("bridge,bridge-beside-dockerd,netns,docker") == [
        ("netns", "docker"),
        ("bridge", "bridge-beside-dockerd"),
    ]


def test_a_profile_says_how_narrow_an_interval_is_to_be() -> None:
    """
    A number of blocks is a number of blocks, unless a half-width is asked for beside it.
    """

    def half_width(*arguments: str) -> float | None:
        return planned(*arguments).half_width

    assert half_width() == 0.01
    assert half_width("--profile", "full") == 0.005
    assert half_width("--profile", "quick") is None
    assert half_width("--blocks", "5") is None
    assert half_width("--blocks", "5", "--half-width", "3") == 0.03


def test_what_a_machine_cannot_have_is_left_out_with_all_that_needs_it() -> None:
    """
    The doses above its CPUs; else comparisons, ladders and their sums would lack a side.
    """
    names = "netns,docker,docker-cpus-1,docker-cpus-2,bare,veth,bridge,tiers,bridge-beside-dockerd"
    made = planned("--variants", names)
    assert too_many_cpus(made, 1) == ["docker-cpus-2"]
    assert too_many_cpus(made, 2) == []
    rest = leave_out(made, ["docker", "veth"])
    there = {*names.split(","), "netns-again"} - {"docker", "veth"}
    assert {table.name for table in rest.variants} == there
    assert [ladder.name for ladder in made.ladders] == ["network", "dockerd beside a bridge"]
    assert [ladder.name for ladder in rest.ladders] == ["dockerd beside a bridge"]
    assert [pair.name for pair in made.comparisons] == ["matched", "A/A"]
    assert [pair.name for pair in rest.comparisons] == ["A/A"]
    assert rest.focal == [("bridge", "bridge-beside-dockerd")]
    assert widths_of(rest.targets).keys() == {
        ("bridge", "tiers"),
        ("bridge", "bridge-beside-dockerd"),
    }
    assert made.at_once == ["docker", "netns", "netns-again"]
    assert rest.at_once == ["netns", "netns-again"]
    assert rest.environment.left_out == ["docker", "veth"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "slow"], "invalid choice: 'slow'"),
        (["--blocks", "0"], "'0' is not a positive integer"),
        (["--blocks", "-3"], "'-3' is not a non-negative integer"),
        (["--blocks", "9" * 20], "'9{20}' is not a non-negative integer of at most 9 digits"),
        (["--seed", "9" * 20], "'9{20}' is not a non-negative integer of at most 9 digits"),
        (["--minutes", "1e300"], "'1e300' is not a positive number of minutes"),
        (["--margin", "1e-9"], "'1e-9' is not a percentage above 0"),
        (["--allow", "\udc87"], r"'\\udc87' holds a character that no name has"),
        (["--minutes", "nan"], "'nan' is not a positive number of minutes"),
        (["--minutes", "0"], "'0' is not a positive number of minutes"),
        (["--variants", ","], "no name is given"),
        (["--rounds", "0"], "'0' is not a positive integer"),
        (["--agreement", ""], "no name is given"),
        (["--half-width", "0"], "'0' is not a percentage above 0"),
        (["--margin", "two"], "'two' is not a percentage"),
        (["--machine", "cloud"], "invalid choice: 'cloud'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_option_is_named_and_help_is_pointed_to(arguments: list[str], message: str) -> None:
    """
    The error names the value, and where the options are explained.
    """
    with pytest.raises(UsageError, match=message) as caught:
        measure_parser("netns").parse_args(arguments)
    assert "`nox -s netns -- --help`" in str(caught.value)


def test_names_that_are_not_known_are_refused_before_anything_begins(tmp_path: Path) -> None:
    """
    Planning needs no root and touches nothing.
    """
    parse = measure_parser().parse_args
    with pytest.raises(UsageError, match="unknown workload 'x'"):
        draft_manifest(parse(["--workload", "x"]), None)
    with pytest.raises(UsageError, match="unknown variant 'x'"):
        draft_manifest(parse(["--variants", "x"]), None)
    with pytest.raises(UsageError, match="there is no variants file"):
        draft_manifest(parse(["--variants-file", str(tmp_path / "none.toml")]), None)

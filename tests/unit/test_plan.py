"""
Planning: the order of trials, and the options that decide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analysis.sections.environment import reproduce
from experiments.errors import UsageError
from experiments.measure import keep_variants, plan
from experiments.options import measure_parser
from experiments.plan import PROFILES, block_order, joined, leave_out, too_many_cpus
from experiments.variants import with_control
from experiments.variants_file import load_variants

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.variants import Comparison, Variant

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


def test_the_seed_decides_the_order() -> None:
    """
    The same seed gives the same run; another gives another.
    """
    orders = [[block_order(VARIANTS, block, seed) for block in range(1, 21)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_no_variant_has_a_place_of_its_own() -> None:
    """
    Over many blocks each variant comes first about as often as any other.
    """
    firsts = [block_order(VARIANTS, block, 3)[0] for block in range(1, 4001)]
    for variant in VARIANTS:
        assert 850 < firsts.count(variant) < 1150


def test_what_is_compared_is_measured_side_by_side() -> None:
    """
    In a random order, and the pairs among the others at random too.
    """
    pairs = [("a", "c"), ("c", "d"), ("x", "y")]
    orders = [block_order(VARIANTS, block, 5, pairs) for block in range(1, 101)]
    for order in orders:
        assert sorted(order) == list(VARIANTS)
        # Everything but b is joined, so b is first or last.
        assert "b" in {order[0], order[-1]}
    assert {order.index("b") for order in orders} == {0, 3}
    assert len({tuple(order) for order in orders}) == 12


def test_pairs_that_share_a_member_are_one_group() -> None:
    """
    Whatever the order in which they are named.
    """
    assert joined("abcd", [("a", "b"), ("c", "d"), ("d", "a")]) == [list("abcd")]
    assert joined("abc", []) == [["a"], ["b"], ["c"]]
    assert joined("ab", [("x", "y"), ("x", "b")]) == [["a"], ["b"]]


def test_the_defaults_are_the_published_parameters() -> None:
    """
    A thousand requests, unless a pilot finds another number, fifty at a time, products.
    """
    options = measure_parser().parse_args([])
    made = plan(options)
    assert (made.requests, made.concurrency, made.workload["name"]) == (1000, 50, "products")
    assert (options.profile, options.machine) == ("standard", "auto")


def test_a_plan_holds_what_was_asked() -> None:
    """
    Options win over the profile.
    """
    arguments = ["--profile", "quick", "--blocks", "7", "--seed", "5", "--variants", "docker,netns"]
    made = plan(measure_parser().parse_args(arguments))
    assert (made.blocks, made.minutes, made.seed) == (7, PROFILES["quick"].minutes, 5)
    assert made.half_width is None
    assert [variant["name"] for variant in made.variants] == ["docker", "netns", "netns-again"]
    assert made.order == []
    assert [pair["name"] for pair in made.comparisons] == ["matched", "A/A"]
    assert made.focal == [["netns", "docker"]]
    assert made.together == [["netns", "docker"], ["netns", "netns-again"]]


def test_a_baseline_is_measured_twice_in_every_run_that_compares() -> None:
    """
    The first comparison's, or the foot of the first ladder; but not where two are alike already.
    """

    def made(names: str) -> list[str]:
        arguments = ["--variants", names]
        return [table["name"] for table in plan(measure_parser().parse_args(arguments)).variants]

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
    first = plan(measure_parser().parse_args(arguments))
    text = reproduce(first)
    (command,) = [line for line in text.splitlines() if line.startswith("nox -s measure -- ")]
    again = plan(measure_parser().parse_args(command.split()[4:]))
    for field in ("variants", "comparisons", "focal", "together", "blocks", "seed", "requests"):
        assert getattr(again, field) == getattr(first, field), field


def test_a_kept_variants_file_plans_the_same_run_again(tmp_path: Path) -> None:
    """
    Also where the baseline has an override file of the user's own.
    """
    (tmp_path / "own.yaml").write_text("services: {}\n")
    file = tmp_path / "own.toml"
    own = 'runtime = "process"\nnetwork = "bridge"\nentry = "direct"\ndiscovery = "addresses"\n'
    file.write_text(f'[variants.one]\n{own}overlays = ["own.yaml"]\n[variants.two]\nlike = "one"\n')
    first = plan(measure_parser().parse_args(["--variants-file", str(file)]))
    run = tmp_path / "run"
    run.mkdir()
    kept = keep_variants(run, first)
    again = plan(measure_parser().parse_args(["--variants-file", str(run / kept.variants_file)]))
    names = ["one", "two", "one-again"]
    for made in (first, again):
        assert [table["name"] for table in made.variants] == names
        assert [pair["name"] for pair in made.comparisons] == ["two and one", "A/A"]
        assert [table["twin_of"] for table in made.variants] == ["", "", "one"]


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

    def focal(names: str) -> list[list[str]]:
        return plan(measure_parser().parse_args(["--variants", names])).focal

    assert focal("netns,docker,docker-host") == [["netns", "docker"]]
    assert focal("docker,docker-host") == [["docker", "docker-host"]]
    assert focal("bridge,bridge-beside-dockerd,netns,docker") == [
        ["netns", "docker"],
        ["bridge", "bridge-beside-dockerd"],
    ]


def test_a_profile_says_how_narrow_an_interval_is_to_be() -> None:
    """
    A number of blocks is a number of blocks, unless a half-width is asked for beside it.
    """

    def half_width(*arguments: str) -> float | None:
        return plan(measure_parser().parse_args(list(arguments))).half_width

    assert half_width() == 0.02
    assert half_width("--profile", "full") == 0.01
    assert half_width("--profile", "quick") is None
    assert half_width("--blocks", "5") is None
    assert half_width("--blocks", "5", "--half-width", "3") == 0.03


def test_what_a_machine_cannot_have_is_left_out_with_all_that_needs_it() -> None:
    """
    The doses above its CPUs; else comparisons, ladders and their sums would lack a side.
    """
    names = "netns,docker,docker-cpus-1,docker-cpus-2,bare,veth,bridge,tiers,bridge-beside-dockerd"
    made = plan(measure_parser().parse_args(["--variants", names]))
    assert too_many_cpus(made, 1) == ["docker-cpus-2"]
    assert too_many_cpus(made, 2) == []
    rest = leave_out(made, ["docker", "veth"])
    there = {*names.split(","), "netns-again"} - {"docker", "veth"}
    assert {table["name"] for table in rest.variants} == there
    assert [ladder["name"] for ladder in made.ladders] == ["network", "dockerd beside a bridge"]
    assert [ladder["name"] for ladder in rest.ladders] == ["dockerd beside a bridge"]
    assert [pair["name"] for pair in made.comparisons] == ["matched", "A/A"]
    assert [pair["name"] for pair in rest.comparisons] == ["A/A"]
    assert rest.focal == [["bridge", "bridge-beside-dockerd"]]
    assert rest.environment["left_out"] == ["docker", "veth"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "slow"], "invalid choice: 'slow'"),
        (["--blocks", "0"], "'0' is not a whole number above zero"),
        (["--blocks", "-3"], "'-3' is not a whole number"),
        (["--minutes", "nan"], "'nan' is not a number of minutes"),
        (["--minutes", "0"], "'0' is not a number of minutes"),
        (["--variants", ","], "no name is given"),
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
        plan(parse(["--workload", "x"]))
    with pytest.raises(UsageError, match="unknown variant 'x'"):
        plan(parse(["--variants", "x"]))
    with pytest.raises(UsageError, match="there is no variants file"):
        plan(parse(["--variants-file", str(tmp_path / "none.toml")]))

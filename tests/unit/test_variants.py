"""
Variants as data: what is declared, and what is refused and how.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from experiments.declare.factors import FACTORS, IMPOSSIBLE, UNLIMITED, different, impossible
from experiments.declare.reading import load_variants
from experiments.declare.variants import PUBLISHED, doses, with_control
from experiments.declare.writing import variants_toml
from experiments.errors import UsageError
from experiments.paths import SERVICES
from experiments.plan.draft import artefact_of
from experiments.run.artefact import OVERLAY

CHECKOUT = Path(__file__).parents[2]

GOOD = """
[variants.mine]
about = "mine"
runtime = "process"
network = "bridge"
entry = "direct"
discovery = "addresses"
"""


RIVAL = '[variants.rival]\nlike = "mine"\nserver = "gunicorn"\nstdio = "null"\n'

SEARCH = """
[search]
name = "best"
about = "found"
start = "mine"
changes = [{server = "gunicorn"}, {server = "gunicorn", stdio = "null"}]
also = ["rival"]
blocks = 2
rounds = 9
every = 3
"""


PAIR = """
[[comparisons]]
name = "{}"
about = "mine against my rival"
baseline = "mine"
treatment = "rival"
role = "{}"
"""


def declare(tmp_path: Path, text: str) -> Path:
    """
    A variants file with this text.
    """
    file = tmp_path / "variants.toml"
    file.write_text(text)
    return file


def test_the_published_systems_and_their_matched_pair_are_declared() -> None:
    """
    The names that the sessions use are there, each with a level of every factor.
    """
    declared = load_variants()
    assert declared.groups["netns"].variants == ("netns", "netns-as-published")
    assert declared.groups["docker"].variants == ("docker", "docker-as-published")
    for variant in declared.variants.values():
        assert variant.levels.keys() == FACTORS.keys()


def test_the_matched_pair_differs_in_its_runtime_and_what_that_brings_alone() -> None:
    """
    Otherwise it would not be matched.
    """
    variants = load_variants().variants
    found = different(variants["netns"].levels, variants["docker"].levels)
    assert found == ["runtime", "confinement", "stdio"]


def test_neighbours_on_a_ladder_differ_in_exactly_one_factor() -> None:
    """
    So that a step has one cause; and no ladder is shorter than a step.
    """
    declared = load_variants()
    assert {ladder.name for ladder in declared.ladders} >= {"network", "container"}
    for ladder in declared.ladders:
        assert ladder.pairs()
        for lower, upper in ladder.pairs():
            levels = [declared.variants[name].levels for name in (lower, upper)]
            assert len(different(*levels)) == 1, (ladder.name, lower, upper)


def test_the_ladder_s_session_enlists_every_step() -> None:
    """
    And the published system beside them.
    """
    declared = load_variants()
    names = list(declared.groups["ladder"].variants)
    assert declared.ladders_among(names) == list(declared.ladders)
    assert declared.wholes_among(names) == list(declared.wholes)


def test_every_level_has_its_override_file_and_every_file_says_what_it_buys() -> None:
    """
    A level without its file would silently be the base; a reader copies the file by its comment.
    """
    named = {name for factor in FACTORS.values() for name in factor.overlays.values()}
    named |= {factor.pattern_overlay for factor in FACTORS.values() if factor.pattern_overlay}
    there = {path.name for path in SERVICES.glob("*.yaml")}
    # The last one is for the length artefact, and no level.
    assert named == there - {"compose.yaml", OVERLAY.name}
    for name in named - {"burn.yaml", "calls.yaml", "sleep.yaml"}:
        text = (SERVICES / name).read_text()
        assert "# Buys: " in text, name
        assert re.search(r"Gives\s+(# )?up: ", text), name


def test_a_level_s_file_takes_the_level_from_its_variable() -> None:
    """
    A number in the file instead would be the same for every level.
    """
    for factor in FACTORS.values():
        for name in {*factor.overlays.values(), factor.pattern_overlay} - {""}:
            assert not factor.variable or f"${{{factor.variable}}}" in (SERVICES / name).read_text()


def test_a_variant_names_its_override_files_in_the_order_of_the_factors() -> None:
    """
    Later files win over earlier ones.
    """
    declared = load_variants().variants["docker-as-published"]
    names = [file.name for file in declared.compose_files(SERVICES)]
    assert names == ["compose.yaml", "published.yaml", "names.yaml"]
    limited = load_variants().variants["docker-cpus-0.5"]
    assert [file.name for file in limited.compose_files(SERVICES)][-1] == "limit-cpus.yaml"
    assert limited.variables()["CPUS"] == "0.5"


def test_every_impossible_combination_is_of_known_levels() -> None:
    """
    A misspelt one would forbid nothing.
    """
    for combination, _ in IMPOSSIBLE:
        for factor, levels in combination.items():
            assert all(FACTORS[factor].allows(level) for level in levels), combination


def test_what_is_possible_is_not_refused() -> None:
    """
    Every declared variant is.
    """
    assert {impossible(each.levels) for each in load_variants().variants.values()} == {""}


def test_a_variant_like_another_takes_over_its_levels_and_nothing_else(tmp_path: Path) -> None:
    """
    Defaults follow its own runtime.
    """
    text = GOOD + '[variants.other]\nlike = "mine"\nruntime = "container"\n'
    other = load_variants(declare(tmp_path, text)).variants["other"]
    assert (other.levels["network"], other.levels["runtime"]) == ("bridge", "container")
    assert other.levels["stdio"] == "docker-json-file"
    assert other.about == ""


def test_the_search_declares_the_variant_that_it_fills(tmp_path: Path) -> None:
    """
    And survives being written into a run, with what it is to beat and how it is measured.
    """
    first = load_variants(declare(tmp_path, GOOD + RIVAL + SEARCH))
    best = first.variants["best"]
    assert (best.levels, best.every) == (first.variants["mine"].levels, 3)
    search = first.search
    assert search is not None
    assert (search.also, search.blocks, search.rounds, search.every) == (("rival",), 2, 9, 3)
    text = variants_toml(list(first.variants.values()), [], search=search)
    assert load_variants(declare(tmp_path, text)) == first


def test_a_run_keeps_of_a_search_what_it_measures(tmp_path: Path) -> None:
    """
    Without its rival it is still a search; without its start it is none.
    """
    first = load_variants(declare(tmp_path, GOOD + RIVAL + SEARCH))
    assert first.search is not None
    variants = first.variants
    text = variants_toml([variants["mine"], variants["best"]], [], search=first.search)
    again = load_variants(declare(tmp_path, text)).search
    assert again == dataclasses.replace(first.search, also=())
    text = variants_toml([variants["rival"], variants["best"]], [], search=first.search)
    kept = load_variants(declare(tmp_path, text))
    assert (kept.search, list(kept.variants)) == (None, ["rival", "best"])


def test_a_search_may_leave_open_how_it_is_measured(tmp_path: Path) -> None:
    """
    One block, and nothing to beat.
    """
    short = "[search]\nname = 'b'\nabout = 'x'\nstart = 'mine'\nchanges = []\n"
    search = load_variants(declare(tmp_path, GOOD + short)).search
    assert search is not None
    assert (search.also, search.blocks, search.rounds, search.every) == ((), 1, 6, 1)


def test_a_dose_comes_after_the_variant_that_differs_in_it_alone() -> None:
    """
    In raw namespaces and in Docker alike; a twin of that variant is no second one.
    """
    names = ["netns", "docker", "docker-host", "netns-cpus-1", "docker-cpus-1", "docker-memory-64m"]
    declared = load_variants()
    variants, _ = with_control(declared.choose(names), declared.comparisons_among(names), [])
    assert "netns-again" in {each.name for each in variants}
    assert doses(variants, ("cpus", "memory"), UNLIMITED) == [
        ("netns", "netns-cpus-1"),
        ("docker", "docker-cpus-1"),
        ("docker", "docker-memory-64m"),
    ]


def test_a_dose_is_nothing_without_what_it_is_a_dose_of() -> None:
    """
    Where a variant says 0, that is what others come after.
    """
    names = ["netns", "netns-gunicorn", "inject-0", "burn-25", "sleep-50", "netns-burn-1ms"]
    chosen = load_variants().choose(names)
    injected = ("burn_us", "sleep_us")
    assert doses(chosen, injected, "0") == [("inject-0", "burn-25"), ("inject-0", "sleep-50")]
    assert doses(chosen[3:], injected, "0") == []
    plain, heavier = chosen[0], chosen[-1]
    zero = dataclasses.replace(plain, levels={**plain.levels, "burn_us": "0", "sleep_us": "0"})
    assert doses([zero, plain, heavier], injected, "0") == []
    assert doses(chosen, ("cpus", "memory"), UNLIMITED) == []


def test_the_sweep_is_pairs_that_differ_in_the_runtime_alone() -> None:
    """
    Each is the matched pair with one dose, the same on both sides, and is compared.
    """
    declared = load_variants()
    names = list(declared.groups["sweep"].variants)
    pairs = [(each.baseline, each.treatment) for each in declared.comparisons_among(names)]
    assert sorted(name for pair in pairs for name in pair) == sorted(names)
    doses_of = []
    for pair in pairs:
        arms = [declared.variants[name] for name in pair]
        for arm, plain in zip(arms, ("netns", "docker"), strict=True):
            other = different(arm.levels, declared.variants[plain].levels)
            assert set(other) <= {"burn_us", "calls"}
            assert len(other) == (arm.name != plain)
        (dose,) = {(each.levels["burn_us"], each.levels["calls"]) for each in arms}
        doses_of.append(dose)
    assert doses_of == [
        *(("none", "1"), ("1000", "1"), ("5000", "1"), ("20000", "1")),
        *(("none", "2"), ("none", "4"), ("none", "8")),
    ]


def test_a_group_may_say_by_what_short_loads_are_held_against_long_ones(tmp_path: Path) -> None:
    """
    Beside its variants and its budgets.
    """
    text = GOOD + "[groups.a]\nvariants = ['mine']\nminutes = {quick = 3}\nagreement = ['mine']\n"
    group = load_variants(declare(tmp_path, text)).groups["a"]
    assert (group.agreement, group.minutes) == (("mine",), {"quick": 3.0})
    calibrate = load_variants().groups["calibrate"]
    assert set(calibrate.agreement) <= set(calibrate.variants)
    assert calibrate.agreement


def test_a_users_own_file_and_overlay_are_taken(tmp_path: Path) -> None:
    """
    Paths of overlays are relative to the file that names them.
    """
    (tmp_path / "mine.yaml").write_text("services: {}\n")
    file = declare(tmp_path, GOOD + 'overlays = ["mine.yaml"]\n')
    variant = load_variants(file).variants["mine"]
    assert variant.compose_files(SERVICES)[-1] == tmp_path / "mine.yaml"


def test_a_users_own_pair_has_a_role_in_the_answer(tmp_path: Path) -> None:
    """
    Whatever the variants are called, the plan knows which is the published treatment.
    """
    text = GOOD + RIVAL + PAIR.format("mine and its rival", "published")
    (pair,) = load_variants(declare(tmp_path, text)).comparisons
    assert pair.role == PUBLISHED
    assert artefact_of([pair], "products") == "rival"
    assert artefact_of([pair], "fixed") == ""
    assert artefact_of([], "products") == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + 'colour = "red"\n', r"variants\.mine: unknown key 'colour'"),
        (GOOD.replace('"bridge"', '"bridges"'), r"network is 'bridges'; it must be one of: host"),
        (GOOD + 'cpus = "many"\n', r"cpus is 'many'; it must be one of: unlimited, or a value"),
        (GOOD + "every = 0\n", "every is 0; it must be an integer from 1 to 1000000"),
        (GOOD + 'confinement = "seccomp"\nstdio = "docker-none"\n', "there is no log driver"),
        (GOOD + '[variants.b]\nlike = "c"\n', "like = 'c' names no declared variant"),
        (
            GOOD + '[variants.b]\nlike = "c"\n[variants.c]\nlike = "b"\n',
            "leads back to the variant itself",
        ),
        (
            GOOD + '[variants.b]\nlike = "mine"\nnetwork = "veth"\nstdio = "null"\n'
            '[[ladders]]\nname = "l"\nabout = "x"\nsteps = ["mine", "b"]\n',
            "the neighbours mine and b differ in these factors: network, stdio",
        ),
        (
            GOOD + '[variants.b]\nlike = "mine"\n'
            '[[ladders]]\nname = "l"\nabout = "x"\nsteps = ["mine", "b"]\n',
            "differ in these factors: none",
        ),
        (
            GOOD + '[[wholes]]\nname = "w"\nbaseline = "mine"\ntreatment = "mine"\n'
            'ladders = ["l"]\n',
            "ladder 'l' is not declared",
        ),
        (
            GOOD + "[search]\nname = 'b'\nabout = 'x'\nstart = 'mine'\n"
            "changes = [{colour = 'red'}]\n",
            "colour = 'red' is not a level of a factor",
        ),
        (GOOD + SEARCH, r"search: also: variant 'rival' is not declared"),
        (GOOD + RIVAL + SEARCH.replace("rounds = 9", "rounds = 0"), "search: rounds is 0; it must"),
        (GOOD + RIVAL + SEARCH.replace("blocks = 2", "blocks = 1.5"), r"search: blocks is 1\.5"),
        (GOOD + RIVAL + SEARCH + "pairs = 2\n", "search: unknown key 'pairs'"),
        (
            GOOD + "[groups.all]\nvariants = ['mine']\nagreement = ['b']\n",
            r"groups\.all\.agreement: variant 'b' is not declared",
        ),
        (
            GOOD.replace('entry = "direct"\n', ""),
            r"variants\.mine: entry is missing; choose one of",
        ),
        (GOOD.replace('"direct"', '"published"'), "raw namespaces publish no ports"),
        (GOOD.replace('"addresses"', '"names"'), "raw namespaces have no name server"),
        (
            GOOD.replace("process", "container").replace("bridge", "tiers"),
            "isolates its bridges",
        ),
        (GOOD + 'overlays = ["none.yaml"]\n', "none.yaml is not a file"),
        (GOOD + 'overlays = "none.yaml"\n', "must be a list of strings"),
        (GOOD + "[groups]\nall = ['other']\n", "variant 'other' is not declared"),
        (GOOD + "[[comparisons]]\nname = 'x'\n", "comparison 1 needs about"),
        (GOOD + RIVAL + PAIR.format("a", "main"), "role is 'main'; it must be one of: matched"),
        (
            GOOD + RIVAL + PAIR.format("a", "matched") + PAIR.format("b", "matched"),
            "role 'matched' is given to a, b; one comparison can have it",
        ),
        ("[variants.mine\n", "as TOML"),
        (f"x = {'9' * 5000}\n", "as TOML: Exceeds the limit"),
        (f"x = {'[' * 5000}\n", "as TOML: maximum recursion depth"),
        (GOOD + "like = []\n", r"variants\.mine: like is \[\]; it must be the name of a variant"),
        (GOOD + "every = 1000001\n", "every is 1000001; it must be an integer from 1 to 1000000"),
        (GOOD + 'overlays = ["a\\u0000b"]\n', "embedded null byte"),
        (
            GOOD + "[groups]\nall = {variants = ['mine'], minutes = {quick = 'x'}}\n",
            r"groups\.all\.minutes has 'x'; it must be a positive number of minutes",
        ),
        (
            GOOD + "[search]\nname = 'b'\nabout = 'x'\nstart = 'mine'\nchanges = [{cpus = 1}]\n",
            "changes: cpus = 1 is not a level of a factor",
        ),
        (
            GOOD + "[search]\nname = '../b'\nabout = 'x'\nstart = 'mine'\nchanges = []\n",
            r"search: '\.\./b' is no name of a variant",
        ),
        (
            GOOD + "[[ladders]]\nname = 'l'\nabout = 'x'\nsteps = ['mine']\n",
            r"ladder 1: steps is \['mine'\]; it must name two variants or more",
        ),
        (
            GOOD + "[[wholes]]\nname = 'w'\nbaseline = 'mine'\ntreatment = 'mine'\nladders = []\n",
            "whole 1: ladders is empty",
        ),
        ("variants = 3\n", "variants must be a table"),
        ("", "declares no variant"),
        ("[machines]\n", "unknown key 'machines'"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_value(
    tmp_path: Path, text: str, message: str
) -> None:
    """
    The error says which file, which key, which value, and what would be right.
    """
    file = declare(tmp_path, text)
    with pytest.raises(UsageError, match=message) as caught:
        load_variants(file)
    assert str(file) in str(caught.value) or "none.yaml" in str(caught.value)


def test_a_file_of_one_s_own_may_build_on_the_project_s_variants(tmp_path: Path) -> None:
    """
    On their levels; what it declares itself comes first, and nothing else is measured.
    """
    own = '[variants.mine]\nlike = "docker-host"\nserver = "gunicorn"\n'
    declared = load_variants(declare(tmp_path, own)).variants
    assert list(declared) == ["mine"]
    shipped = load_variants().variants["docker-host"]
    assert declared["mine"].levels == {**shipped.levels, "server": "gunicorn"}
    own += '[variants.docker-host]\nlike = "bare"\n'
    declared = load_variants(declare(tmp_path, own)).variants
    assert declared["mine"].levels["runtime"] == "process"


def test_the_example_for_contributors_is_a_variants_file(tmp_path: Path) -> None:
    """
    As it is printed, beside an override file.
    """
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.partition("# mine.toml")[2].partition("`nox -s measure")[0].splitlines()[1:]
    (tmp_path / "mine.yaml").write_text("services: {}")
    declared = load_variants(declare(tmp_path, "\n".join(line[4:] for line in lines)))
    assert list(declared.variants) == ["docker-plain", "docker-mine"]
    assert [pair.treatment for pair in declared.comparisons] == ["docker-mine"]
    assert declared.variants["docker-mine"].levels == load_variants().variants["docker"].levels


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """
    No such file, no variants.
    """
    with pytest.raises(UsageError, match="there is no variants file"):
        load_variants(tmp_path / "none.toml")


def test_an_unknown_variant_is_answered_with_the_known_ones() -> None:
    """
    A typing mistake is mended by reading the list.
    """
    with pytest.raises(UsageError, match="unknown variant 'dokcer'; known variants: netns, "):
        load_variants().choose(["netns", "dokcer"])


def test_without_a_declared_comparison_all_are_compared_with_the_first() -> None:
    """
    Any choice of variants gives some comparison.
    """
    pairs = load_variants().comparisons_among(["netns", "docker-as-published"])
    assert [(pair.baseline, pair.treatment) for pair in pairs] == [("netns", "docker-as-published")]
    assert load_variants().comparisons_among(["netns", "docker"])[0].name == "matched"


def test_declared_variants_are_written_as_they_were_read(tmp_path: Path) -> None:
    """
    Also with quotes, dots and letters of other alphabets in their names and words.
    """
    (tmp_path / "own.yaml").write_text("services: {}")
    odd = GOOD.replace("[variants.mine]", '[variants."a.b-c"]').replace('"mine"', "'say \"é\"'")
    odd += 'overlays = ["own.yaml"]\n'
    odd += GOOD + '[[comparisons]]\nname = "n"\nabout = "x"\n'
    odd += 'baseline = "mine"\ntreatment = "a.b-c"\n'
    first = load_variants(declare(tmp_path, odd))
    text = variants_toml(list(first.variants.values()), first.comparisons)
    again = load_variants(declare(tmp_path, text))
    assert again.variants == first.variants
    assert again.comparisons == first.comparisons


def test_a_name_that_could_not_be_a_folder_s_is_refused(tmp_path: Path) -> None:
    """
    Trials and override files are kept below it.
    """
    with pytest.raises(UsageError, match="letters, digits"):
        load_variants(declare(tmp_path, GOOD.replace("[variants.mine]", '[variants."a/b"]')))

"""
Whatever people's tools put around the model's outputs, the same outputs are read.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from analysis.audit.sources import source_of
from tests.ab_model.printing import printed
from tests.ab_model.strategies import examples, outputs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from experiments.records.ab.output import AbOutput
    from tests.ab_model.events import Load
    from tests.ab_model.versions import Version

PREFIXES = (
    "ab_1  | ",
    "ab-1  | ",
    "[pod/ab-7d4b9c-x2x/ab] ",
    "Nov 28 12:54:{at} host ab[812]: ",
    "Nov 28 12:54:{at} host-7 bench.sh[812]: ",
    "2026-11-28T12:54:{at}.1234567Z ",
    "2026-11-28T12:54:{at}.123456789Z stdout F ",
    "[2026-11-28T12:54:{at}.123Z] ",
    "[12:54:{at}] ",
    "12:54:{at}  ",
    "I1128 12:54:{at}.123456   812 bench.go:7] ",
    "2026-11-28 12:54:{at},123 INFO bench: ",
    "\x1b[36mab_1  |\x1b[0m ",
    "> ",
    "> > ",
    "# ",
    "// ",
    "//   ",
    "-- ",
    " * ",
    "- ",
    "; ",
    "| ",
    "    ",
    "\t",
    "remote: ",
    "{at}: ",
    "ok: [host] => ",
)

UNSURE = {"duration_s", "latency_mean_ms", "latency_mean_across_ms"}

BEFORE = (
    "",
    "$ ab -n 100 -c 10 http://gateway.lab/\n",
    "root@host:~# ab -k http://gateway.lab/\n\n",
    "Here is what I get with nginx (4 workers, 8 GB):\n\n```\n",
    "Server restarted, 2 of 3 checks passed.\n",
)
AFTER = ("", "```\n\nWhy is it slow?\n", "ab exited with code 0\n", "\n$ \n", "real 0m1.234s\n")


def decorated(text: str, prefix: str, line_end: str = "\n") -> str:
    """
    The lines of a text with a prefix, in which the seconds change.
    """
    lines = text.replace("\r", "\n").split("\n")
    return "".join(
        prefix.format(at=10 + number // 3 % 50) + line + line_end
        for number, line in enumerate(lines)
    )


def outputs_in(text: str) -> list[AbOutput]:
    """
    What is read of a text.
    """
    return list(source_of("x", text.encode()).outputs)


@examples(60)
@given(
    outputs(), st.sampled_from(PREFIXES), st.sampled_from(BEFORE), st.sampled_from(AFTER), st.data()
)
def test_a_prefix_changes_nothing(
    case: tuple[Version, Load], prefix: str, before: str, after: str, data: st.DataObject
) -> None:
    """
    Whoever printed the lines, and whatever stands before and after them.
    """
    text = printed(*case)
    plain = outputs_in(text)
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    assert len(plain) == 1
    assert outputs_in(before + decorated(text, prefix, end) + after) == plain


@examples(30)
@given(st.lists(outputs(), min_size=2, max_size=4), st.sampled_from(PREFIXES))
def test_outputs_that_follow_each_other_are_told_apart(
    cases: list[tuple[Version, Load]], prefix: str
) -> None:
    """
    Each is read as if it were alone.
    """
    texts = [printed(*case) for case in cases]
    alone = [output for text in texts for output in outputs_in(text)]
    assert outputs_in("\n".join(texts)) == alone
    assert outputs_in(decorated("\n".join(texts), prefix)) == alone


@examples(30)
@given(st.lists(outputs(), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_outputs_that_alternate_are_told_apart_by_their_names(
    cases: list[tuple[Version, Load]], random: Random
) -> None:
    """
    As Compose prints several services at once.
    """
    texts = [printed(*case) for case in cases]
    waiting = [
        decorated(text, f"ab-{number}  | ").splitlines(keepends=True)
        for number, text in enumerate(texts, 1)
    ]
    mixed = ""
    while any(waiting):
        lines = random.choice([lines for lines in waiting if lines])
        mixed += lines.pop(0)
    alone = [output for text in texts for output in outputs_in(text)]
    assert _sorted(outputs_in(mixed)) == _sorted(alone)


@examples(60)
@given(outputs(), st.data())
def test_an_excerpt_says_nothing_else(case: tuple[Version, Load], data: st.DataObject) -> None:
    """
    What is read of some lines is what the whole output says there.

    But without the headline, a time of 2.0 to 2.2.8 may be that of another version.
    """
    version, _ = case
    unsure = set() if version.before(2) or not version.before(2, 2, 9) else UNSURE
    lines = printed(*case).split("\n")
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines)))
    (whole,) = outputs_in("\n".join(lines))
    for found in outputs_in("\n".join([*lines[first:last], ""])):
        for name in {field.name for field in dataclasses.fields(found)} - unsure:
            said, truth = getattr(found, name), getattr(whole, name)
            if isinstance(said, dict):
                assert said.items() <= truth.items(), name
            elif said:
                assert said == truth, name


def _sorted(outputs: Iterable[AbOutput]) -> list[str]:
    return sorted(map(repr, outputs))

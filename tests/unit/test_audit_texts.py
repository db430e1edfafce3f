"""
What people's texts put around outputs of ab: taken off, said, and never mistaken for ab's.
"""

from __future__ import annotations

import dataclasses
import html
import io
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.audit import sources
from analysis.audit.__main__ import main
from analysis.audit.result import audited
from analysis.audit.sources import HALF_BYTES, Source, read_source, source_of
from analysis.audit.structured import messages
from tests.unit.test_audit import NETNS, PUBLISHED, SAMPLES, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from experiments.records.ab.output import AbOutput

TEXTS = {"published": PUBLISHED} | {
    path.stem: path.read_text() for path in sorted(SAMPLES.glob("*.txt"))
}

HEAD = "This is ApacheBench, Version 2.3 <$Revision$>\n\nBenchmarking 127.0.0.1 (be patient)\n"
REPORT = PUBLISHED[PUBLISHED.index("Server Software") :]


def source(text: str | bytes) -> Source:
    """
    The content of a file, read.
    """
    return source_of("x", text.encode() if isinstance(text, str) else text)


def outputs(text: str | bytes) -> Sequence[AbOutput]:
    """
    The outputs in the content of a file.
    """
    return source(text).outputs


def words(text: str) -> str:
    """
    All that is said of the first output of a text.
    """
    return "\n".join(finding.text for finding in audited(source(text)).outputs[0].findings)


def error(text: str | bytes) -> str:
    """
    Why a text has no output.
    """
    found = source(text)
    assert not found.outputs
    return str(found.error)


def rates(text: str | bytes) -> list[float | None]:
    """
    The requests per second of every output.
    """
    found = (output.requests_per_second for output in outputs(text))
    return [None if rate is None else rate.value for rate in found]


def clock(number: int) -> str:
    """
    A time that rises with the number of the line, and passes an hour.
    """
    second = 59 * 60 + 50 + number
    return f"{12 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


PREFIXES: dict[str, Callable[[int], str]] = {
    "ab_1         | ": lambda _: "ab_1         | ",
    "ab-1  | ": lambda _: "ab-1  | ",
    "bench_ab.1.x7k2j3h4p9q8@node1    | ": lambda _: "bench_ab.1.x7k2j3h4p9q8@node1    | ",
    "[pod/ab-7d9f8b6c5-x2x4z/ab] ": lambda _: "[pod/ab-7d9f8b6c5-x2x4z/ab] ",
    "ab-7d9f8b6c5-x2x4z ab ": lambda _: "ab-7d9f8b6c5-x2x4z ab ",
    "Nov 28 12:54:29 host ab[812]: ": lambda n: f"Nov 28 {clock(n)} host ab[812]: ",
    "month's end": lambda n: f"{'Nov 30 23:59' if n < 9 else 'Dec  1 00:00'}:{n:02d} h ab[812]: ",
    "<14>1 2022-11-28T12:54:29.261Z host ab 812 - - ": (
        lambda n: f"<14>1 2022-11-28T{clock(n)}.{261 + n}Z host ab 812 - - "
    ),
    "2022-11-28T12:54:29.2616852Z ": lambda n: f"2022-11-28T{clock(n)}.{2616852 + n}Z ",
    "fractions without last zeros": lambda n: f"2022-11-28T12:54:29{'.5' * (n % 2)}Z ",
    "job, step and time": lambda n: f"bench\tRun ab\t2022-11-28T{clock(n)}.{2616852 + n}Z ",
    "time and stream": lambda n: f"2024-05-10T{clock(n)}.{123456 + n}Z 01{'OE'[n % 2]} ",
    "[2022-11-28T12:54:29.261Z] ": lambda n: f"[2022-11-28T{clock(n)}.{200 + n}Z] ",
    "12:54:29  ": lambda n: f"{clock(n)}  ",
    "stdout and stderr": lambda n: f"2022-11-28T{clock(n)}Z {['stdout', 'stderr'][n % 2]} F ",
    "changing level": lambda n: f"{['INFO', 'WARN', 'ERROR'][n % 3]} {clock(n)} ab: ",
    "INFO:root:": lambda _: "INFO:root:",
    "thread and class": lambda n: f"2022-11-28 {clock(n)},{n:03d} [main] INFO  org.example.B - ",
    "I1128 12:54:29.261685       1 bench.go:42] ": (
        lambda n: f"I1128 {clock(n)}.{261685 + n}       1 bench.go:42] "
    ),
    "#12 0.345 ": lambda n: f"#12 {n / 10:.3f} ",
    "[   0.370] ": lambda n: f"[{n * 0.37:8.3f}] ",
    "1669640069.123 ": lambda n: f"{1669640069 + n / 10:.3f} ",
    "11/28/2022 1:07:07 AM ": lambda n: f"11/28/2022 {1 + n}:07:07 {'AM' if n < 11 else 'PM'} ",
    "3f2a1b9c8d7e ": lambda n: f"3f2a1b9c8d7e{n:04x} ",
    "     1\t": lambda n: f"{n + 1:6d}\t",
    "1: ": lambda n: f"{n + 1}: ",
    "  1 | ": lambda n: f"{n + 1:3d} | ",
    "1. ": lambda n: f"{n + 1}. ",
    **{
        mark: lambda _, mark=mark: mark  # type: ignore[misc]
        for mark in ("# ", "#", "// ", "; ", "-- ", " * ", "- ", "• ", "> ", "> > ", "| ", "    ")
    },
    "\t": lambda _: "\t",
}
"""What logs, programs and people write before the line of a number."""


def wrapped(text: str, columns: int) -> str:
    """
    What is copied from a terminal that cuts lines.
    """
    return "".join(
        f"{line[start : start + columns]}\n"
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), columns)
    )


AROUND: dict[str, Callable[[str], str]] = {
    "code fence": lambda text: f"See:\n\n```text\n{text}```\n\nmore\n",
    "back-ticks": lambda text: "".join(f"`{line}`\n" for line in text.splitlines()),
    "table": lambda text: "".join(f"| {line} |\n" for line in text.splitlines()),
    "colours": lambda text: "".join(f"\x1b[36mab |\x1b[0m {line}\n" for line in text.splitlines()),
    "printed escapes": lambda text: "".join(f"^[[32m{line}^[[0m\n" for line in text.splitlines()),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "progress bar": lambda text: f"10% [=>  ]\r50% [==> ]\r100%\r\n{text}",
    "no-break spaces": lambda text: text.replace(" ", "\N{NO-BREAK SPACE}"),
    "narrow spaces": lambda text: text.replace("  ", "\u202f\u2009"),
    "dashes": lambda text: text.replace("Non-2xx", "Non\N{EN DASH}2xx"),
    "NUL": lambda text: "\0" * 3000 + text,
    "byte order mark": lambda text: f"first line\n\N{BOM}{text}",
    "page": lambda text: f"<html><body><pre><code>{html.escape(text)}</code></pre></body></html>\n",
    "line breaks": lambda text: "<p>" + html.escape(text).replace("\n", "<br />") + "</p>\n",
    "spaces of a page": lambda text: html.escape(text).replace("  ", "&nbsp; "),
    "log in JSON": lambda text: "".join(
        json.dumps({"log": f"{line}\n", "stream": "stdout", "time": f"2022-11-28T{clock(n)}Z"})
        + "\n"
        for n, line in enumerate(text.splitlines())
    ),
    "record in JSON": lambda text: "".join(
        json.dumps({"PID": "812", "MESSAGE": line, "UNIT": "ab"}, separators=(",", ":")) + "\n"
        for line in text.splitlines()
    ),
    "journal in JSON": lambda text: "".join(
        json.dumps(
            {
                "__CURSOR": f"s={'0f1e' * 5}{n:x};i={n * 7919:x};b=9{'ab' * n}",
                "_PID": "812",
                "MESSAGE": list(line.encode()) if n % 7 == 3 else line,
                "__REALTIME_TIMESTAMP": str(1714731060000000 + 3701 * n),
                "_TRANSPORT": "stdout",
            }
        )
        + "\n"
        for n, line in enumerate(text.splitlines())
    ),
    "log in JSON with fields after it": lambda text: "".join(
        f'{{"level":"info","ts":{1714.5 + n},"msg":{json.dumps(line)},"pod":"ab-1"}} , run=7\n'
        for n, line in enumerate(text.splitlines())
    ),
    "log in JSON after a time": lambda text: "".join(
        f"2024-05-03T{clock(n)}Z stdout F {json.dumps({'log': line})}\n"
        for n, line in enumerate(text.splitlines())
    ),
    "document in JSON": lambda text: json.dumps(
        {"events": [{"id": n, "message": line} for n, line in enumerate(text.splitlines())]},
        indent=1,
    ),
    "documents in JSON": lambda text: "".join(
        json.dumps({"_PID": "812", "MESSAGE": line, "N": n}, indent=8) + "\n"
        for n, line in enumerate(text.splitlines())
    ),
    "time at the right": lambda text: "".join(
        f"{line:<90}{clock(n)}\n"
        if line.startswith(("Complete", "Failed", "Time t"))
        else line + "\n"
        for n, line in enumerate(text.splitlines())
    ),
    "pairs in JSON": lambda text: json.dumps(
        {"result": [{"values": [[str(n), line] for n, line in enumerate(text.splitlines())]}]}
    ),
    "lists and strings in JSON": lambda text: json.dumps(
        {"cmd": "ab", "stdout": text, "stdout_lines": text.splitlines()}
    ),
    "logfmt": lambda text: "".join(
        f"time={clock(n)} level=info msg={json.dumps(line)} container=ab took={n}ms\n"
        for n, line in enumerate(text.splitlines())
    ),
    "box": lambda text: "".join(f"│ {line:<100} │\n" for line in text.splitlines()),
    "box of signs": lambda text: "".join(f"| {line:<100} |\n" for line in text.splitlines()),
    "terminal of 40 columns": lambda text: wrapped(text, 40),
    "terminal of 64 columns": lambda text: wrapped(text, 64),
    "string in JSON": lambda text: json.dumps({"rc": 0, "stdout": text}) + "\n",
    "strings in JSON": lambda text: "".join(
        f"  {json.dumps(line)},\n" for line in text.splitlines()
    ),
    "forum": lambda text: f"[code]{text}[/code]\n",
    "heading in the same line": lambda text: f"This is what I get: {text}",
    "mail": lambda text: text.replace("(mean, across", "(mean,\nacross"),
    "long line": lambda text: f"{'x' * 100_000}\n{text}",
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_changes_nothing(prefix: str) -> None:
    """
    Constant or changing, it is taken off all lines, field by field.
    """
    for text in TEXTS.values():
        lines = enumerate(text.splitlines())
        logged = "".join(f"{PREFIXES[prefix](number)}{line}\n" for number, line in lines)
        (found,), (plain,) = outputs(logged), outputs(text)
        assert dataclasses.asdict(found) == dataclasses.asdict(plain)
        assert prefix.isspace() == ("taken off" not in words(logged))


@pytest.mark.parametrize("around", AROUND)
def test_markup_changes_nothing(around: str) -> None:
    """
    Web pages, terminals, strings and mails hold the same output.
    """
    for text in TEXTS.values():
        (found,), (plain,) = outputs(AROUND[around](text)), outputs(text)
        assert dataclasses.asdict(found) == dataclasses.asdict(plain)


def test_a_terminal_may_drop_spaces_where_it_cuts() -> None:
    """
    The rows of the table are whole again.
    """
    cut = "".join(f"{line.rstrip()}\n" for line in wrapped(NETNS, 40).splitlines())
    assert outputs(cut) == (reading(NETNS),)
    assert "Line breaks after 40 columns taken off." in words(cut)


def test_records_of_other_programs_are_told_apart() -> None:
    """
    By the other fields of a record, however many of them change.
    """
    pairs = zip(PUBLISHED.splitlines(), NETNS.ljust(3000, "\n").splitlines(), strict=False)
    records = [
        {"ts": clock(n), "pod": pod, "stream": ("stdout", "stderr")[n % 3 == 1], "log": line}
        for n, lines in enumerate(pairs)
        for pod, line in zip(("ab-1", "ab-2", "web"), (*lines, "Server Port: 99"), strict=True)
    ]
    logged = "".join(f"{json.dumps(record)}\n" for record in records)
    assert outputs(logged) == (reading(), reading(NETNS))


@pytest.mark.parametrize(
    "mark", ["**", "=> ", "--> ", "_", "<b>", "> ", "!! ", "\N{BLACK RIGHTWARDS ARROWHEAD} "]
)
def test_a_single_line_that_people_mark_is_read(mark: str) -> None:
    """
    Whichever line matters to them, of each of several outputs.
    """
    end = mark if mark in {"**", "_"} else ""
    for text in (PUBLISHED, PUBLISHED + NETNS):
        for label in ("Requests per second:", "Failed requests:", "Complete requests:"):
            marked = "".join(
                f"{mark}{line}{end}\n" if line.startswith(label) else f"{line}\n"
                for line in text.splitlines()
            )
            assert outputs(marked) == outputs(text)
    within = PUBLISHED.replace("Requests per second:", "**Requests per second:**")
    row = within.replace("Total: ", "**Total:** ").replace("  99%", "=>  99%")
    assert outputs(row) == (reading(),)
    named = "".join(f"ab_1  | {line}\n" for line in within.splitlines())
    assert outputs(named) == (reading(),)


def test_a_marked_line_that_may_be_of_another_output_is_left_out() -> None:
    """
    Two candidates, a line that is there, and the sign of a difference are not taken.
    """
    number = "Requests per second:    29.21 [#/sec] (mean)\n"
    assert number in PUBLISHED
    other = number.replace("29", "92")
    for lines in (f"=> {number}=> {other}", f"-{number}", f"+{number}"):
        (found,) = outputs(PUBLISHED.replace(number, lines))
        assert found.requests_per_second is None
    assert outputs(f"{PUBLISHED}\n=> {other}") == (reading(),)


NAMES = st.from_regex(r"[a-z]{2,8}([_-][0-9]{1,2})?", fullmatch=True)
PARTS = st.sampled_from(["", "{time} ", "[{time}] ", "{date} {time} ", "{date}T{time}Z ", "{n} "])
ENDS = st.sampled_from([" | ", ": ", "[7]: ", "> ", " - ", "] "])


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.sampled_from(sorted(TEXTS)), PARTS, NAMES, ENDS, NAMES)
def test_other_programs_lines_are_not_mixed_in(
    sample: str, part: str, name: str, end: str, other: str
) -> None:
    """
    What another service logs is not ab's, though it be in the words of ab.
    """
    if other == name:
        other += "x"
    theirs = ["Document Path: /x", "Server Port: 99", "Requests per second: 12", "WARNING: x", ""]
    lines = []
    for number, line in enumerate(TEXTS[sample].splitlines()):
        stamp = part.format(time=clock(number), date="2022-11-28", n=number)
        lines += [f"{stamp}{name}{end}{line}", f"{stamp}{other}{end}{theirs[number % 5]}"]
    (found,) = outputs("\n".join(lines) + "\n")
    (plain,) = outputs(TEXTS[sample])
    assert dataclasses.asdict(found) == dataclasses.asdict(plain)


def test_what_was_taken_off_is_said() -> None:
    """
    With the number of lines; a prefix of other lines is named, too.
    """
    logged = "".join(f"ab_1   | {line}\nweb_1  | GET / 200\n" for line in PUBLISHED.splitlines())
    count = len(PUBLISHED.splitlines())
    assert f"Prefix “ab_1   |” taken off {count} lines." in words(logged)
    assert "no part of this output, such as “web_1  | GET / 200”" in words(logged)
    stamped = "".join(f"[{clock(n)}] {line}\n" for n, line in enumerate(PUBLISHED.splitlines()))
    assert "Changing prefix “[12:59:50]” taken off" in words(stamped)
    assert "taken off" not in words(PUBLISHED)
    assert "HTML tags taken off" in words(AROUND["page"](PUBLISHED))


@pytest.mark.parametrize(
    "names", [("ab_1  |", "ab_2  |"), ("h ab[812]:", "h ab[813]:"), ("a:", "b:")]
)
def test_instances_that_run_at_once_are_told_apart(names: tuple[str, str]) -> None:
    """
    Each has its own prefix; their lines alternate.
    """
    pairs = zip(PUBLISHED.splitlines(), NETNS.ljust(3000, "\n").splitlines(), strict=False)
    lines = [f"{names[0]} {one}\n{names[1]} {other}\n" for one, other in pairs]
    assert outputs("".join(lines)) == (reading(), reading(NETNS))
    following = [f"{name} {line}\n" for name in names for line in PUBLISHED.splitlines()]
    assert outputs("".join(following)) == (reading(), reading())


def test_several_outputs_that_cannot_be_told_apart_are_refused() -> None:
    """
    Alternating, side by side, as columns, or as a difference: never mixed.
    """
    pairs = list(zip(PUBLISHED.splitlines(), NETNS.splitlines(), strict=False))
    alternating = "".join(f"{one}\n{other}\n" for one, other in pairs)
    assert "alternate" in error(alternating)
    assert "side by side" in error("".join(f"{one:80}{other}\n" for one, other in pairs))
    columns = "| | netns | docker |\n|---|---|---|\n" + "".join(
        f"| {label} | {number} | {number + 1} |\n"
        for number, label in enumerate(["Complete requests", "Failed requests", "Transfer rate"])
    )
    assert "side by side" in error(columns)
    bare = columns.replace("\n| ", "\n").replace(" |\n", "\n")
    assert "side by side" in error(bare)
    rows = [line.strip("| ").split(" | ") for line in columns.splitlines()[2:]]
    cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    assert "side by side" in error("<table>" + "".join(f"<tr>{row}</tr>" for row in cells))
    difference = "".join(
        f" {one}\n" if one == other else f"-{one}\n+{other}\n" for one, other in pairs
    )
    assert "difference of two outputs" in error(difference)
    lines = "".join(f"< {one}\n---\n> {other}\n" for one, other in pairs)
    assert "difference of two outputs" in error(f"1,40c1,40\n{lines}")


LIST = """\
### direct

* Concurrency Level:      1000
* Time taken for tests:   17.010 seconds
* Complete requests:      1000000
* Failed requests:        0
* Total transferred:      67000000 bytes
* HTML transferred:       5000000 bytes
* Requests per second:    `58790.12` [#/sec] (mean)
* Time per request:       **17.010** [ms] (mean)
* Time per request:       17.010 [ms] (mean, across all concurrent requests)
"""


def test_outputs_without_headlines_are_told_apart_by_their_labels() -> None:
    """
    A label that repeats begins another output, whatever its first line is.
    """
    other = LIST.replace("58790.12", "50362.00").replace("direct", "by a proxy")
    assert rates(LIST + other + LIST) == [58790.12, 50362.0, 58790.12]
    numbers = "Requests per second: 9 [#/sec] (mean)\nTime per request: 9 [ms] (mean)\n"
    assert rates(f"nginx\n{numbers}\napache\n\nFailed requests: 0\n{numbers}") == [9.0]
    assert "too few for an output" in words(f"{numbers}\n\nFailed requests: 0\n{numbers}")


def test_an_order_of_one_s_own_is_one_output() -> None:
    """
    Where no label repeats, the order does not matter.
    """
    backwards = "".join(reversed(LIST.splitlines(keepends=True)))
    assert outputs(backwards) == outputs(LIST)
    assert outputs(backwards * 2) == (*outputs(LIST), *outputs(LIST))


def test_marks_before_some_lines_only_are_taken_off() -> None:
    """
    A list may have lines below its points.
    """
    points = "".join(
        f"- {line}\n" if number % 3 else f"  {line}\n"
        for number, line in enumerate(PUBLISHED.splitlines())
    )
    assert outputs(points) == (reading(),)


def test_a_table_of_labels_and_values_is_read() -> None:
    """
    In Markdown or in HTML, with or without colons.
    """
    rows = [line[2:].split(":") for line in LIST.splitlines()[2:]]
    bare = "| ab | |\n|---|---|\n" + "".join(f"| {one} | {two.strip()} |\n" for one, two in rows)
    page = "".join(f"<tr><td>{one}:</td><td>{two}</td></tr>" for one, two in rows)
    assert outputs(bare) == outputs(LIST)
    assert outputs(f"<table>{page}</table>\n") == outputs(LIST)
    assert outputs(f"<table>{page.replace(':</td>', '</td>')}</table>\n") == outputs(LIST)


def test_numbers_below_their_labels_are_read() -> None:
    """
    The text of a picture may have a line for each cell.
    """
    number = "Complete requests:      1000"
    assert number in PUBLISHED
    assert outputs(PUBLISHED.replace(number, "Complete requests:\n1000")) == (reading(),)
    (found,) = outputs(PUBLISHED.replace(number, "Complete requests:"))
    assert found.unreadable == ("Complete requests",)


def test_lost_line_ends_are_found_again() -> None:
    """
    A chat may make one line of an output.
    """
    (found,) = outputs(" ".join(PUBLISHED.split()) + "\n")
    assert dataclasses.replace(found, interrupted=False) == reading()


def test_headlines_of_parallel_instances_go_to_their_reports() -> None:
    """
    Of two at once in one file, the headlines may come first.
    """
    assert rates(HEAD + HEAD + REPORT + NETNS[NETNS.index("Server Software") :]) == [29.21, 54.07]
    assert [output.version for output in outputs(HEAD + HEAD + REPORT + REPORT)] == ["2.3", "2.3"]


ABORTED = "Test aborted after 10 failures"
BEGIN = "Benchmarking h (be patient)"
REFUSED = "apr_socket_connect(): Connection refused (111)"
EXPIRED = "apr_pollset_poll: The timeout specified has expired (70007)"
RESET = "apr_socket_recv: Connection reset by peer (104)"


@pytest.mark.parametrize(
    ("text", "after", "reasons"),
    [
        (f"{HEAD}Completed 200 requests\n{RESET}\nTotal of 299 requests completed\n", 299, [RESET]),
        (f"{RESET}\n{HEAD}Total of 299 requests completed\n", 299, [RESET]),
        (f"{HEAD}Total of 299 requests completed\n{RESET}\n", 299, [RESET]),
        (f"{HEAD}socket: Too many open files (24)", None, ["socket: Too many open files (24)"]),
        (
            f"{BEGIN}\n\n{ABORTED}\n\n{REFUSED}\nTotal of 9 requests completed\n",
            9,
            [ABORTED, REFUSED],
        ),
        (
            f"{BEGIN}...{EXPIRED}\nTotal of 3 requests completed\n",
            3,
            [EXPIRED],
        ),
        (
            f"{BEGIN}...SSL handshake failed (1).\n14:error:SSL\n{ABORTED}\n",
            None,
            [ABORTED],
        ),
        (f"{HEAD}\nServer timed out\n", None, ["Server timed out"]),
    ],
)
@pytest.mark.parametrize("prefix", ["", "ab-1  | "])
def test_an_aborted_run_has_its_reason_wherever_it_stands(
    text: str, after: int | None, reasons: list[str], prefix: str
) -> None:
    """
    Before, within or after, and with a log's prefix.
    """
    logged = "".join(f"{prefix}{line}\n" for line in text.splitlines())
    (found,) = outputs(logged)
    assert (found.aborted_after_requests, list(found.faults)) == (after, reasons)
    assert "There is no result." in words(logged)
    assert "incomplete" not in words(logged)


BROKEN = [
    "SSL handshake failed (1).",
    "SSL handshake failed (1): error:0A000410:SSL routines::sslv3 alert handshake failure",
    "SSL read failed (1) - closing connection",
    "SSL write failed - closing connection",
    "SSL connection failed",
    "Send request failed!",
    "Send request timed out!",
]


@pytest.mark.parametrize("line", BROKEN)
def test_what_ends_one_connection_is_no_reason_to_give_up(line: str) -> None:
    """
    A text without a result is incomplete, and a report stays one. The line is passed on as ab's.
    """
    text = f"{HEAD.rstrip()}...{line}\n{line}\n"
    (cut,) = outputs(text)
    assert (cut.faults, cut.failure, cut.began) == ((), None, True)
    shown = words(text)
    assert f"ab itself warns: “{line.rstrip('.')}” (2 times)." in shown
    assert "incomplete" in shown
    assert words(PUBLISHED.replace(".....done", f"...\n{line}\n..done")).count(line[:-1]) == 1


def test_ab_s_reason_ends_with_one_full_stop() -> None:
    """
    As the sentence does that quotes it.
    """
    assert "ab gave up: SSL_new failed. There is no result." in words(f"{HEAD}SSL_new failed.\n")


def test_the_aborted_run_of_a_series_is_one_of_them() -> None:
    """
    It is counted, and its reason does not go to the run before.
    """
    aborted = f"{HEAD}Completed 200 requests\nTotal of 299 requests completed\n"
    for text in (
        PUBLISHED + PUBLISHED + RESET + "\n" + aborted,
        PUBLISHED * 2 + aborted + RESET + "\n",
    ):
        first, second, third = outputs(text)
        assert first == second == reading()
        assert (third.aborted_after_requests, third.faults) == (299, (RESET,))


def test_reasons_within_a_report_stay_there() -> None:
    """
    With -v 1 and -r ab prints them and goes on; the run after it was only cut.
    """
    text = PUBLISHED.replace(".....done", f"...\n{RESET}\n..done")
    complete, cut = outputs(text + HEAD)
    assert (complete.faults, complete.failure) == ((RESET,), None)
    assert (cut.faults, cut.failure) == ((), None)


def test_a_version_that_prints_what_it_has_after_giving_up_has_numbers() -> None:
    """
    The trunk does so; they are of the requests before that.
    """
    text = PUBLISHED.replace(".....done", f"...\n{RESET}\nTotal of 1000 requests completed")
    (found,) = outputs(text)
    assert (found.failure, found.requests_completed) == (
        f"ab gave up after 1000 requests: {RESET}",
        1000,
    )
    assert "What it printed is of the requests before that." in words(text)


ANSWER = """\
LOG: header received:
HTTP/1.0 200 OK
Server: x

Server Software:        forged
Requests per second:    1.00 [#/sec] (mean)
<p>Document Path: /forged</p>
WARNING: The median and mean for nothing

"""


@pytest.mark.parametrize(
    "codes", ["LOG: Response code = 200\n", "", "WARNING: Response code not 2xx (404)\n"]
)
def test_what_servers_answered_is_not_ab_s(codes: str) -> None:
    """
    With -v 2 to 4 it stands between progress and report; "..done" is on a line of its own.
    """
    start, report = PUBLISHED.split("..done")
    asked = "INFO: GET header == \n---\nGET / HTTP/1.0\nServer Port: 1\n\n---\n"
    verbose = f"{start}{asked}{(ANSWER + codes) * 3}..done{report}"
    (found,) = outputs(verbose)
    assert found == reading()
    (interrupted,) = outputs(f"{start}{asked}{ANSWER * 3}{report}")
    assert dataclasses.replace(interrupted, interrupted=False) == reading()
    assert interrupted.interrupted
    assert outputs((verbose + PUBLISHED).replace(codes, "")) == (reading(), reading())


def test_an_excerpt_says_nothing_of_what_was_left_out() -> None:
    """
    A line that ab prints only sometimes may be among the lines that are not there.
    """
    for mark in ("...", "[...]", "…", "<snip>", "(...)", "-- snip --"):
        (found,) = outputs(
            NETNS.replace("Failed requests:        0\n", f"Failed requests: 0\n{mark}\n")
        )
        assert (found.responses_non_2xx, found.write_errors, found.keep_alive) == (None, None, None)
        assert "is not known" in words(NETNS.replace("Total transf", f"{mark}\nTotal transf"))
    (elsewhere,) = outputs(NETNS.replace("  66%    901\n", "...\n"))
    assert (elsewhere.responses_non_2xx, elsewhere.keep_alive) == (0, False)
    (progress,) = outputs(PUBLISHED.replace(".....done\n", "...\n[...]\n"))
    assert not progress.interrupted


def test_excerpts_are_read() -> None:
    """
    Only the tables, only the percentiles, only the head, or three lines.
    """
    (tables,) = outputs(PUBLISHED[PUBLISHED.index("Connection Times") :])
    assert tables.connection_times_ms == reading().connection_times_ms
    for start in ("Percentage of", "  50%"):
        (found,) = outputs(PUBLISHED[PUBLISHED.index(start) :])
        assert found.percentiles_ms == reading().percentiles_ms
    (head,) = outputs(HEAD)
    assert (head.version, head.failure) == ("2.3", None)
    assert "incomplete" in words(HEAD)


@pytest.mark.parametrize(
    "text",
    [
        "INFO Requests per second: 12\n" * 9,
        "Requests per second: 12\nFailed requests: 3\nTransfer rate: 5 MB/s\nServer Port: 80\n",
        "app: Total transferred: 9\napp: Failed requests: 3\napp: Requests per second: 9\n",
        "Requests per second: the rate.\nServer Software: its name.\nDocument Path: of the URL.\n",
        "I got\n\n> Requests per second:    29.21 [#/sec] (mean)\n\nIs that good?\n",
        "c1.txt:Requests per second: 1.00 [#/sec]\nc2.txt:Requests per second: 2.00 [#/sec]\n",
        "Total: 1 2 3\nServer Port: 1\nServer Hostname: x\n",
    ],
)
def test_lines_like_ab_s_are_no_output(text: str) -> None:
    """
    A log, a text about ab, or a mail with one line of it.
    """
    assert "this is not an output of ab: it has lines like those of ab, but" in error(text)


def test_a_headline_or_a_message_of_ab_is_named() -> None:
    """
    The first is an output without a result, the second is none.
    """
    assert "incomplete" in words("This is ApacheBench, Version 2.3 <$Revision$>\n")
    assert "usage message of ab" in error(
        "ab: wrong number of arguments\nUsage: ab [options] [http"
    )
    assert "ab is not installed" in error("bash: line 1: ab: command not found\n")


def test_other_programs_warnings_are_not_ab_s() -> None:
    """
    A log is full of them.
    """
    text = PUBLISHED.replace("Concurrency Level", "WARNING: pip is out of date\nConcurrency Level")
    (found,) = outputs(text)
    assert found.warnings == ()


def test_older_versions_lines_are_read() -> None:
    """
    Those of 1.3 and of -S, and a mean and a maximum without a space between them.
    """
    warning = "WARING: The median and mean for the waiting time are not within a normal deviation"
    text = PUBLISHED.replace(
        "Failed requests:        996", "Broken pipe errors:     7\nFailed requests: 996"
    )
    (found,) = outputs(f"{text}{warning}\n        These results are propably not that reliable.\n")
    assert (found.write_errors, found.warnings) == (7, (warning,))
    rows = ["Connect:        0     1   19", "Processing:     1  9999200014"]
    table = "\n".join([*rows, "Total:          0 30615200015\n"])
    (found,) = outputs(f"{HEAD}Connection Times (ms)\n              min   avg   max\n{table}")
    times = {
        row: [one.value for one in of.values()] for row, of in found.connection_times_ms.items()
    }
    assert times == {
        "connect": [0, 1, 19],
        "processing": [1, 9999, 200014],
        "total": [0, 30615, 200015],
    }
    (cut,) = outputs(f"{HEAD}Connection Times (ms)\nTotal:          0 123456789012\n")
    assert cut.unreadable == ("Total, mean", "Total, max")
    early = PUBLISHED.replace("Version 2.3", "Version 1.3c").replace(".....done", "...\r   \r")
    assert not outputs(early)[0].interrupted


def test_percentages_in_prose_are_no_percentiles() -> None:
    """
    Before and after the output.
    """
    text = f"10% of all users\n{PUBLISHED}\n60% is more than 50% of it, 100% sure\n"
    assert outputs(text) == (reading(),)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "wrk",
            "Running 30s test @ http://x/\n  2 threads and 10 connections\n  Thread Stats   Avg\n",
        ),
        ("wrk2", "Running 30s test @ http://x/\n  Thread calibration: mean lat.: 1.2ms\n"),
        (
            "autocannon",
            "Running 10s test @ http://x/\n10 connections\n\n┌──┐\n│ Stat    │ 2.5% │\n",
        ),
        ("hey", "Summary:\n  Total:\t1.2 secs\n  Slowest:\t0.1 secs\nLatency distribution:\n"),
        ("oha", "Summary:\n  Success rate: 100.00%\n  Total: 4.9 secs\n"),
        (
            "bombardier",
            "Statistics        Avg      Stdev        Max\n  Reqs/sec   12.58   67.10  1470.5\n",
        ),
        ("h2load", "starting benchmark...\nfinished in 1.0s, 10 req/s\n"),
        ("k6", "     http_req_duration..............: avg=1ms\n     http_reqs......: 9  1/s\n"),
        ("siege", "Transactions:\t\t 100 hits\nAvailability:\t\t 100.00 %\n"),
        (
            "Gatling",
            "---- Global Information ----\n> request count    14924 (OK=9924   KO=5000  )\n",
        ),
        ("vegeta", "Requests      [total, rate, throughput]  10, 1.1, 1.1\n"),
        ("Locust", " Name          # reqs      # fails  |     Avg     Min\n"),
        ("JMeter", "summary =   1000 in 00:00:10 =  100.0/s Avg:    12 Min:     1 Max:    99\n"),
        ("httperf", "httperf --client=0/1 --server=x\nMaximum connect burst length: 1\n"),
        (
            "weighttp",
            "weighttp - a lightweight tool\nfinished in 5 sec, 123 millisec and 4 microsec\n",
        ),
        ("k6", '{"type":"Metric","data":{}}\n'),
        ("JSON", '{"rps": 3}'),
        ("HTML", "<!DOCTYPE html>\n<html><p>hello</p></html>\n"),
        ("percentile file (-e)", "Percentage served,Time in ms\n0,1.0\n"),
        ("gnuplot file (-g)", "starttime\tseconds\tctime\tdtime\tttime\twait\n"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "bench-1  | "])
def test_other_tools_are_named(name: str, text: str, prefix: str) -> None:
    """
    Also in a log.
    """
    if prefix and name in {"JSON", "HTML", "k6"} and text[0] in "{<":
        return
    logged = "".join(f"{prefix}{line}\n" for line in text.splitlines())
    if name.endswith(")"):
        logged = text
    assert f"{name}" in error(logged).replace(";", " ").replace("the audit", "")
    assert "looks like" in error(logged)


def test_ab_s_html_is_named_with_what_to_do() -> None:
    """
    It has a headline, but lacks most of what is checked.
    """
    rows = "".join(
        f"<tr ><th colspan=2 bgcolor=white>{label}</th><td colspan=2 bgcolor=white>1</td></tr>\n"
        for label in ("Server Software:", "Document Path:", "Complete requests:")
    )
    headline = "<p>\n This is ApacheBench, Version 2.3 <i>&lt;$Revision$&gt;</i><br>\n</p>\n"
    page = f"{headline}<table >\n{rows}</table>\n"
    assert "HTML (-w)" in error(page)
    assert "run ab without -w" in error(page)


@pytest.mark.parametrize("end", [")", ") ", ") |", ")`"])
def test_a_last_line_without_its_end_is_whole(end: str) -> None:
    """
    If it ends as ab's last line does.
    """
    assert outputs(PUBLISHED.rstrip("\n)") + end) == (reading(),)
    (aborted,) = outputs(f"{HEAD}{RESET}\nTotal of 299 requests completed")
    assert aborted.aborted_after_requests == 299


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08\0", b"PK\x03\x04", b"\x89PNG\r\n"])
def test_archives_and_pictures_are_named(magic: bytes) -> None:
    """
    With what to do.
    """
    assert "unpack it" in error(magic + b"\0\xff") or "picture" in error(magic + b"\0\xff")


def test_bytes_of_other_encodings_are_read() -> None:
    """
    Latin-1 within UTF-8, UTF-16 with and without a mark, and UTF-16 behind UTF-8.
    """
    text = PUBLISHED.replace("Werkzeug/3.1.3", "Zürich/1")
    for encoding in ("utf-8", "latin-1", "utf-16", "utf-16-le", "utf-16-be"):
        (found,) = outputs(text.encode(encoding))
        assert found.server_software == "Zürich/1"
    both = outputs(PUBLISHED.encode() + NETNS.encode("utf-16"))
    assert [dataclasses.replace(output, version="2.3") for output in both] == [
        reading(),
        reading(NETNS),
    ]


class Endless:
    """
    Standard input that does not end.
    """

    def seekable(self) -> bool:
        """
        A pipe is not.
        """
        return False

    def read(self, size: int) -> bytes:
        """
        As much as is asked for.
        """
        return b"y\n" * (size // 2)


def test_an_endless_pipe_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    It is said that it did not end, and what was read.
    """
    piped = SimpleNamespace(buffer=Endless(), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", piped)
    assert main([]) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert "it begins “y” (Only the first 0.5 MB, the last 0.5 MB and up to 0.5 MB near" in printed
    assert "MB that did not end)" in printed


def test_a_long_pipe_is_read_at_both_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Ab prints its report last.
    """
    long = b"line\n" * (HALF_BYTES // 2) + PUBLISHED.encode()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(long), isatty=lambda: False))
    assert main([]) == 10
    printed = " ".join(capsys.readouterr().out.split())
    assert "29.21" in printed
    assert "near lines of ab were read of 1 MB." in printed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("shift", [0, 1500])
def test_outputs_in_the_middle_of_a_long_log_are_found(
    shift: int, encoding: str, tmp_path: Path
) -> None:
    """
    Wherever they stand, and however much of the log lies between their lines.
    """
    filler = "GET / HTTP/1.0 200 ApacheBench/2.3\n" * (HALF_BYTES // 20)
    begin, end = NETNS.split("Benchmarking")
    text = f"{filler}{'x' * shift}\n{PUBLISHED}{filler}{begin}{filler}Benchmarking{end}{filler}"
    path = tmp_path / "log"
    path.write_text(text, encoding=encoding)
    found = read_source(str(path))
    assert list(found.outputs) == [reading(), reading(NETNS)]
    assert found.cut is not None


def test_records_without_line_ends_do_not_multiply_the_text() -> None:
    """
    What stands around a record in its line is put before each of its lines only if it is short.
    """
    record = json.dumps({"log": PUBLISHED})
    text = record * 30 + record[:50]
    assert len(messages(text)[0]) < 2 * len(text)


def test_not_everything_near_lines_of_ab_is_kept(tmp_path: Path) -> None:
    """
    A long log of runs is bounded, and those in its middle are left out.
    """
    path = tmp_path / "log"
    path.write_text(PUBLISHED * (8_000_000 // len(PUBLISHED)))
    content = sources.contents(str(path))
    assert len(content.first) + sum(map(len, content.further)) < 3.1 * HALF_BYTES
    assert content.size == "8 MB"


def test_what_lies_between_both_ends_joins_nothing(tmp_path: Path) -> None:
    """
    A report that begins in the first part and ends in the last has unknown lines.
    """
    start, end = NETNS.split("Total transferred")
    filler = "x\n" * HALF_BYTES
    path = tmp_path / "x"
    path.write_text(f"{start}{filler}Total transferred{end}")
    (found,) = source_of("x", *_ends(path.read_bytes())).outputs
    assert found.responses_non_2xx is None


def _ends(data: bytes) -> tuple[bytes, list[bytes], str]:
    return data[:HALF_BYTES], [data[-HALF_BYTES:]], "4 MB"

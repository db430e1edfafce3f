"""
What stands before the lines of ab in logs, mails and notes, learned from ab's own lines.

A line that certainly is of ab (an anchor) shows what stands before it: a constant text, or a text
in which numbers, times or levels change. All lines with the same prefix are a stream. What has
another prefix is of another program, or of another instance of ab.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from analysis.audit.decoration import CELLS, LABEL, as_printed
from experiments.records.ab.fields import values
from experiments.records.ab.lines import LARGEST_LINE, printable
from experiments.records.ab.splitting import pieces_per_output

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

LEFT_OUT = "[...]"
"""A line that says that others were left out."""

NEAR = 2000
"""Characters around an anchor in which unknown lines may be of ab."""

HALF_LINES = 20_000
"""Limit for the lines at the beginning, and for those at the end."""

MOST_STREAMS = 30

NUMBER = r"[0-9]{1,15}"
ANCHOR = re.compile(
    rf"(?P<label>(?:{LABEL})(?=[*_]{{0,2}}[ \t]*[:|\t]))"
    rf"|(?P<table>Conn{{2,3}}ection Times \(ms\)|min +mean\[|Percentage of the requests served"
    rf"|(?:Connect|Processing|Waiting|Total):[*_]{{0,2}}{CELLS}|\(Connect: {NUMBER},)"
    r"|(?P<run>This is ApacheBench, Version |Copyright (?:\(c\) )?(?:1996 Adam|2006 The Apache)"
    r"|Licensed to The Apache Software|Benchmarking [^\n]{1,300}?\(be patient\)"
    rf"|(?:Completed|Finished) {NUMBER} requests|Total of {NUMBER} requests completed"
    r"|Test aborted after |LOG: (?:header received:|Response code = )"
    rf"|(?:apr_\w|socket|bind)[^:\n]{{0,120}}: [^\n]{{1,100}}\({NUMBER}\))"
    r"|(?P<end>\((?:longest|last) request\))"
)
IN_A_WORD = re.compile(r"[^\W_]|[?&=]")
"""What stands before an anchor that is part of another word, such as the query of a path."""

LAST_ROW = re.compile(r"(?P<table>[0-9]{1,3}%[ \t]+[0-9.,]{1,15} \((?:longest|last) request\))")
"""``end`` of ANCHOR stands at the end of this line."""

CHANGING_WORDS = (
    "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun|"
    "(?i:stdout|stderr|out|err|trace|debug|info|notice|warn|warning|error|fatal|critical|am|pm)"
)
TOKEN = re.compile(
    rf"(?P<word>(?<![A-Za-z])(?:{CHANGING_WORDS})(?![A-Za-z]))"
    r"|(?P<level>(?<![0-9A-Za-z])[IWEF](?=[0-9]{4})|(?<=[0-9]{2})[OE]\+?(?![0-9A-Za-z]))"
    r"|(?P<hex>(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64})(?![0-9A-Za-z]))"
    r"|(?P<number>[0-9]+(?:[.,:][0-9]+)*)"
    r"|(?P<space>\s+)"
    r"|(?P<bracket>[\[(<])\s*"
    r"|(?P<other>.)"
)
SHAPES = {
    "word": "[A-Za-z]+",
    "level": r"[A-Z]?\+?",
    "hex": "[0-9a-f-]+",
    "number": "[0-9]+(?:[.,:][0-9]+)*",
    "space": r"\s+",
}
NAME = re.compile(r"[A-Za-z]{2,}")
ALONE = {
    "This is ApacheBench Version",
    "Benchmarking be patient",
    "Total of requests completed",
    "Percentage of the requests served",
    "longest request",
}
"""Kinds of which one line is enough."""


LINES_PER_NAME = 3
"""A name is the prefix of more lines than a number that counts."""


class Line(NamedTuple):
    """
    A line with its place in the text and what stands before what is ab's.

    An anchor has a kind and the group of ANCHOR that fits it.
    """

    place: int
    prefix: str
    text: str
    kind: str = ""
    group: str = ""


@dataclass
class Stream:
    """
    Lines with one prefix, which may change within its pattern.
    """

    pattern: str
    prefix: str
    lines: list[Line] = field(default_factory=list)

    @property
    def is_marks(self) -> bool:
        """
        Whether the prefix has no letter and no digit, such as "> " and "# ".
        """
        return not re.search(r"\w", self.prefix)

    @property
    def has_report(self) -> bool:
        """
        Whether there is more than ab's headline and progress.
        """
        return any(line.group in {"label", "table"} for line in self.lines)

    @property
    def has_name(self) -> bool:
        """
        Whether the prefix names a program, so that other prefixes are of other programs.
        """
        return NAME.search(TOKEN.sub(lambda match: match["other"] or " ", self.prefix)) is not None


@dataclass
class Split:
    """
    The streams that may hold ab's lines, the lines that are in none, and what could not be split.
    """

    streams: list[Stream] = field(default_factory=list)
    strangers: list[Line] = field(default_factory=list)
    side_by_side: int = 0
    cut: bool = False


def split(text: str) -> Split:
    """
    The streams of a text, in the order of their first lines.
    """
    found = Split()
    every = _lines(text, found)
    lines = list(islice(every, HALF_LINES))
    left = deque(every, maxlen=HALF_LINES + 1)
    found.cut = len(left) > HALF_LINES
    lines += left
    streams = {pattern: Stream(pattern, prefix) for pattern, prefix in _learned(lines).items()}
    matchers = [(re.compile(rf"\s*{pattern}"), pattern) for pattern in streams if pattern]
    matchers.sort(key=lambda one: len(one[1]), reverse=True)
    for line in lines:
        pattern, known = _without_prefix(line, streams, matchers)
        streams[pattern].lines.append(known) if pattern in streams else found.strangers.append(line)
    found.streams = [
        part for stream in _marks_together(list(streams.values())) for part in _by_names(stream)
    ]
    found.streams.sort(key=lambda stream: stream.lines[0].place)
    return found


def _lines(text: str, found: Split) -> Iterator[Line]:
    """
    Lines near an anchor; what lies between is one line.
    """
    place = before = 0
    for start, end in _blocks(text):
        place += 1
        yield Line(place, "", LEFT_OUT if f"\n{LEFT_OUT}\n" in text[before:start] else "")
        for raw in text[start:end].split("\n"):
            for line in _anchored(printable(raw[:LARGEST_LINE]).rstrip(), found):
                place += 1
                yield line._replace(place=place)
        before = end


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """
    Borders of whole lines around anchors.
    """
    begin = end = last = 0
    for match in chain(ANCHOR.finditer(text), [None]):
        if match is None or match.start() > end + 2 * NEAR:
            if end:
                start = text.rfind("\n", 0, max(begin - NEAR, 0)) + 1
                after = text.find("\n", end + NEAR)
                start, last = max(start, last), len(text) if after < 0 else after
                yield start, last
            begin = match.start() if match else 0
        end = match.end() if match else 0


def _anchored(line: str, found: Split) -> Iterator[Line]:
    """
    The line with its anchor; several lines if their ends were lost.
    """
    found_here = (
        LAST_ROW.search(line) if each.lastgroup == "end" else each for each in ANCHOR.finditer(line)
    )
    anchors = [
        each for each in found_here if each and not IN_A_WORD.match(line[: each.start()][-1:])
    ]
    if not anchors:
        yield Line(0, "", line)
        return
    labels = [each[0] for each in anchors if each.lastgroup == "label"]
    once = [label for label in labels if label != "Time per request"]
    if len(set(once)) < len(once) or len(labels) - len(once) > 2:
        found.side_by_side += 1
        return
    prefix = line[: anchors[0].start()].strip()
    cuts = [each for each in anchors[1:] if each.lastgroup != "run" and len(labels) > 1]
    ends = [*(each.start() for each in cuts), len(line)]
    for anchor, end in zip([anchors[0], *cuts], ends, strict=True):
        words = re.sub("^Benchmarking .*(?=be patient)", "Benchmarking ", anchor[0])
        kind = re.sub(r"[\W0-9]+", " ", words).strip()
        yield Line(0, prefix, line[anchor.start() : end].strip(), kind, str(anchor.lastgroup))


@functools.lru_cache(1000)
def pattern_of(prefix: str, *, with_names: bool = False) -> str:
    """
    A regular expression for prefixes of the same shape; names may keep their numbers.
    """
    made = []
    for word in re.split(r"(\s+|\|)", prefix):
        letters = TOKEN.sub(lambda match: match["other"] or " ", word)
        is_name = NAME.search(letters) is not None
        for match in TOKEN.finditer(word):
            group = str(match.lastgroup)
            if group == "bracket":
                made.append(re.escape(match["bracket"]) + r"\s*")
            elif group == "other" or (
                with_names and (group == "hex" or (is_name and group == "number"))
            ):
                made.append(re.escape(match[0]))
            else:
                made.append(SHAPES[group])
    return "".join(made)


def _learned(lines: Iterable[Line]) -> dict[str, str]:
    """
    The patterns of prefixes, each with an example, that several kinds of ab's lines have.
    """
    kinds: dict[str, set[str]] = {}
    examples: dict[str, str] = {}
    for line in lines:
        if line.kind:
            pattern = pattern_of(line.prefix)
            kinds.setdefault(pattern, set()).add(line.kind)
            examples.setdefault(pattern, line.prefix)
    several = [pattern for pattern, found in kinds.items() if len(found) > 1]
    several.sort(key=lambda pattern: len(kinds[pattern]), reverse=True)
    if not several:
        several = [pattern for pattern, found in kinds.items() if found & ALONE]
    return {pattern: examples[pattern] for pattern in several[:MOST_STREAMS]}


def _without_prefix(
    line: Line, streams: Container[str], matchers: Sequence[tuple[re.Pattern[str], str]]
) -> tuple[str, Line]:
    if line.kind:
        return pattern_of(line.prefix), line
    if "" in streams and any(value.field != "other" for value in values(line.text.strip())):
        return "", line
    for matcher, pattern in matchers:
        if match := matcher.match(line.text):
            return pattern, line._replace(prefix=match[0].strip(), text=line.text[match.end() :])
    return "", line


def _marks_together(streams: list[Stream]) -> list[Stream]:
    """
    Streams without a name as one, if not all lines have the same mark.
    """
    marked = [stream for stream in streams if stream.is_marks]
    lines = sorted(line for stream in marked for line in stream.lines)
    if len(marked) < 2 or _alternate(lines):
        return streams
    example = max(marked, key=lambda stream: (bool(stream.prefix), len(stream.lines)))
    together = Stream(example.pattern, example.prefix, lines)
    return [*(stream for stream in streams if not stream.is_marks), together]


def _by_names(stream: Stream) -> list[Stream]:
    """
    The stream, or one for each name if their lines alternate: "ab_1 |" and "ab_2 |".
    """
    if stream.is_marks:
        return [stream]
    names = [pattern_of(line.prefix, with_names=True) for line in stream.lines]
    returns = sum(1 for _ in groupby(names)) > len(set(names)) <= len(names) / LINES_PER_NAME
    if not returns and not _alternate(stream.lines):
        return [stream]
    named: dict[str, Stream] = {}
    for name, line in zip(names, stream.lines, strict=True):
        named.setdefault(name, Stream(name, line.prefix)).lines.append(line)
    return list(named.values())


def _alternate(lines: Iterable[Line]) -> bool:
    """
    Whether the lines are of several outputs that do not follow each other.
    """
    return pieces_per_output(each for line in lines for each in as_printed(line.text)) > 1

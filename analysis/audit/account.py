"""
The true counts of one output: what ab's counts and bytes allow.

A good answer has a 2xx status and all of its body, on a connection that did not end in an error. ab
prints no such count. What it counts (``support/ab.c``; names of functions as in 2.4):

* *Complete* is every request that ended, also by an error or without a byte
  (``close_connection``). A connection that could not be made (Connect) is none of them.
* *Document Length* is the number of body bytes of what ended while ``good`` was one. ``good``
  counts what was read to its end, also nothing at all. So it is the length of the first such
  answer, or of a failed one right after it. ``close_connection`` and the end of ``read_connection``
  compare it with the length of whatever ends later, whatever its status. A request without a whole
  head has length 0.
* *Receive* (-r, from 2.2.9 on) is a read that failed: a reset, or a refused connection. The same
  request is also compared by its length. *Exceptions* are errors of the poll (``test``): of a
  request that already counts under Receive or Length, or of one that is dropped and is never
  complete. *Write errors* end a request without an answer; its length is compared as well.
* *Non-2xx* counts whole heads with another status, before the answer ends.
* *HTML transferred* and *Total transferred* are all bytes that were read, also of answers that were
  cut off, dropped, or under way at the end (-t, Ctrl-C).
* The trunk (``finalize_connection``) takes as good what has a whole head and, on a connection that
  the server keeps, as many bytes as it announced; it counts a failed request once, and compares no
  lengths.

So, with ``n`` complete requests, of which ``m`` have the document's length L and ``n - m`` do not:

* ``n - m`` is Length, or larger by at most Receive + Write errors: only such requests come before
  the first good one, when nothing (0) is compared with nothing.
* ``m × L`` + the bodies of the others = HTML transferred.
* The bad ones are at least as many as the largest kind, and at most as many as the sum of kinds.

The range is narrowed only where the bytes decide: where all bytes belong to ``m`` equal answers, or
where all others have one length. A division may come out even by chance; that chance must be small
(``CHANCE``). Four more things are assumed: resets that are as many as the requests without an
answer are these; answers were not all cut short at one length; no error page has just the length at
which some were; and a time limit or Ctrl-C does not stop at a round number of requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from analysis.audit.versions import candidates

if TYPE_CHECKING:
    from experiments.records.ab.output import AbOutput

CHANCE = 0.01
"""A division decides if it comes out even by chance at most so often."""

SURELY_RARE = 100_000
"""By a larger number, no division comes out even by chance so often."""

FAR_FROM_ZERO_MS = 5
"""With such a median, an answer hardly comes within half a millisecond."""

LEAST_HEAD_BYTES = 30
"""Fewer are a head that was cut off: a status line and one header have more."""

SHORTEST_HEAD_BYTES = len("HTTP/1.1 200 \r\n\r\n")
"""No answer has fewer: a status line without a reason, and the empty line (RFC 9112, 3 to 5)."""

FEW_ERRORS = 0.1
"""With a larger share of errors, they may follow a pattern, in which divisions come out even."""


class Cause(Enum):
    """
    The cause of the length failures.
    """

    NONE = "none"
    NOT_COMPARED = "not_compared"
    FIRST_RESPONSE = "first_response"
    FIRST_EMPTY = "first_empty"
    ERROR_ANSWERS = "error_answers"
    UNANSWERED = "unanswered"
    VARYING = "varying"
    UNCLEAR = "unclear"


class Span(NamedTuple):
    """
    The whole numbers from ``least`` to ``most``.
    """

    least: int
    most: int

    @property
    def exact(self) -> int | None:
        """
        The number, if it is one.
        """
        return self.least if self.least == self.most else None


@dataclass(frozen=True)
class Account:
    """
    What one output allows the true counts to be.

    ``length``, ``errors`` (Receive and Write errors) and ``non_2xx`` are as printed; a missing
    count may be anything. ``compared`` says whether lengths were compared, and ``reference`` is the
    document's length. ``whole`` answers are known to be whole, whatever their status, and
    ``none_silent`` is whether every request received something; ``perhaps_silent`` is whether the
    waiting times raise a doubt. ``late`` requests may be counted that ended after the last complete
    one; ``unfinished`` ones, which are no complete ones, may be among the non-2xx.
    """

    complete: int
    length: Span
    errors: Span
    non_2xx: Span
    compared: bool
    reference: int | None
    html: int | None
    transferred: int | None
    whole: int
    none_silent: bool
    perhaps_silent: bool
    late: int
    unfinished: int

    @cached_property
    def others(self) -> Span:
        """
        The complete requests whose length is not the reference.
        """
        most = min(self.complete, self.length.most + self.errors.most)
        least = max(0, self.length.least - self.late)
        if self.reference and self.html is not None:
            least = max(least, self.complete - self.html // self.reference)
        # Before the first good one, a TLS handshake that fails is counted nowhere.
        return Span(least, max(least, most))

    @cached_property
    def other_bytes(self) -> int | None:
        """
        The bytes of body that answers of another length have, at most.
        """
        if self.html is None or self.reference is None:
            return None
        return max(0, self.html - self.reference * (self.complete - self.others.most))

    @cached_property
    def alone(self) -> int | None:
        """
        The number of answers with the reference length, if all bytes are theirs.
        """
        if not self.reference or self.html is None or self.html % self.reference:
            return None
        answers = self.html // self.reference
        others = self.complete - answers
        if answers == 0 or not self.others.least <= others <= self.others.most:
            return None
        if others == 0:
            return answers
        if self.none_silent or self._may_be_pages(others):
            return None
        # The heads of answers without a body would be in the rest of the division.
        if self.transferred is None or self.transferred % answers:
            return None
        rare = math.gcd(answers, others) <= CHANCE * answers
        return answers if rare and _rarely_even(answers) else None

    def _may_be_pages(self, others: int) -> bool:
        """
        Whether the others, none of which has a body, may be non-2xx, as they are as many.

        Or as many apart from errors; but not if those with the document's length are as many, too.
        """
        non_2xx = self.non_2xx.exact
        as_many = {others, others - self.errors.most} - {self.complete - others}
        return bool(non_2xx) and non_2xx in as_many

    @cached_property
    def bodiless(self) -> bool:
        """
        Whether no length failure has a body, as all bytes belong to those with the document length.
        """
        length = self.length.exact
        if not self.reference or not length:
            return False
        return self.html == self.reference * (self.complete - length)

    @cached_property
    def matching_are_non_2xx(self) -> bool:
        """
        Whether the non-2xx are as many as the requests that have the document's length.
        """
        non_2xx = self.non_2xx.exact
        return bool(non_2xx) and non_2xx == self.complete - self.length.most

    @cached_property
    def alike(self) -> int | None:
        """
        The number of other answers, if all of them that have a body have one length.
        """
        if self.length.exact is None or self.errors.exact is None or not self.other_bytes:
            return None
        others, errors = self.length.exact, self.errors.exact
        if self.reference:
            total = (self.html or 0) - self.reference * (self.complete - others)
            candidates = [others - errors] if self._no_fewer(total, others - errors) else []
        else:
            # The heads of answers without a body would be in the rest of the second division. Here
            # it is known whose they are if these are as many as the non-2xx.
            total = self.html or 0
            if errors or not self.matching_are_non_2xx:
                total = math.gcd(total, self.transferred or 1)
            candidates = [others, others + 1] if errors else [others]
        found = [one for one in candidates if one > 0 and total > 0 and total % one == 0]
        return next(filter(_rarely_even, found), None)

    def _no_fewer(self, total: int, answers: int) -> bool:
        """
        Whether as many answers have these bytes, and not fewer, where connections were kept.

        A server may close each before its second answer, and half is a divisor.
        """
        silent = self.complete - self.whole
        if not self.whole:
            return True
        fewer = range(max(1, answers - silent), answers)
        return silent <= SURELY_RARE and all(total % one for one in fewer)

    @cached_property
    def good_bytes(self) -> int | None:
        """
        The length of the good answers' bodies, if they have one.
        """
        if self.cause in {Cause.FIRST_RESPONSE, Cause.FIRST_EMPTY} and self.alike:
            bodies = (self.html or 0) - (self.reference or 0) * (self.complete - self.length.most)
            return bodies // self.alike
        return self.reference

    @cached_property
    def all_answered(self) -> bool:
        """
        Whether every complete request got an answer although no length could show it.
        """
        if self.whole >= self.complete:
            return True
        if not self.none_silent or self.reference or self.length.most:
            return False
        if not self.transferred or self.html is None:
            return False
        even = math.gcd(self.html, self.transferred) % self.complete == 0
        heads = self.transferred - self.html >= LEAST_HEAD_BYTES * self.complete
        return even and heads and _rarely_even(self.complete)

    @cached_property
    def cause(self) -> Cause:
        """
        What the length failures are, as far as the bytes decide.
        """
        if not self.compared:
            return Cause.NOT_COMPARED
        if self.length.most == 0 or self.alone == self.complete:
            return Cause.NONE
        return self._cause_by_bytes()

    def _cause_by_bytes(self) -> Cause:
        non_2xx, matching = self.non_2xx.exact, self.complete - self.length.most
        if self.alone is not None:
            return Cause.UNANSWERED
        few = matching <= FEW_ERRORS * self.complete
        if self.alike and few and self.matching_are_non_2xx and matching != self.alike:
            return Cause.FIRST_RESPONSE
        if self.reference == 0 and self.length.least:
            return Cause.FIRST_EMPTY
        if self.alike and self.alike == non_2xx != matching:
            return Cause.ERROR_ANSWERS
        varying = self.reference and self.length.least and non_2xx == 0
        return Cause.VARYING if varying else Cause.UNCLEAR

    @cached_property
    def may_be_cut_short(self) -> bool:
        """
        Whether the reference may be the length of an answer that was cut short, others being whole.
        """
        if not self.reference or self.alone is not None or self.others.most <= self.non_2xx.least:
            return False
        if self.cause in {Cause.FIRST_RESPONSE, Cause.ERROR_ANSWERS}:
            return False
        return self.other_bytes is None or self.other_bytes > self.reference

    @cached_property
    def heads(self) -> int:
        """
        The answers with a whole head, at most, by the bytes that are no bodies.
        """
        rest = (self.transferred or 0) - (self.html or 0)
        known = self.transferred is not None and rest >= 0
        return rest // SHORTEST_HEAD_BYTES if known else self.complete

    @cached_property
    def good(self) -> Span:
        """
        The good answers, whatever the first one was.
        """
        whole = self.good_if_first_is_whole
        return Span(0, whole.most) if self.may_be_cut_short else whole

    @cached_property
    def good_if_first_is_whole(self) -> Span:
        """
        The good answers if the first one was not cut short.
        """
        if self.transferred == 0:
            return Span(0, 0)
        complete, bad, errors = self.complete, self.non_2xx.most, self.errors
        least = 0
        errors_at_least = max(0, errors.least - self.late)
        non_2xx_at_least = max(0, self.non_2xx.least - self.unfinished)
        most = complete - max(non_2xx_at_least, errors_at_least)
        if self.alone is not None:
            reset = self._reset_afterwards(self.alone)
            # With more length failures than others, some bytes are of requests after the last one.
            counted = min(self.alone, complete - self.length.least)
            least, most = counted - reset.most - bad, self.alone - non_2xx_at_least
            most -= max(0, reset.least - min(self.late, complete - self.alone))
        elif self.cause is Cause.FIRST_RESPONSE:
            least, most = (self.alike or 0) - self.late, min(most, self.alike or 0)
        elif self.cause is Cause.ERROR_ANSWERS:
            most = complete - self.length.most + self.late
            least = most - self.late - bad
        elif self.reference:
            least = complete - self.others.most - bad
        elif self.length.most and self.alike is not None:
            answered = 0 if self.non_2xx.least == self.alike else self.alike
            reset = self._reset_afterwards(self.alike)
            least, most = self.alike - self.late - reset.most - bad, min(most, answered)
        elif self.all_answered:
            least = complete - bad - errors.most
        elif self.reference is None:
            least = self.whole - bad
        most = max(0, min(complete, most, self.heads - non_2xx_at_least))
        return Span(max(0, min(least, most)), most)

    def _reset_afterwards(self, answers: int) -> Span:
        """
        How many of these whole answers ended in a reset.

        None if the others are as many as the resets, which is no chance.
        """
        others, errors = self.complete - answers, self.errors.exact
        least = max(0, self.errors.least - others)
        return Span(least, least if errors in {None, others} else self.errors.most)

    @cached_property
    def likely(self) -> int | None:
        """
        The good answers, where another number needs counts and bytes that agree by chance.
        """
        likely = self.good.exact
        if likely is not None:
            return likely
        if self.cause is Cause.ERROR_ANSWERS:
            likely = self.good.most if self.late == 0 else None
        elif self.bodiless and self.as_if_silent:
            likely = self.complete - self.length.most - self.non_2xx.least
        inside = likely is not None and self.good.least <= likely <= self.good.most
        return likely if inside else None

    @cached_property
    def as_if_silent(self) -> bool:
        """
        Whether length failures without a body, it seems, received nothing.

        They are as many as the resets, or all others were kept. Either way no head is among the
        bytes that would be theirs; or all that was kept is an error, and nothing else.
        """
        others, non_2xx = self.length.most, self.non_2xx.exact
        matching = self.complete - others
        kept, reset = self.whole == matching, self.errors.exact == others
        # Few are soon divided by chance.
        even = matching * FEW_ERRORS >= 1 and (self.transferred or 0) % matching == 0
        rare = math.gcd(matching, others) <= FEW_ERRORS * matching
        if kept and non_2xx == matching:
            return True
        return non_2xx == 0 and even and (reset or (kept and rare))

    @cached_property
    def equal_answers(self) -> int | None:
        """
        The answers, if no length was compared and the bytes are those of so many equal ones.

        More than half of all. None if the bytes fit several such numbers, or none.
        """
        most = self.complete - self.errors.most
        bytes_each = math.gcd(self.html or 0, self.transferred or 0)
        if self.compared or self.errors.exact is None or not self.html or not bytes_each:
            return None
        least = max(self.complete // 2 + 1, most - SURELY_RARE)
        found = [one for one in range(least, most + 1) if bytes_each % one == 0]
        return found[0] if len(found) == 1 and _rarely_even(found[0]) else None


def account_of(output: AbOutput) -> Account:
    """
    The account of an output with a number of complete requests.
    """
    complete, failed = output.requests_completed or 0, output.requests_failed
    anything = Span(0, complete)

    def printed(*kinds: int | None, unknown: Span = anything) -> Span:
        known = [kind for kind in kinds if kind is not None]
        return unknown if len(known) < len(kinds) else Span(sum(known), sum(known))

    at_most_failed = anything if failed is None else Span(0, min(failed, complete))
    version = candidates(output)[0]
    compared = not output.document_length_variable and version.lengths_fail
    reference = output.document_length if compared else None
    length = printed(output.failed_length, unknown=at_most_failed)
    errors = printed(output.failed_receive, output.write_errors or 0, unknown=at_most_failed)
    concurrency = complete if output.concurrency is None else output.concurrency
    # Before 2.2.9, sums of bytes begin again at zero, and kept connections make requests beyond the
    # last one.
    old = version.wraps
    wrapped = old and (output.document_length or 0) * complete >= 2**31
    kept = output.keep_alive_requests or 0
    whole = max(0, min(kept, complete) - (concurrency if old else 0))
    if not version.lengths_fail:
        # The trunk: a request fails once, and not by its length.
        one_length = output.document_length or 0
        if failed is not None and output.bytes_html == one_length * (complete - failed):
            whole = complete - failed
        errors = printed(failed)
    if not compared:
        length = Span(0, 0)
    elif output.document_length is None and not length.most and not errors.most:
        # One length for all: the bytes tell which.
        each, rest = divmod(output.bytes_html or 0, complete)
        reference = None if rest else each or None
    # Who receives nothing has no time from the request to the first byte. Who has sent nothing has
    # that of the request before (``close_connection``).
    waiting = output.time_ms("waiting", "min")
    sent_nothing = errors.most or output.failed_exceptions or output.tls_protocol
    none_silent = waiting is not None and waiting.value >= 1 and not (old or sent_nothing)
    # Before 2.2.9, more are begun than asked for (``start_connect``): at most one a connection.
    late = concurrency if old else 0
    if version.lengths_fail:
        # After the last one, ab counts what else the same poll told (``test``). Where no more than
        # asked for were sent, a refused connection took the place of each of these.
        late = max(late, min(concurrency - 1, errors.most // 2))
    cut = concurrency if may_be_cut(output) else 0
    dropped = (output.failed_exceptions or 0) if errors.most or cut else 0
    return Account(
        complete=complete,
        length=Span(min(length.least, complete), min(length.most, complete)),
        errors=errors,
        non_2xx=printed(output.responses_non_2xx),
        compared=compared,
        reference=reference,
        html=None if wrapped else output.bytes_html,
        transferred=None if wrapped else output.bytes_transferred,
        whole=whole,
        none_silent=none_silent,
        perhaps_silent=version.lengths_fail and not compared and _one_waited_for_nothing(output),
        late=late,
        unfinished=late + cut + dropped,
    )


def may_be_cut(output: AbOutput) -> bool:
    """
    Whether requests may have been under way at the end: after Ctrl-C or a time limit (-t).

    A limit has whole seconds. ab ends with the first request that ends after it, so the time beyond
    is at most that of the longest request (``test``). A number of requests with one digit before
    its zeros (two from 1000 on) is one that was asked for (-n).
    """
    if output.interrupted:
        return True
    seconds, complete = output.duration_s, output.requests_completed or 0
    if seconds is not None and seconds.value + seconds.half_unit < 1:
        return False
    if len(str(complete).rstrip("0")) <= (1 if complete < 1000 else 2) and complete >= 100:
        return False
    longest = output.percentiles_ms.get(100) or output.time_ms("total", "max")
    if seconds is None or longest is None:
        return True
    beyond_s = seconds.value % 1
    return beyond_s <= (longest.value + 1) / 1e3


def _one_waited_for_nothing(output: AbOutput) -> bool:
    """
    Whether the least waiting time is zero, and the usual one far from it.
    """
    least, usual = (output.time_ms("waiting", column) for column in ("min", "median"))
    if least is None or usual is None:
        return False
    return least.value == 0 and usual.value >= FAR_FROM_ZERO_MS


def _rarely_even(divisor: int) -> bool:
    """
    Whether a product of two whole numbers is seldom divided by this one.

    By n it is divided with the mean of gcd(i, n) / n over i = 1 … n (Pillai, 1933).
    """
    if divisor > SURELY_RARE:
        return True
    shared = sum(math.gcd(one, divisor) for one in range(1, divisor + 1))
    return shared <= CHANCE * divisor**2

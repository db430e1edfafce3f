"""
Faults of a service, as Compose overlays: what it does, and what its trial must say in any runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from experiments.errors import Failure
from tests.inside.conftest import CHECKED

GATEWAY = """
import ctypes, itertools, os, resource, signal, socket, subprocess, sys, threading, time
from flask import Response, request
from services.gateway import RoundRobin, app, forward
from services.web import serve

asked = itertools.count()

@app.before_request
def fault():
    if request.path == "/health" or next(asked) < {good}:
        return
    {fault}

{before}
serve(app)
"""
"""The gateway with a fault after so many good answers."""

HEALTH = {"interval": "1h", "timeout": "1s", "retries": 1, "start_interval": "100ms"}
"""A health check that gives up soon; a fault's own test and start period complete it."""

Service = dict[str, object]


def gateway(fault: str = "return", good: int = CHECKED, before: str = "") -> Service:
    """
    The gateway whose requests meet this fault, and which does this before it serves.
    """
    code = GATEWAY.format(fault=fault, good=good, before=before)
    return {"command": ["python3", "-c", code]}


CHILD = """
import subprocess, sys
status = subprocess.run([sys.executable, "-c", {code!r}]).returncode
sys.exit(status if status >= 0 else 128 - status)
"""


def as_child(service: Service) -> Service:
    """
    The same in a child: the kernel shields the first process of a container from its own signals.
    """
    code = cast("list[str]", service["command"])[2]
    return {**service, "command": ["python3", "-c", CHILD.format(code=code)]}


def shell(script: str) -> Service:
    """
    A service that is a shell script.
    """
    return {"command": ["sh", "-c", script]}


def health(test: str, start_period: str = "2s") -> Service:
    """
    The gateway with this health check.
    """
    check = {**HEALTH, "test": ["CMD-SHELL", test], "start_period": start_period}
    return {"healthcheck": check}


@dataclass(frozen=True)
class Fault:
    """
    What the gateway is, and how its trial ends: the kind, the phase, and words of the message.
    """

    service: Service
    kind: Failure
    phase: str
    words: str


AT_START = {
    "exits-with-words": Fault(
        shell("echo out of paper; exit 3"),
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 3 before it was healthy.*out of paper",
    ),
    "exits-silently": Fault(
        shell("exit 3"),
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 3 before it was healthy.*\(nothing was printed\)",
    ),
    "exits-with-0": Fault(
        shell("exit 0"),
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 0 before it was healthy",
    ),
    "goes-to-background": Fault(
        shell("python3 -m services.gateway & exit 0"),
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 0 before it was healthy",
    ),
    "lacks-its-program": Fault(
        {"command": ["no-such-program"]},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 127 before it was healthy.*no-such-program",
    ),
    "is-no-program": Fault(
        {"command": ["/etc/passwd"]},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 126 before it was healthy.*/etc/passwd",
    ),
    "lacks-its-module": Fault(
        {"command": ["python3", "-m", "services.gatway"]},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 1 before it was healthy.*No module named services.gatway",
    ),
    "cannot-be-parsed": Fault(
        {"command": ["python3", "-c", "def serve(:"]},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 1 before it was healthy.*SyntaxError",
    ),
    "port-taken": Fault(
        shell("python3 -m http.server 3000 >/dev/null 2>&1 & sleep 1; python3 -m services.gateway"),
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 1 before it was healthy.*Address already in use",
    ),
    "killed-at-start": Fault(
        as_child(gateway(before="os.kill(os.getpid(), signal.SIGKILL)")),
        Failure.ENDED,
        "deploy",
        r"gateway was ended by signal SIGKILL before it was healthy",
    ),
    "hungry-at-start": Fault(
        {**gateway(before="[bytearray(2**24) for _ in range(99)]"), "mem_limit": "96m"},
        Failure.MEMORY,
        "deploy",
        r"gateway was ended by signal SIGKILL by the kernel for memory .* before it was healthy",
    ),
    "exhausts-its-threads": Fault(
        {
            **gateway(before="while True: threading.Thread(target=time.sleep, args=[9]).start()"),
            "pids_limit": 32,
        },
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 1 before it was healthy.*can't start new thread",
    ),
    "fork-bomb": Fault(
        {**gateway(before="while True: os.fork() or time.sleep(99)"), "pids_limit": 32},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 1 before it was healthy.*Resource temporarily unavailable",
    ),
    "never-healthy": Fault(
        health("echo out of order; exit 1"),
        Failure.UNHEALTHY,
        "deploy",
        r"gateway did not become healthy.*out of order",
    ),
    "check-hangs": Fault(
        health("sleep 60"),
        Failure.UNHEALTHY,
        "deploy",
        r"gateway did not become healthy.*1 s",
    ),
    "other-port": Fault(
        {**health('services/health-http "3000"'), "environment": {"PORT": "3001"}},
        Failure.UNHEALTHY,
        "deploy",
        r"gateway did not become healthy.*Connection refused.*3001",
    ),
    "restarts-at-start": Fault(
        {**shell("echo out of breath; sleep 1; exit 3"), "restart": "always"},
        Failure.ENDED,
        "deploy",
        r"gateway ended with status 3 before it was healthy.*out of breath",
    ),
}

AT_CHECK = {
    "other-address": Fault(
        gateway(before="app.run(host='127.0.0.1', port=3000)"),
        Failure.SILENT,
        "check",
        r"/api/fixed does not answer",
    ),
    "checked-500": Fault(
        gateway("return {'error': 'broken'}, 500", good=0),
        Failure.ANSWER,
        "check",
        r"status 500, expected 200.*broken",
    ),
    "upstream-dead": Fault(
        gateway("return forward(RoundRobin(['http://127.0.0.1:9']), 'product')", good=0),
        Failure.ANSWER,
        "check",
        r"status 502, expected 200.*product backend http://127.0.0.1:9 cannot be reached",
    ),
    "other-body": Fault(
        gateway("return {'message': 'other'}", good=0),
        Failure.ANSWER,
        "check",
        r"the body is .*other.*should contain .*fixed",
    ),
    "empty-body": Fault(
        gateway("return ''", good=0), Failure.ANSWER, "check", r"the body is empty"
    ),
    "cut-body": Fault(
        gateway(
            "connection = request.environ['werkzeug.socket']; "
            "connection.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n{'); "
            "connection.shutdown(socket.SHUT_RDWR)",
            good=0,
        ),
        Failure.ANSWER,
        "check",
        r"ends after 1 of 9 bytes",
    ),
    "no-http": Fault(
        gateway("request.environ['werkzeug.socket'].sendall(b'220 smtp\\r\\n')", good=0),
        Failure.ANSWER,
        "check",
        r"220 smtp",
    ),
    "checked-silence": Fault(
        gateway("time.sleep(99)", good=0),
        Failure.SLOW,
        "check",
        r"/api/fixed does not answer within 3 s",
    ),
}

UNDER_LOAD = {
    "crashes": Fault(
        gateway("print('out of ink', flush=True); os._exit(1)"),
        Failure.ENDED,
        "cold",
        r"gateway ended with status 1 under load.*out of ink",
    ),
    "crashes-later": Fault(
        gateway("os._exit(2)", good=CHECKED + 10),
        Failure.ENDED,
        "cold",
        r"gateway ended with status 2 under load",
    ),
    "segfaults": Fault(
        gateway("ctypes.string_at(0)"),
        Failure.ENDED,
        "cold",
        r"gateway was ended by signal SIGSEGV under load",
    ),
    "killed": Fault(
        as_child(gateway("os.kill(os.getpid(), signal.SIGKILL)")),
        Failure.ENDED,
        "cold",
        r"gateway was ended by signal SIGKILL under load",
    ),
    "hungry": Fault(
        {**gateway("[bytearray(2**24) for _ in range(99)]"), "mem_limit": "96m"},
        Failure.MEMORY,
        "cold",
        r"gateway was ended by signal SIGKILL by the kernel for memory .* under load",
    ),
    "restarts": Fault(
        {**gateway("os._exit(4)", good=CHECKED + 5), "restart": "always"},
        Failure.ENDED,
        "cold",
        r"gateway ended with status 4 under load",
    ),
    "prints-garbage": Fault(
        gateway("os.write(1, bytes(range(256)) * 99); os._exit(1)"),
        Failure.ENDED,
        "cold",
        r"gateway ended with status 1 under load",
    ),
    "answers-500": Fault(
        gateway("return {'error': 'broken'}, 500"),
        Failure.ANSWER,
        "cold",
        r"none of 20 answers was good: 20 were not 2xx",
    ),
    "closes": Fault(
        gateway("request.environ['werkzeug.socket'].shutdown(socket.SHUT_RDWR)"),
        Failure.SILENT,
        "cold",
        r"closed all 20 connections without an answer",
    ),
    "never-answers": Fault(
        gateway("time.sleep(99)"),
        Failure.SLOW,
        "cold",
        r"timeout specified has expired",
    ),
    "drips": Fault(
        gateway("return Response(time.sleep(0.5) or 'x' for _ in range(99))"),
        Failure.SLOW,
        "cold",
        r"did not finish 20 requests",
    ),
    "stops-itself": Fault(
        as_child(gateway("os.kill(os.getpid(), signal.SIGSTOP)")),
        Failure.SLOW,
        "cold",
        r"SIGSTOP",
    ),
    "leaks-files": Fault(
        gateway(
            "[os.dup(0) for _ in range(99)]",
            before="resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        ),
        Failure.ANSWER,
        "cold",
        r"none of 20 answers was good",
    ),
    "floods-its-log": Fault(
        gateway("while True: os.write(1, b'out of toner ' * 5000 + b'\\n')"),
        Failure.SPACE,
        "cold",
        r"service gateway printed",
    ),
}

STALL_S = 0.3

NO_FAULTS: dict[str, Service] = {
    "ignores-sigterm": gateway(
        before="signal.signal = lambda *_: None; signal.pthread_sigmask(0, {signal.SIGTERM})"
    ),
    "leaves-processes": gateway("subprocess.Popen(['sh', '-c', '(sleep 999 &) &'])"),
    "stalls": gateway(f"time.sleep({STALL_S} * (next(asked) % 15 == 0))"),
    "health-flaps": health(
        "[ -e /tmp/flapped ] && exec services/health-http 3000; touch /tmp/flapped; exit 1", "30s"
    ),
}
"""What is measured."""

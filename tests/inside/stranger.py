"""
A malicious service: it tries every way out that it knows, and prints what it found.

``python3 stranger.py`` prints one line of JSON for each probe. A probe that raises OSError was
stopped. What a probe returns is a way out, in words. None does harm when it succeeds: files are
opened and not written, signals have the number 0, and calls have arguments that cannot work, so
that the kernel's answer tells whether it would have allowed them. Each probe has a process of its
own. It needs the standard library only.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import signal
import socket
import stat
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TREASURE = "srv/run/secret"
"""A file in the folder of the run, relative to the lab's root."""

MOUNTED = "/lab"
"""Where a privileged container mounts the folder above that of the run."""

IN_SIGHT = b"pytest"
"""Part of the command line of the process that plays the runner."""

SEGMENT = 0x42726964
"""The key of a segment of shared memory in the lab."""

MARK = "stranger-was-here"
PLACES = ("/usr/lib", "/etc", "/tmp", "/run", "/srv", "/srv/run", "/dev", "/dev/shm")  # noqa: S108

LIMIT_S = 10

NUMBERS = {
    "x86_64": {
        "bpf": 321, "finit_module": 313, "kexec_load": 246, "keyctl": 250, "fanotify_init": 300,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "perf_event_open": 298, "reboot": 169,
        "ioperm": 173, "iopl": 172, "shmget": 29, "pidfd_open": 434, "pidfd_getfd": 438,
    },
    "aarch64": {
        "bpf": 280, "finit_module": 273, "kexec_load": 104, "keyctl": 219, "fanotify_init": 262,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "perf_event_open": 241, "reboot": 142,
        "shmget": 194, "pidfd_open": 434, "pidfd_getfd": 438,
    },
}[platform.machine()]  # fmt: skip
"""Numbers of system calls, from the kernel's tables."""

NEW_NS, NEW_CGROUP, NEW_USER, NEW_PID = 0x20000, 0x2000000, 0x10000000, 0x20000000
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096

libc = ctypes.CDLL(None, use_errno=True)
probes: dict[str, Callable[[], str | None]] = {}


def probe(function: Callable[[], str | None]) -> Callable[[], str | None]:
    """
    Add a probe.
    """
    probes[function.__name__] = function
    return function


def check(result: int) -> int:
    """
    The result of a C function; raises OSError if it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name: str, *arguments: object) -> int:
    """
    Make a system call by its name; raises OSError.
    """
    if name not in NUMBERS:
        raise OSError(errno.ENOSYS, name)
    return check(libc.syscall(NUMBERS[name], *arguments))


def allowed(name: str, action: Callable[[], object]) -> str:
    """
    What it means if a call with arguments that cannot work is refused for these, not for rights.
    """
    try:
        action()
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES, errno.ENOSYS}:
            raise
        return f"{name} fails with {errno.errorcode[error.errno or 0]} only"
    return name


def opened(paths: Iterable[str | Path], flags: int = os.O_RDONLY) -> str:
    """
    The first of these paths that can be opened; raises OSError if none can.
    """
    last = OSError(errno.ENOENT, "nothing to open")
    for path in paths:
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
        except OSError as error:
            last = error
        else:
            return f"{path} can be opened"
    raise last


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """
    Mount something; raises OSError.
    """
    arguments = (each.encode() for each in (source, target, kind))
    check(libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None))


def unshare(flags: int) -> None:
    """
    Leave namespaces for new ones; raises OSError.
    """
    check(libc.unshare(flags))


def folder(name: str) -> str:
    """
    A new directory.
    """
    path = f"/tmp/{name}-{os.getpid()}"  # noqa: S108 - its own
    Path(path).mkdir()
    return path


def files_below(top: str, most: int = 5000) -> Iterator[Path]:
    """
    Files below a directory, without following links.
    """
    count = 0
    for directory, _, names in os.walk(top):
        for name in names:
            count += 1
            if count > most:
                return
            yield Path(directory) / name


def others() -> list[int]:
    """
    All processes in sight that may be the runner.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if IN_SIGHT in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    if not found:
        raise OSError(errno.ESRCH, "the runner is not in sight")
    return found


# Devices


@probe
def read_a_disk() -> str:
    disks = [path for path in Path("/dev").rglob("*") if path.is_block_device()]
    return opened(disks)


@probe
def write_a_disk() -> str:
    disks = [path for path in Path("/dev").rglob("*") if path.is_block_device()]
    return opened(disks, os.O_WRONLY)


def node(kind: int, major: int, minor: int) -> str:
    path = f"{folder('node')}/node"
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return opened([path])


@probe
def make_a_disk_s_node() -> str:
    for path in Path("/sys/class/block").glob("*/dev"):
        major, minor = map(int, path.read_text().split(":"))
        return node(stat.S_IFBLK, major, minor)
    return node(stat.S_IFBLK, 7, 0)


@probe
def make_the_memory_s_node() -> str:
    return node(stat.S_IFCHR, 1, 1)


@probe
def make_the_kernel_log_s_node() -> str:
    return node(stat.S_IFCHR, 1, 11)


@probe
def open_memory() -> str:
    return opened(["/dev/mem", "/dev/kmem", "/dev/port"])


@probe
def open_kernel_log() -> str:
    return opened(["/dev/kmsg"], os.O_WRONLY)


@probe
def open_kvm() -> str:
    return opened(["/dev/kvm"])


@probe
def open_loop_devices() -> str:
    return opened(["/dev/loop-control", "/dev/loop0"])


@probe
def open_fuse_or_tun() -> str:
    return opened(["/dev/fuse", "/dev/net/tun", "/dev/vhost-net"], os.O_RDWR)


@probe
def open_vsock_device() -> str:
    return opened(["/dev/vsock", "/dev/vhost-vsock"])


@probe
def open_console() -> str:
    return opened(["/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0"], os.O_WRONLY)


# Mounts and namespaces


@probe
def mount_something() -> str:
    target = folder("mount")
    mount("tmpfs", target, "tmpfs")
    check(libc.umount2(target.encode(), 2))
    return "mount"


@probe
def make_sysctls_writable() -> str:
    mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND)
    mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND | MS_RDONLY)
    return "/proc/sys was remounted"


@probe
def unmount_the_mask() -> str:
    return allowed("umount", lambda: check(libc.umount2(b"/usr", 2)))


@probe
def new_mount_namespace() -> str:
    unshare(NEW_NS)
    return "unshare"


@probe
def release_agent() -> str:
    unshare(NEW_CGROUP | NEW_NS)
    target = folder("cgroup")
    mount("cgroup", target, "cgroup", 0, "memory")
    return opened([f"{target}/release_agent"], os.O_WRONLY)


@probe
def release_agent_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_CGROUP | NEW_NS)
    target = folder("cgroup")
    mount("cgroup", target, "cgroup", 0, "memory")
    return opened([f"{target}/release_agent"], os.O_WRONLY)


@probe
def sysctls_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_NS)
    check(libc.umount2(b"/proc/sys", 2))
    return opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)


@probe
def fresh_proc_in_a_user_namespace() -> str:
    unshare(NEW_USER | NEW_NS | NEW_PID)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            mount("proc", "/proc", "proc")
            opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)
            os._exit(7)
        os._exit(0)
    if os.waitpid(child, 0)[1] >> 8 != 7:
        raise OSError(errno.EPERM, "stopped")
    return "core_pattern can be written in a new /proc"


@probe
def join_the_first_process() -> str:
    with open("/proc/1/ns/mnt", "rb") as namespace:  # noqa: PTH123
        check(libc.setns(namespace.fileno(), 0))
    return opened([f"/{TREASURE}"])


@probe
def leave_the_root_by_chroot() -> str:
    outside = os.open("/", os.O_RDONLY)
    os.chroot(folder("chroot"))
    os.fchdir(outside)
    os.chdir("../" * 20)
    os.chroot(".")
    return opened([f"/{TREASURE}", "/.outside"])


@probe
def open_by_handle() -> str:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    number = ctypes.c_int()
    with open("/", "rb", opener=lambda path, _: os.open(path, os.O_RDONLY)) as _:
        pass
    call("name_to_handle_at", -100, b"/", handle, ctypes.byref(number), 0)
    root = os.open("/", os.O_RDONLY)
    os.close(call("open_by_handle_at", root, handle, os.O_RDONLY))
    return "a file was opened by its handle"


# Files of the kernel


@probe
def core_pattern() -> str:
    return opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)


@probe
def modprobe_path() -> str:
    return opened(["/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug"], os.O_WRONLY)


@probe
def any_sysctl_of_the_machine() -> str:
    files = (path for path in files_below("/proc/sys") if "/proc/sys/net/" not in str(path))
    return opened(files, os.O_WRONLY)


@probe
def uevent_helper() -> str:
    return opened(["/sys/kernel/uevent_helper"], os.O_WRONLY)


@probe
def any_file_of_sysfs() -> str:
    tops = ("/sys/kernel", "/sys/module", "/sys/power", "/sys/class", "/sys/bus")
    return opened((path for top in tops for path in files_below(top)), os.O_WRONLY)


@probe
def sysrq() -> str:
    return opened(["/proc/sysrq-trigger"], os.O_WRONLY)


@probe
def interrupts() -> str:
    return opened(Path("/proc/irq").glob("*/smp_affinity"), os.O_WRONLY)


@probe
def kernel_memory() -> str:
    if not Path("/proc/kcore").read_bytes()[:1]:
        raise OSError(errno.ENODATA, "empty")
    return "/proc/kcore can be read"


@probe
def firmware() -> str:
    return opened(files_below("/sys/firmware"))


@probe
def any_control_group() -> str:
    names = (
        "cgroup.procs",
        "release_agent",
        "memory.max",
        "memory.limit_in_bytes",
        "devices.allow",
    )
    files = (path for path in files_below("/sys/fs/cgroup") if path.name in names)
    return opened(files, os.O_WRONLY)


@probe
def debugging_file_systems() -> str:
    return opened(
        [*Path("/sys/kernel/debug").glob("*"), *Path("/sys/kernel/tracing").glob("*"),
         *Path("/sys/fs/bpf").glob("*"), *Path("/sys/kernel/security").glob("*")]
    )  # fmt: skip


# The runner and other trials


@probe
def see_the_runner() -> str:
    return f"process {others()[0]} is in sight"


@probe
def signal_the_runner() -> str:
    os.kill(others()[0], 0)
    return "the runner takes signals"


@probe
def trace_the_runner() -> str:
    # PTRACE_SEIZE does not stop it, and ends with this process.
    check(libc.ptrace(0x4206, others()[0], None, None))
    return "ptrace"


@probe
def read_the_runner_s_environment() -> str:
    return opened(f"/proc/{pid}/environ" for pid in others())


@probe
def take_the_runner_s_files() -> str:
    handle = call("pidfd_open", others()[0], 0)
    os.close(call("pidfd_getfd", handle, 1, 0))
    return "a file of the runner's was taken"


@probe
def walk_through_proc() -> str:
    return opened(path / "root" / TREASURE for path in Path("/proc").glob("[0-9]*"))


@probe
def read_the_run_s_folder() -> str:
    return opened([f"/{TREASURE}", f"{MOUNTED}/run/secret"])


@probe
def plant_a_link_in_the_run_s_folder() -> str:
    link = Path(f"/{TREASURE}-link")
    link.symlink_to("/etc/passwd")
    link.unlink()
    return f"{link} was made"


@probe
def docker_s_socket() -> str:
    places = ["/run", "/var/run", "/var/lib/docker", "/srv"]
    sockets = [path for place in places for path in files_below(place) if path.is_socket()]
    lines = Path("/proc/net/unix").read_text().splitlines()
    names = [f"\0{line.split()[-1][1:]}" for line in lines if line.split()[-1].startswith("@")]
    last = OSError(errno.ENOENT, "no socket")
    for address in [*map(str, sockets), *names]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(address)
            except OSError as error:
                last = error
            else:
                return f"{address!r} accepts connections"
    raise last


@probe
def others_network_namespaces() -> str:
    return opened(path for path in Path("/run/netns").glob("*"))


@probe
def others_shared_memory() -> str:
    call("shmget", SEGMENT, 0, 0)
    return "a segment of the lab's is there"


@probe
def others_files_in_memory() -> str:
    return opened(["/dev/shm/secret", "/tmp/secret", "/run/secret"])  # noqa: S108


@probe
def leave_marks() -> None:
    for place in PLACES:
        with contextlib.suppress(OSError):
            Path(place, MARK).touch()
    # The test looks where they are to be seen.
    raise OSError(errno.ENODATA, "see the test")


# Calls


@probe
def load_a_module() -> str:
    return allowed("finit_module", lambda: call("finit_module", -1, b"", 0))


@probe
def load_another_kernel() -> str:
    return allowed("kexec_load", lambda: call("kexec_load", 0, 0, None, ctypes.c_ulong(0xFFFF)))


@probe
def reboot() -> str:
    return allowed("reboot", lambda: call("reboot", 0, 0, 0, None))


@probe
def set_the_clock() -> str:
    timex = ctypes.create_string_buffer(256)
    check(libc.adjtimex(timex))
    # ADJ_FREQUENCY, with the frequency that it has.
    ctypes.c_uint.from_buffer(timex).value = 2
    check(libc.adjtimex(timex))
    return "adjtimex"


@probe
def swap() -> str:
    return allowed("swapon", lambda: check(libc.swapon(b"/there-is-no-such-file", 0)))


@probe
def account_processes() -> str:
    return allowed("acct", lambda: check(libc.acct(b"/there-is-no-such-file")))


@probe
def raw_ports() -> str:
    call("ioperm", 0x80, 1, 1)
    return "ioperm"


@probe
def all_ports() -> str:
    call("iopl", 3)
    return "iopl"


@probe
def list_bpf_programs() -> str:
    attributes = ctypes.create_string_buffer(128)
    return allowed("bpf", lambda: call("bpf", 11, attributes, 128))


@probe
def watch_all_processes_of_a_cpu() -> str:
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0) + bytes(112))
    os.close(call("perf_event_open", attributes, -1, 0, -1, 0))
    return "perf_event_open"


@probe
def decide_about_others_files() -> str:
    os.close(call("fanotify_init", 4, os.O_RDONLY))
    return "fanotify_init"


@probe
def kernel_log() -> str:
    text = ctypes.create_string_buffer(64)
    check(libc.klogctl(3, text, 64))
    return "the kernel's log can be read"


@probe
def host_s_keyring() -> str:
    # KEYCTL_GET_KEYRING_ID of the user's keyring, which is that of root on the machine.
    call("keyctl", 0, -4, 0)
    return "root's keyring has an address here"


@probe
def vsock() -> str:
    # Not connected: that would already be outside.
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "AF_VSOCK sockets reach the hypervisor or the machine, if it has such a device"


@probe
def metadata_service() -> str:
    socket.create_connection(("169.254.169.254", 80), 1).close()
    return "it answers"


@probe
def realtime_priority() -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return "sched_setscheduler"


@probe
def higher_priority() -> str:
    os.nice(-1)
    return "nice"


@probe
def raise_limits() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    return "setrlimit"


@probe
def never_be_killed_for_memory() -> str:
    Path("/proc/self/oom_score_adj").write_text("-1000")
    return "oom_score_adj"


@probe
def rename_the_machine() -> str:
    socket.sethostname(socket.gethostname())
    return "sethostname"


@probe
def immutable_files() -> str:
    path = Path(folder("immutable")) / "file"
    with path.open("wb") as file:
        flags = bytearray(struct.pack("i", 0))
        fcntl.ioctl(file, 0x80086601, flags)
        immutable = struct.unpack("i", flags)[0] | 0x10
        fcntl.ioctl(file, 0x40086602, struct.pack("i", immutable))
        fcntl.ioctl(file, 0x40086602, flags)
    return "FS_IMMUTABLE_FL"


def attempt(name: str) -> dict[str, object]:
    """
    The result of a probe in a process of its own.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT_S)
        try:
            result = {"escaped": True, "said": str(probes[name]())}
        except OSError as error:
            result = {"escaped": False, "said": f"{type(error).__name__}: {error}"}
        os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    status = os.waitpid(child, 0)[1]
    unknown = {"escaped": False, "said": f"ended with status {status}"}
    return {"probe": name, **(json.loads(said) if said else unknown)}


if __name__ == "__main__":
    for each in probes:
        print(json.dumps(attempt(each)), flush=True)
    print(json.dumps({"probe": "", "escaped": False, "said": "done"}), flush=True)
    if sys.argv[1:] == ["--stay"]:
        time.sleep(3600)

"""
Machines: which one is taken and why, and what is refused before anything is changed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import struct
import sys
import tarfile
from pathlib import Path

import pytest

from experiments.commands import Ended, run_command
from experiments.errors import HostError
from experiments.machines import box, choice, libvirt, vagrant_vm, vm_needs
from experiments.machines.choice import choose_machine
from experiments.machines.local import LocalMachine
from experiments.machines.remote import Remote
from experiments.machines.settings import SETTINGS_FILE, VM
from experiments.machines.vagrant_vm import EMULATION, VagrantMachine
from experiments.machines.vm_notes import VmNotes
from experiments.paths import PROJECT


def refused(_cache: Path, _mirror: str) -> str:
    """
    A host without a fast VM.
    """
    return "the CPU offers no hardware virtualisation"


def welcome(_cache: Path, _mirror: str) -> str:
    """
    A host with one.
    """
    return ""


def test_the_machine_is_chosen_by_hand_or_by_what_is_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A fast VM first, then this host's kernel, and the emulated VM where there is no root.
    """
    machine, words = choose_machine("local", tmp_path, "", refused)
    assert isinstance(machine, LocalMachine)
    assert "as asked" in words
    machine, words = choose_machine("auto", tmp_path, "", welcome)
    assert isinstance(machine, VagrantMachine)
    assert "it is usable here" in words
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine, words = choose_machine("auto", tmp_path, "", refused)
    assert isinstance(machine, LocalMachine)
    assert "no fast VM here: the CPU offers no hardware virtualisation" in words
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    machine, words = choose_machine("auto", tmp_path, "", refused)
    assert isinstance(machine, VagrantMachine)
    assert "emulated" in words


def test_another_system_than_linux_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    By its name, with where to read on.
    """
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(HostError, match=r"need Linux, and this is darwin; the README says"):
        choose_machine("auto", tmp_path, "")


def test_a_missing_package_is_why_there_is_no_vm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    By its name; nothing is installed to find out.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choice.vm_refusal(tmp_path, "") == "vagrant is not installed"


def test_hardware_virtualisation_is_tried_rather_than_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Flags, then the device, then a kernel that really has to come up.
    """
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: fpu lm\n")
    assert "CPU offers no" in libvirt.kvm_refusal(None, cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu svm lm\n")
    monkeypatch.setattr(libvirt, "KVM_DEVICE", tmp_path / "kvm")
    assert "is missing" in libvirt.kvm_refusal(None, cpuinfo)
    (tmp_path / "kvm").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert "this user may not use" in libvirt.kvm_refusal(None, cpuinfo)
    assert libvirt.kvm_refusal(None, cpuinfo) == ""
    emulator = tmp_path / libvirt.EMULATOR
    emulator.write_text("#!/bin/sh\necho KVM: entry failed\n")
    emulator.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "cannot boot a stock kernel" in libvirt.kvm_refusal(tmp_path / "vmlinuz", cpuinfo)
    emulator.write_text("#!/bin/sh\necho Kernel panic: VFS: Unable to mount root fs on x\n")
    assert libvirt.kvm_refusal(tmp_path / "vmlinuz", cpuinfo) == ""


def test_a_host_with_too_little_memory_or_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With what there is, what is needed, and where to change it.
    """
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable:    1024000 kB\n")
    with pytest.raises(HostError, match=r"1000 MiB of memory free, and the VM needs .*vm\.json"):
        vm_needs.refuse_too_little_memory(tmp_path)
    meminfo.write_text("MemAvailable: 9000000 kB\n")
    vm_needs.refuse_too_little_memory(tmp_path)
    vm_needs.refuse_too_little_disk(tmp_path / "not" / "there" / "yet")
    monkeypatch.setattr(vm_needs, "NEEDED_POOL_BYTES", 10**18)
    with pytest.raises(HostError, match=r"GB free, and the VM's disk may need"):
        vm_needs.refuse_too_little_disk(tmp_path)


def sample_box(directory: Path) -> box.BuiltBox:
    """
    A box whose file holds a few bytes.
    """
    image = directory / "box.img"
    image.write_bytes(b"image")
    box.pack(image, directory / box.BOX_FILE)
    whole = box.BuiltBox(
        digest="0" * 16,
        version="13.1.0",
        sha256="",
        size_bytes=0,
        mirror="",
        kernel="6.12",
        userland_digest="1" * 16,
        userland_content_sha256="2" * 64,
        packages={},
        directory=directory,
    )
    return dataclasses.replace(whole, sha256=box.sha256_of(whole.file))


def test_a_box_with_another_checksum_is_refused(tmp_path: Path) -> None:
    """
    With both, and what to do; so is one that is gone.
    """
    whole = sample_box(tmp_path)
    vm_needs.refuse_damaged(whole)
    with whole.file.open("ab") as file:
        file.write(b"x")
    with pytest.raises(HostError, match=rf"was built with {whole.sha256}; remove .* `nox -s box`"):
        vm_needs.refuse_damaged(whole)
    whole.file.unlink()
    with pytest.raises(HostError, match=r"cannot be read: No such file .*; remove .* `nox -s box`"):
        vm_needs.refuse_damaged(whole)


def test_a_box_is_the_same_to_the_byte_whenever_it_is_packed(tmp_path: Path) -> None:
    """
    Two files for Vagrant, without anybody's name or time.
    """
    whole = sample_box(tmp_path)
    first = whole.file.read_bytes()
    os.utime(tmp_path / "box.img", (1, 1))
    box.pack(tmp_path / "box.img", whole.file)
    assert whole.file.read_bytes() == first
    with tarfile.open(whole.file) as archive:
        assert archive.getnames() == ["metadata.json", "box.img"]
        described = archive.extractfile("metadata.json")
        assert described is not None
        assert json.load(described)["virtual_size"] == VM.disk_gib


def test_the_catalogue_names_the_checksum_that_vagrant_checks(tmp_path: Path) -> None:
    """
    And the version, in numbers that Vagrant can order.
    """
    whole = sample_box(tmp_path)
    (version,) = box.catalog(whole)["versions"]
    (provider,) = version["providers"]
    assert (provider["checksum_type"], provider["checksum"]) == ("sha256", whole.sha256)
    assert provider["url"] == f"file://{whole.file}"
    assert box.version_of("00000000000fffff") == "13.1.15"
    assert box.version_of("ffffffffffff0000").rpartition(".")[2].isdecimal()


def test_a_half_built_box_is_not_found(tmp_path: Path) -> None:
    """
    Only the marker, which is written last, makes it whole.
    """
    (tmp_path / "box" / f"{box.digest_of('')}.partial").mkdir(parents=True)
    (tmp_path / "box" / box.digest_of("")).mkdir()
    assert box.find(tmp_path) is None


def test_the_boot_sector_has_one_partition_that_ends_with_the_disk() -> None:
    """
    GRUB's code before it, the signature after it.
    """
    sector = box.boot_sector(b"G" * 512, 8 * 2**30)
    assert len(sector) == 512
    assert sector[:446] == b"G" * 446
    assert sector[-2:] == b"\x55\xaa"
    flag, kind, first, count = struct.unpack("<B3xB3xII", sector[446:462])
    assert (flag, kind, first) == (0x80, 0x83, 2048)
    assert (first + count) * 512 == 8 * 2**30


def test_another_architecture_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    By its name, with what to use instead.
    """
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(HostError, match="x86_64 only, and this is aarch64"):
        box.build(tmp_path, None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_every_setting_of_the_vm_is_in_one_file() -> None:
    """
    The Vagrantfile reads the same file, and holds no number of its own for them.
    """
    text = (PROJECT / "Vagrantfile").read_text()
    assert str(SETTINGS_FILE.relative_to(PROJECT)) in text
    assert set(VM.cpu_model) == {vagrant_vm.KVM, EMULATION}
    for value in (VM.box, VM.cpu_model[EMULATION], str(VM.memory_mib), VM.public_box_version):
        assert value not in text


def test_a_pool_or_a_folder_of_somebody_else_s_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is in it would be removed with the VM.
    """
    virsh = tmp_path / "virsh"
    virsh.write_text("#!/bin/sh\necho default\n")
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError, match="is not empty, and the VM's storage needs an empty"):
        libvirt.refuse_foreign_pool(noted=False, path=tmp_path)
    libvirt.refuse_foreign_pool(noted=True, path=tmp_path)
    libvirt.refuse_foreign_pool(noted=False, path=tmp_path / "none")
    virsh.write_text(f"#!/bin/sh\necho {VM.storage_pool}\n")
    with pytest.raises(HostError, match=r"storage pool .* that this checkout did not create"):
        libvirt.refuse_foreign_pool(noted=False, path=tmp_path / "none")


def test_a_libvirt_that_does_not_answer_is_told_with_its_reason_and_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As to a user without the right to start its daemons.
    """
    for name, script in (
        ("virsh", "echo no bus >&2; exit 1"),
        *((name, "") for name in ("systemctl", *libvirt.DAEMONS)),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(libvirt, "DAEMON_TIMEOUT_S", 0)
    monkeypatch.setattr(libvirt, "running", lambda _name: None)
    monkeypatch.setattr(libvirt, "run_command", lambda *_, **__: Ended([], 0, 0))
    with pytest.raises(HostError, match=r"(?s)does not answer: .*no bus\nRun this as root, or"):
        libvirt.start_daemons(lambda _: None, with_kvm=True, say=lambda _: None)


def test_notes_are_kept_until_they_are_forgotten(tmp_path: Path) -> None:
    """
    One at a time.
    """
    notes = VmNotes(tmp_path / "state")
    assert notes.read() == {}
    notes.add(pool=True)
    notes.add(daemons=["libvirtd"])
    assert VmNotes(tmp_path / "state").read() == {"pool": True, "daemons": ["libvirtd"]}
    notes.forget()
    assert notes.read() == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "\0"])
def test_damaged_notes_are_not_taken_for_none(tmp_path: Path, text: str) -> None:
    """
    What they name would stay for ever; the message has the file and how to go on.
    """
    path = tmp_path / "bridgetoll.json"
    path.write_text(text)
    with pytest.raises(HostError, match=rf"{path} cannot be read: .*; restore them, or .* virsh"):
        VmNotes(tmp_path).read()
    assert path.read_text() == text


def test_notes_that_cannot_be_written_are_named() -> None:
    """
    With the reason.
    """
    with pytest.raises(HostError, match=r"/proc/none.* cannot be written: No such file"):
        VmNotes(Path("/proc/none")).add(pool=True)


def test_a_machine_that_was_never_up_does_not_answer(tmp_path: Path) -> None:
    """
    And nothing is waited for.
    """
    assert not Remote(tmp_path / "none", "vm").answers()


def test_an_unreachable_machine_is_an_error_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Ssh's own status tells it from a command that failed.
    """
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho no route >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError, match=r"cannot be reached: no route; `nox -s up`"):
        Remote(tmp_path / "config", "vm").output(["true"])
    ssh.write_text("#!/bin/sh\necho full >&2\nexit 3\n")
    with pytest.raises(HostError, match=r"`ls -l` in the VM failed with status 3: full"):
        Remote(tmp_path / "config", "vm").output(["ls", "-l"])


def test_half_an_archive_makes_no_disk() -> None:
    """
    Where the box's disk is made, a pipeline fails with its first command, not only its last.
    """
    assert run_command([*box.STRICT, "true | true"], limit_s=60).ok
    assert not run_command([*box.STRICT, "false | true"], limit_s=60).ok

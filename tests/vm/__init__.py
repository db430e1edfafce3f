"""
The VM for real: Vagrant, libvirt and QEMU, with hardware virtualisation where there is some.
"""

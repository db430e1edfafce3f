"""
The lab: the sealed set of namespaces in which trials happen, and the userland inside it.
"""

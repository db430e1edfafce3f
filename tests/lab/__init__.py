"""
Lab tests: real namespaces and control groups, seen from the host; root.
"""

"""
CPU time per request, by where it is spent.
"""

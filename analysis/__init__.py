"""
From a results folder to estimates and ``report.md``: pure functions, no root, no lab.
"""

"""
Estimates, figures and ``report.md`` from a results folder; needs no root and no lab.
"""

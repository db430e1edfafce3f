"""
The metrics of every variant, in the form of the published report.
"""

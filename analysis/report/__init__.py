"""
The report: its order, and each form in which it is written.
"""

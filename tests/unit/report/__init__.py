"""
The report as a whole, and the data beside it.
"""

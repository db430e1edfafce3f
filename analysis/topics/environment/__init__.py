"""
The machine, the software, and how to make the run again.
"""

"""
The sweep: the cost of Docker as a curve, and the place of other stacks on it.
"""

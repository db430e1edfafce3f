"""
Deploying, loading and measuring the variants of the stack.
"""

"""
Each variant by itself, and the trials that failed.
"""

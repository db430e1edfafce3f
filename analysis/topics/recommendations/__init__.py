"""
What each change to Docker buys, and what it gives up.
"""

"""
Latency, of the closed loop and by schedule.
"""

"""
Compose projects of many shapes, which the lab's tests measure, and the images that they need.
"""

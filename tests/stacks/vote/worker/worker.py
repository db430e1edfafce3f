"""
Takes votes from the queue.
"""

import socket

with socket.create_connection(("redis", 6379)) as redis:
    while True:
        redis.sendall(b"BLPOP votes 0\r\n")
        if not redis.recv(4096):
            break

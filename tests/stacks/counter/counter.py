"""
Asks Redis for each request.
"""

import os
import socket

from flask import Flask

app = Flask(__name__)


@app.get("/health")
def health() -> str:
    """
    Asks nobody.
    """
    return "well"


@app.get("/")
def answer() -> dict[str, str]:
    """
    What Redis says.
    """
    with socket.create_connection((os.environ["REDIS_HOST"], 6379)) as redis:
        redis.sendall(b"PING\r\n")
        return {"redis": redis.recv(64).decode().strip()}

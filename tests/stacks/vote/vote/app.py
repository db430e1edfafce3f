"""
Counts what it is asked, in Redis, and writes beside its own source.
"""

import os
import socket
from pathlib import Path

from flask import Flask

app = Flask(__name__)
Path("started.txt").write_text("by a trial")


@app.get("/")
def vote() -> str:
    """
    Put a vote into the queue.
    """
    with socket.create_connection((os.environ["REDIS"], 6379)) as redis:
        redis.sendall(b"RPUSH votes a\r\n")
        redis.recv(64)
    return "cats or dogs?"


if __name__ == "__main__":
    app.run("0.0.0.0", 80, threaded=True)

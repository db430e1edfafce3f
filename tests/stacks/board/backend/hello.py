"""
Answers with its title, if the database listens.
"""

import socket
from pathlib import Path

from flask import Flask

app = Flask(__name__)
PASSWORD = Path("/run/secrets/db-password").read_text()


@app.get("/")
def hello() -> dict[str, str]:
    """
    A connection to the database for each request.
    """
    socket.create_connection(("db", 5432)).close()
    return {"title": Path("/etc/title").read_text().strip(), "key": str(len(PASSWORD))}

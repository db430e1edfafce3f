"""
Answers with its name, and with what the service beyond says.
"""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME, *BEYOND = sys.argv[1:]
PREPARED = Path("/prepared/word")


class Handler(BaseHTTPRequestHandler):
    """
    One request of the server.
    """

    def do_GET(self) -> None:
        """
        Ask the service beyond, if there is one.
        """
        body = f"{NAME}\n".encode()
        if PREPARED.exists():
            body += PREPARED.read_bytes()
        for url in BEYOND:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of this stack
                body += answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """
    A server with room for many connections.
    """

    request_queue_size = 512


Server(("", 8000), Handler).serve_forever()

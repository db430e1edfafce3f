"""
gunicorn's settings, from the same environment variables as the development server's, and its own.
"""

from __future__ import annotations

from services.web import requests_are_logged, setting

bind = f"0.0.0.0:{setting('PORT')}"
workers = int(setting("GUNICORN_WORKERS", "1"))
worker_class = setting("GUNICORN_CLASS", "gthread")
# As many as requests come at once by default, as the development server has a thread for each.
threads = int(setting("GUNICORN_THREADS", "50")) if worker_class == "gthread" else 1
# A worker's sign of life is a file, which on a disk would be written to the disk.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the place that gunicorn's own manual recommends
accesslog = "-" if requests_are_logged() else None
graceful_timeout = 1
# A worker gives a sign of life every second. A deployment that is frozen for longer than the
# default of 30 seconds would have its workers killed when it is thawed.
timeout = 3600

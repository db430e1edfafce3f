"""
Settings of gunicorn, from the services' environment variables and from GUNICORN_*.
"""

from __future__ import annotations

from services.web import requests_are_logged, setting

bind = f"0.0.0.0:{setting('PORT')}"
workers = int(setting("GUNICORN_WORKERS", "1"))
worker_class = setting("GUNICORN_CLASS", "gthread")
# The default concurrency of a load; the development server also has a thread for each request.
threads = int(setting("GUNICORN_THREADS", "50")) if worker_class == "gthread" else 1
# A worker's heartbeat is a file; on a disk it would cause writes.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - recommended by gunicorn's manual
accesslog = "-" if requests_are_logged() else None
graceful_timeout = 1
# Frozen workers give no heartbeat. With the default of 30 seconds, a deployment that was frozen for
# longer would have its workers killed when it is thawed.
timeout = 3600

#!/bin/sh
exec pg_isready --host="$(hostname -i)" --username="${POSTGRES_USER:-postgres}" --quiet

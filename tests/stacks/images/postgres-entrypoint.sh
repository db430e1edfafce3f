#!/bin/sh
# A new volume gets a cluster, a password and what the scripts say; then the server runs as its user.
set -e
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp)
    cat "${POSTGRES_PASSWORD_FILE:-/dev/null}" >"$password"
    printf %s "$POSTGRES_PASSWORD" >>"$password"
    initdb --no-sync --username="$POSTGRES_USER" --pwfile="$password" --auth-host="$POSTGRES_HOST_AUTH_METHOD"
    rm "$password"
    echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$script" ] || psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file="$script"
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@" -c "listen_addresses=*"

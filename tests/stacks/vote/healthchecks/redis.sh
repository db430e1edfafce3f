#!/bin/sh
set -eo pipefail 2>/dev/null || set -e
redis-cli ping | grep -q PONG

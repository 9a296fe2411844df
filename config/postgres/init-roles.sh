#!/usr/bin/env bash
# Makes the two roles of the engine and its database, once, in a new PostgreSQL.
#
# `ibora_owner` owns the tables and runs migrations, nothing else; `ibora_app` does the daily work
# with the rights that the migrations grant, and cannot alter or truncate what is append-only.
#
# The PostgreSQL image runs this at its first start. Elsewhere: run it as a superuser, with psql's
# usual variables (PGHOST, PGUSER, ...). The passwords come from IBORA_OWNER_PASSWORD and
# IBORA_APP_PASSWORD, or from the files that IBORA_OWNER_PASSWORD_FILE and IBORA_APP_PASSWORD_FILE
# name (secrets). They are in no argument, so no process list shows them.
set -euo pipefail

# from_file NAME: fills the variable NAME from the file that NAME_FILE names, where it is set.
from_file() {
  local file="${1}_FILE"
  if [ -n "${!file:-}" ]; then
    printf -v "$1" '%s' "$(<"${!file}")"
  fi
  if [ -z "${!1:-}" ]; then
    echo "init-roles: set $1 or ${1}_FILE" >&2
    exit 1
  fi
  export "${1?}"
}

from_file IBORA_OWNER_PASSWORD
from_file IBORA_APP_PASSWORD
export PGUSER="${POSTGRES_USER:-${PGUSER:-postgres}}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres <<'SQL'
\getenv owner_password IBORA_OWNER_PASSWORD
\getenv app_password IBORA_APP_PASSWORD
SET password_encryption = 'scram-sha-256';
-- The statements below hold passwords: they do not belong in the server's log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
CREATE ROLE ibora_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE ibora_app LOGIN PASSWORD :'app_password';
CREATE DATABASE ibora OWNER ibora_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE ibora, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE ibora TO ibora_app;
-- No statement of the engine may hold up the others: a stuck one fails and is answered for.
ALTER ROLE ibora_app SET statement_timeout = '5s';
ALTER ROLE ibora_app SET idle_in_transaction_session_timeout = '3s';
ALTER ROLE ibora_app SET lock_timeout = '3s';
-- Nor may one whose engine was cut off: its session ends in a while.
ALTER ROLE ibora_app SET tcp_user_timeout = '20s';
ALTER ROLE ibora_app SET tcp_keepalives_idle = '20s';
ALTER ROLE ibora_app SET tcp_keepalives_interval = '5s';
\connect ibora
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO ibora_owner;
GRANT USAGE ON SCHEMA public TO ibora_app;
SQL

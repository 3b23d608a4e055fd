#!/bin/sh
# Settings for development, as .env: for just, for mise and for compose.
set -eu
cat <<ENV
STRIKE_DATA_DIR=$PWD/.strike
STRIKE_PUBLIC_URL=http://127.0.0.1:8080
STRIKE_TWILIO_BASE_URL=http://127.0.0.1:9000
STRIKE_OIDC_SIGNER=arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/strike-mock/0123456789abcdef
STRIKE_OIDC_ISSUER=https://login.strike-mock.example
STRIKE_OIDC_CLIENT=strike-mock
STRIKE_OIDC_KEYS=http://127.0.0.1:9000/keys
STRIKE_DB_PASSWORD=$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))')
# Without it an embedded PostgreSQL is used; with it that of compose, on this machine's port 5433:
# STRIKE_DATABASE_URL=postgresql://strike:THE_PASSWORD_ABOVE@127.0.0.1:5433/strike
ENV

# What one does while developing Strike. `just` lists it.
set dotenv-load

bin := env("VIRTUAL_ENV", justfile_directory() / ".venv") / "bin"

# Parts of the system in containers: start what you're not touching
mod services "deploy/just/services.just"
# The database
mod db "deploy/just/db.just"
# The API
mod api "deploy/just/api.just"
# The web console
mod web "deploy/just/web.just"
# Stand-ins for Twilio, Render and the login
mod mock "deploy/just/mock.just"

[private]
default:
    @just --list --list-submodules

# An environment with everything, and settings for development in .env
setup:
    python3 -m venv .venv
    .venv/bin/pip install --quiet uv
    .venv/bin/uv pip install --quiet --python .venv -c constraints.txt -b constraints.txt -e . --group dev
    test -e .env || (umask 077 && sh deploy/just/env.sh > .env)

# Everything that a change must pass, or parts of it: just check lint,types
check parts="":
    "{{ bin }}/tox" {{ if parts == "" { "" } else { "-e " + parts } }}

# What is configured, what is reachable and what is wrong, with the cure
doctor:
    "{{ bin }}/strike" doctor

# Known holes in what constraints.txt names, the licences, and the bill of materials
supply:
    "{{ bin }}/tox" -e audit,licences,sbom

"""`python -m strike_app.graphql` prints the schema."""

import sys

from strike_app.graphql import schema

sys.stdout.write(schema.as_str() + "\n")

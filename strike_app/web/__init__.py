"""The web console: pages for people, made on this server from the same GraphQL that others use.

One page is a document (`documents/*.graphql`), a handler (`pages/`) and a template (`templates/`).
A handler asks the schema in this process, so that a page can never show or do what the access table
does not allow its reader over GraphQL. Scripts (`own/*.js`) only add to pages that work without.
"""

"""A million callouts of a hundred companies, made by the database itself."""

from __future__ import annotations

from uuid import UUID

import psycopg
from rich.console import Console
from rich.progress import track

NOCS, OSPS = 50, 50

AT_ONCE = 20_000
"""Rows of one INSERT."""

# A company's id says which one it is: 10…0007 is the seventh NOC, 20…0007 the seventh contractor.
COMPANIES = """
INSERT INTO tenants (id, name, side)
SELECT (kind || lpad(n::text, 11, '0'))::uuid, side || ' ' || n, side
FROM (VALUES ('100000000000000000000', 'NOC'), ('200000000000000000000', 'OSP')) s (kind, side),
    generate_series(1, 50) n
"""

LINKS = """
INSERT INTO links (noc_id, osp_id, status)
SELECT n.id, o.id, 'ACTIVE' FROM tenants n, tenants o WHERE n.side = 'NOC' AND o.side = 'OSP'
"""

# The large companies have some times as many as the small ones. Rows come in the order of time, as
# from a follower; the older ones are done, of the newest fiftieth most are still under way.
ECOS = """
INSERT INTO eco_views (
    eco_id, noc_id, osp_id, job_number, job_type, status, paging_state, render_state, priority,
    stale, description, ticket, client_reference, affected_customers, location, bounds,
    responder_name, run_id, list_name, list_reason, field_summary, subsector_id, field_tasks,
    created_at, updated_at, accepted_at, started_at, completed_at, closed_at, version, position
)
SELECT
    gen_random_uuid(),
    ('100000000000000000000' || lpad((1 + floor(50 * noc ^ 1.4))::text, 11, '0'))::uuid,
    ('200000000000000000000' || lpad((1 + floor(50 * osp ^ 1.4))::text, 11, '0'))::uuid,
    to_char(at, 'YY') || '-' || lpad(n::text, 7, '0'),
    (ARRAY['FNOL', 'FNOL', 'MFR', 'CMR'])[1 + floor(4 * kind)],
    status,
    CASE
        WHEN paging < 0.88 THEN 'ACCEPTED'
        WHEN paging < 0.92 THEN 'EXHAUSTED'
        WHEN paging < 0.94 THEN 'NO_LIST'
        WHEN paging < 0.97 THEN 'CANCELLED'
        WHEN is_new THEN 'RUNNING'
        ELSE 'NOT_STARTED'
    END,
    CASE WHEN paging < 0.8 THEN 'TASKED' ELSE 'NOT_CONFIGURED' END,
    (ARRAY['LOW', 'NORMAL', 'NORMAL', 'NORMAL', 'HIGH', 'CRITICAL'])[1 + floor(6 * kind)],
    false,
    'Cable ' || n || ' was cut by a digger; the crew must splice it before the night.',
    CASE WHEN kind < 0.7 THEN 'INC' || lpad(n::text, 9, '0') END,
    CASE WHEN kind < 0.4 THEN 'REF-' || n END,
    floor(4000 * kind)::int,
    jsonb_build_object('type', 'LineString', 'coordinates', (
        SELECT jsonb_agg(jsonb_build_array(
            round((-105 + lon + m / 2000.0)::numeric, 6), round((40 + lat + m / 3000.0)::numeric, 6)
        )) FROM generate_series(1, 4) m
    )),
    box(point(-105 + lon + 0.002, 40 + lat + 0.00134), point(-105 + lon, 40 + lat)),
    CASE WHEN paging < 0.88 THEN 'Sam Rivera ' || floor(100 * lat) END,
    gen_random_uuid(),
    'Night crew', 'region',
    CASE WHEN paging < 0.8 THEN '2 of 3 tasks done' END,
    CASE WHEN paging < 0.8 THEN 'sub-' || n END,
    CASE WHEN paging < 0.8 THEN jsonb_build_array(
        jsonb_build_object('id', 't1-' || n, 'name', 'Locate', 'state', 'completed'),
        jsonb_build_object('id', 't2-' || n, 'name', 'Splice', 'state', 'completed'),
        jsonb_build_object('id', 't3-' || n, 'name', 'Test', 'state', 'released')
    ) ELSE '[]' END,
    at,
    at + interval '6 hours',
    CASE WHEN paging < 0.88 THEN at + interval '4 minutes' END,
    CASE WHEN status <> 'OPEN' THEN at + interval '40 minutes' END,
    CASE WHEN status IN ('COMPLETED', 'CLOSED') THEN at + interval '5 hours' END,
    CASE WHEN status = 'CLOSED' THEN at + interval '6 hours' END,
    12,
    12 * n
FROM (
    SELECT
        *,
        now() - interval '3 years' * (1 - (n + kind) / %(all)s::float8) AS at,
        CASE
            WHEN is_new AND share < 0.35 THEN 'OPEN'
            WHEN is_new AND share < 0.75 THEN 'IN_PROGRESS'
            WHEN share < 0.91 THEN 'CLOSED'
            WHEN share < 0.97 THEN 'CANCELLED'
            ELSE 'COMPLETED'
        END AS status
    FROM (
        SELECT n, n > 0.98 * %(all)s AS is_new, random() AS noc, random() AS osp,
            random() AS kind, random() AS share, random() AS paging, random() AS lon,
            random() AS lat
        FROM generate_series(%(first)s::int, %(last)s::int) n
    ) AS drawn
) AS dated
"""


def noc(number: int) -> UUID:
    """The id of the NOC of that number, from 1."""
    return UUID(f"1{number:031d}")


def osp(number: int) -> UUID:
    """The id of the contractor of that number, from 1."""
    return UUID(f"2{number:031d}")


def fill(url: str, ecos: int) -> None:
    """Companies, all linked, and so many callouts over three years."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(COMPANIES)
        connection.execute(LINKS)
        for first in track(range(1, ecos + 1, AT_ONCE), "Filling", console=Console(stderr=True)):
            last = min(first + AT_ONCE - 1, ecos)
            connection.execute(ECOS, {"all": ecos, "first": first, "last": last})
        connection.execute("VACUUM (ANALYZE) eco_views")
        connection.execute("ANALYZE tenants, links")

"""The SQL statements with which `HourReader` reads hour files."""

from __future__ import annotations

EVENTS = """
CREATE OR REPLACE TEMP TABLE events (
  file VARCHAR, line BIGINT, id VARCHAR, type VARCHAR, created_at TIMESTAMPTZ, payload JSON,
  repo STRUCT(id BIGINT, name VARCHAR, url VARCHAR), actor STRUCT(id BIGINT, login VARCHAR, url VARCHAR),
  _TABLE_SUFFIX VARCHAR
)
"""

REPO = (
    "{'id': TRY_CAST(raw_repo ->> '$.id' AS BIGINT),"
    " 'name': CASE WHEN JSON_TYPE(raw_repo, '$.name') = 'VARCHAR' THEN raw_repo ->> '$.name' END,"
    " 'url': raw_repo ->> '$.url'}"
)
ACTOR = (
    "{'id': TRY_CAST(raw_actor ->> '$.id' AS BIGINT),"
    " 'login': CASE WHEN JSON_TYPE(raw_actor, '$.login') = 'VARCHAR' THEN raw_actor ->> '$.login' END,"
    " 'url': raw_actor ->> '$.url'}"
)

# One row per line, in the order of the files. CASE computes values only for the selected rows. The inner
# SELECT has the structs `repo` and `actor`, because the condition may use them. If the condition does not,
# DuckDB does not compute them.
LINES = """
CREATE OR REPLACE TEMP TABLE lines AS
SELECT
  filename,
  well_formed,
  {hour} AS hour,
  CASE WHEN hour IS NOT NULL THEN HASH(id) END AS id_hash,
  CASE WHEN well_formed AND {in_window} THEN COALESCE({condition}, FALSE) ELSE FALSE END AS selected,
  CASE WHEN selected THEN id END AS id,
  CASE WHEN selected THEN type END AS type,
  CASE WHEN selected THEN created_at END AS created_at,
  CASE WHEN selected THEN payload END AS payload,
  CASE WHEN selected THEN {repo} END AS repo,
  CASE WHEN selected THEN {actor} END AS actor
FROM (
  SELECT
    filename, id, type, TRY_CAST(created_at AS TIMESTAMPTZ) AS created_at, payload, $suffix AS _TABLE_SUFFIX,
    raw_repo, {repo} AS repo, raw_actor, {actor} AS actor,
    -- digits are less than 'A': a number is no type. The times are EARLIEST and LATEST of malformed_lines.
    COALESCE(
      id IS NOT NULL AND type >= 'A'
        AND TRY_CAST(created_at AS TIMESTAMPTZ) > TIMESTAMPTZ '1970-01-01 00:00:00+00'
        AND TRY_CAST(created_at AS TIMESTAMPTZ) < TIMESTAMPTZ '2262-01-01 00:00:00+00'
        AND STARTS_WITH(CAST(payload AS VARCHAR), '{{')
        AND (type NOT IN ({limited_types}) OR STRLEN(CAST(payload AS VARCHAR)) <= {longest_payload}),
      FALSE
    ) AS well_formed
  FROM
    READ_JSON(
      $paths, format = 'newline_delimited', compression = '{compression}', ignore_errors = TRUE,
      filename = TRUE, maximum_object_size = {longest},
      columns = {{
        'id': 'VARCHAR', 'type': 'VARCHAR', 'created_at': 'VARCHAR', 'payload': 'JSON',
        'repo': 'JSON', 'actor': 'JSON'
      }}
    ) AS raw (id, type, created_at, payload, raw_repo, raw_actor, filename)
)
"""

# The hour of the day in which an event was created, if it is one of the hours to read. Hours are counted from
# the start of the day: an event of the day before has a negative one.
HOUR = """
  CASE
    WHEN well_formed AND CAST(FLOOR((EPOCH(created_at) - {start}) / 3600) AS BIGINT) IN ({hours})
      THEN CAST(FLOOR((EPOCH(created_at) - {start}) / 3600) AS BIGINT)
  END"""

CRAWLED = "CREATE OR REPLACE TEMP TABLE crawled (base VARCHAR, hour BIGINT, id_hash UBIGINT)"
INSERT_CRAWLED = "INSERT INTO crawled SELECT $base, hour, id_hash FROM lines WHERE hour IS NOT NULL"
COUNT_CRAWLED = "SELECT base, hour, COUNT(DISTINCT id_hash) FROM crawled GROUP BY base, hour ORDER BY ALL"

# The same event of two files: that of the first file is kept.
DELETE_REPEATED = """
DELETE FROM events
WHERE rowid IN (
  SELECT e.rowid
  FROM events AS e JOIN file_ranks AS f USING (file)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY e.id ORDER BY f.rank, e.line) > 1
)
"""

LINE_COUNTS = """
SELECT filename, COUNT(*), COUNT_IF(NOT well_formed) FROM lines GROUP BY filename
"""

# A line's number in its file, counted from 1, is the distance of its row from the file's first row, plus 1.
MALFORMED_LINES = """
SELECT rowid - (SELECT MIN(rowid) FROM lines WHERE filename = $path) + 1 AS line
FROM lines
WHERE filename = $path AND NOT well_formed
ORDER BY line
"""

INSERT = """
INSERT INTO events
SELECT n.file, l.rowid - f.first + 1, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l
JOIN (SELECT filename, MIN(rowid) AS first FROM lines GROUP BY filename) AS f USING (filename)
JOIN file_names AS n ON n.path = l.filename
WHERE l.selected
"""

INSERT_REPAIRED = """
INSERT INTO events
SELECT m.file, m.line, l.id, l.type, l.created_at, l.payload, l.repo, l.actor, $suffix
FROM lines AS l JOIN repaired AS m ON m.position = l.rowid
WHERE l.selected
"""

-- Grain: one row per issue of the current release that is in a cluster of duplicates.
--
-- A cluster is a set of issues of one repository that probably report the same problem.
-- The oldest issue of a cluster is its canonical issue, and stands for the cluster: its id stays the same
-- while the cluster grows. An issue joins the cluster of the oldest issue that it duplicates with the
-- probability `cluster_probability` of the release, if it has half of this probability with the canonical
-- issue. Otherwise it may be the canonical issue of a later cluster. So an issue is in at most one cluster,
-- and clusters are never merged. A canonical issue changes only if an older issue is ingested late, if
-- probabilities change (another embedding network or ordering), or if cluster_probability changes.
--
-- Reports of programs are in no cluster. A release of a version of Titler without clusters has none. A query
-- on some days reads the pairs of all days, which are few. Issues that are linked to the canonical issue
-- through 100 others or more are left out, because BigQuery limits recursion.
--
-- Column canonical_issue_id: GitHub's id of the cluster's oldest issue; it is the id of the cluster
-- Column canonical_url: the canonical issue's page on GitHub
-- Column canonical_title: the canonical issue's title, as its author wrote it
-- Column repo: owner/name of the cluster's repository
-- Column size: number of issues in the cluster, the canonical one included
-- Column first_day: source day (UTC) of the canonical issue
-- Column last_day: source day (UTC) of the cluster's newest issue
-- Column batch_id: id of the batch of the pair by which the issue joined; NULL for the canonical issue
-- Column release_id: name of the release
-- Column number: see title_predictions
WITH RECURSIVE pairs AS (
  SELECT
    p.issue_id,
    p.issue_url,
    p.repo,
    p.title,
    p.source_day,
    p.batch_id,
    p.similar_issue_id,
    p.similar_issue_url,
    p.similar_title,
    p.similar_day,
    p.probability >= r.cluster_probability AS is_link,
    r.release_id
  FROM
    duplicate_pairs_v1 AS p
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'duplicate_pairs_v1' AND m.day = p.source_day AND m.batch_id = p.batch_id
  INNER JOIN
    releases_v1 AS r
    ON r.release_id = m.release_id
  LEFT JOIN
    superseded_openings_v1 AS o
    ON o.release_id = m.release_id AND o.day = p.source_day AND o.issue_id = p.issue_id
  WHERE
    r.status = 'current'
    AND o.issue_id IS NULL
    AND p.probability >= r.cluster_probability / 2
),
links AS (
  SELECT
    issue_id,
    similar_issue_id
  FROM
    pairs
  WHERE
    is_link
  QUALIFY
    ROW_NUMBER() OVER (PARTITION BY issue_id ORDER BY similar_day, similar_issue_id) = 1
),
joined AS (
  SELECT
    l.issue_id,
    l.similar_issue_id AS canonical_issue_id,
    1 AS steps
  FROM
    links AS l
  LEFT JOIN
    links AS older
    ON older.issue_id = l.similar_issue_id
  WHERE
    older.issue_id IS NULL
  UNION ALL
  SELECT
    l.issue_id,
    COALESCE(p.similar_issue_id, l.issue_id) AS canonical_issue_id,
    j.steps + 1 AS steps
  FROM
    joined AS j
  INNER JOIN
    links AS l
    ON l.similar_issue_id = j.issue_id
  LEFT JOIN
    pairs AS p
    ON p.issue_id = l.issue_id AND p.similar_issue_id = j.canonical_issue_id
  WHERE
    j.steps < 100
),
members AS (
  SELECT
    p.similar_issue_id AS canonical_issue_id,
    p.similar_issue_url AS canonical_url,
    p.similar_title AS canonical_title,
    p.similar_day AS canonical_day,
    p.repo,
    p.issue_id,
    p.issue_url,
    p.title,
    p.source_day,
    p.batch_id,
    p.release_id
  FROM
    joined AS j
  INNER JOIN
    pairs AS p
    ON p.issue_id = j.issue_id AND p.similar_issue_id = j.canonical_issue_id
),
clusters AS (
  SELECT
    canonical_issue_id,
    MIN(canonical_url) AS canonical_url,
    MIN(canonical_title) AS canonical_title,
    MIN(repo) AS repo,
    COUNT(*) + 1 AS size,
    MIN(canonical_day) AS first_day,
    MAX(source_day) AS last_day,
    MIN(release_id) AS release_id
  FROM
    members
  GROUP BY
    canonical_issue_id
),
issues AS (
  SELECT
    canonical_issue_id,
    issue_id,
    issue_url,
    title,
    source_day,
    batch_id
  FROM
    members
  UNION ALL
  SELECT
    canonical_issue_id,
    canonical_issue_id AS issue_id,
    canonical_url AS issue_url,
    canonical_title AS title,
    first_day AS source_day,
    CAST(NULL AS STRING) AS batch_id
  FROM
    clusters
)
SELECT
  c.canonical_issue_id,
  c.canonical_url,
  c.canonical_title,
  c.repo,
  c.size,
  c.first_day,
  c.last_day,
  i.issue_id,
  i.issue_url,
  i.title,
  i.source_day,
  i.batch_id,
  c.release_id,
  SAFE_CAST(REGEXP_EXTRACT(i.issue_url, r'/([0-9]+)$') AS INT64) AS number
FROM
  clusters AS c
INNER JOIN
  issues AS i
  ON i.canonical_issue_id = c.canonical_issue_id

-- Grain: one row per cluster of duplicates with reports in the latest month of the current release.
--
-- The most reported problem comes first. A report is an issue of the cluster, the canonical one included. Column
-- reports_in_all also counts those of earlier months. Of equally reported problems, the oldest comes first. For
-- another month, write it in place of the query `latest`: SELECT '2024-01' AS month.
WITH latest AS (
  SELECT
    SUBSTR(CAST(MAX(day) AS STRING), 1, 7) AS month
  FROM
    source_health
)
SELECT
  c.repo,
  c.canonical_url,
  c.canonical_title,
  COUNT(*) AS reports,
  c.size AS reports_in_all,
  c.first_day,
  c.last_day
FROM
  duplicate_clusters AS c
CROSS JOIN
  latest AS l
WHERE
  SUBSTR(CAST(c.source_day AS STRING), 1, 7) = l.month
GROUP BY
  c.repo,
  c.canonical_issue_id,
  c.canonical_url,
  c.canonical_title,
  c.size,
  c.first_day,
  c.last_day
ORDER BY
  reports DESC,
  c.first_day,
  c.canonical_issue_id
LIMIT 20

-- Grain: one row per issue of the repository @repo in the current release, the newest first.
SELECT
  number,
  title,
  predicted_title,
  confidence,
  body_excerpt,
  created_at
FROM
  title_predictions
WHERE
  repo = @repo
ORDER BY
  created_at DESC,
  issue_id
LIMIT 100

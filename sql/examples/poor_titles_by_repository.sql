-- Grain: one row per repository of the current release with at least one poor title, those with most first.
--
-- Column poor_share is the share (0 to 1) of the repository's issues with a poor title. The other columns count
-- the poor titles per reason.
WITH issues AS (
  SELECT
    repo,
    COUNT(*) AS issues
  FROM
    title_predictions
  GROUP BY
    repo
)
SELECT
  p.repo,
  i.issues,
  COUNT(*) AS poor,
  COUNT(*) / i.issues AS poor_share,
  COUNTIF(p.reason = 'vague') AS vague,
  COUNTIF(p.reason = 'templated') AS templated,
  COUNTIF(p.reason = 'far') AS far
FROM
  poor_titles AS p
INNER JOIN
  issues AS i
  ON i.repo = p.repo
GROUP BY
  p.repo,
  i.issues
ORDER BY
  poor DESC,
  p.repo
LIMIT 20

-- Grain: one row per month (YYYY-MM) and verb of Titler that BigQuery billed something for.
--
-- Only BigQuery bills: with DuckDB, the result is empty. An analyst's own queries are not in it, nor is storage.
-- It reads the table spend_v1, so it needs permission for the data set and not only for the views.
SELECT
  SUBSTR(CAST(day AS STRING), 1, 7) AS month,
  verb,
  COUNT(*) AS jobs,
  SUM(bytes) AS bytes,
  SUM(usd) AS usd
FROM
  spend_v1
WHERE
  state = 'billed'
GROUP BY
  month,
  verb
ORDER BY
  month DESC,
  usd DESC,
  verb

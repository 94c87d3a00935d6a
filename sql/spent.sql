-- Grain: one row: bytes that count against the budgets, of the UTC day @day and of the command @run.
--
-- What is reserved counts until what was billed is known.
WITH jobs AS (
  SELECT
    job_id,
    run,
    day,
    COALESCE(MAX(IF(state = 'billed', bytes, NULL)), MAX(bytes)) AS bytes
  FROM
    spend_v1
  WHERE
    day = @day
    OR run = @run
  GROUP BY
    job_id,
    run,
    day
)
SELECT
  COALESCE(SUM(IF(day = @day, bytes, 0)), 0) AS of_day,
  COALESCE(SUM(IF(run = @run, bytes, 0)), 0) AS of_run
FROM
  jobs

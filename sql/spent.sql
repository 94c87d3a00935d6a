-- Grain: one row, with the bytes that count against the budgets of the UTC day @day and the command @run.
--
-- Each job counts once, for the day and the command that reserved its bytes. The reserved bytes count until
-- the billed bytes are known.
WITH jobs AS (
  SELECT
    job_id,
    MIN(day) AS day,
    COALESCE(MIN(IF(state = 'reserved', run, NULL)), MIN(run)) AS run,
    COALESCE(MAX(IF(state = 'billed', bytes, NULL)), MAX(bytes)) AS bytes
  FROM
    spend_v1
  GROUP BY
    job_id
)
SELECT
  COALESCE(SUM(IF(day = @day, bytes, 0)), 0) AS of_day,
  COALESCE(SUM(IF(run = @run, bytes, 0)), 0) AS of_run
FROM
  jobs

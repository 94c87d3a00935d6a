"""Problems of the sample that several people report, each in their own words.

Two reports of one problem share what real duplicates share: the output that they quote, the names of a file
or a function, and the cause. Everything else is worded differently. Each problem belongs to one kind of
repository, and is reported in one repository.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecurringProblem:
    """A problem that several people report.

    `output` is a line that the program prints. All reports quote it. Each of `reports` has a title and a
    body.
    """

    output: str
    reports: tuple[tuple[str, str], ...]


RECURRING_PROBLEMS: dict[str, tuple[RecurringProblem, ...]] = {
    "web": (
        RecurringProblem(
            "POST /attachments 415 unsupported colour profile: image/heic",
            (
                (
                    "Uploading a .heic photo fails with 'unsupported colour profile'",
                    "I tried to attach a .heic picture from my phone. The form answers 'unsupported colour "
                    "profile' and the photo is not stored. JPEG files are fine.",
                ),
                (
                    "HEIC photo rejected: unsupported colour profile",
                    "Every .heic photo that I attach is rejected with 'unsupported colour profile'. "
                    "Converting it to JPEG helps.",
                ),
                (
                    "Cannot attach HEIC pictures from iPhone, unsupported colour profile",
                    "Pictures taken by an iPhone are .heic files. Attaching one ends with the message "
                    "'unsupported colour profile', a JPEG of the same photo works.",
                ),
            ),
        ),
        RecurringProblem(
            "Set-Cookie: sid=deleted; path=/; reason=locale_changed",
            (
                (
                    "Session cookie is lost after switching the language",
                    "When I choose another language at the bottom, the cookie `sid` disappears and I have "
                    "to sign in again.",
                ),
                (
                    "Signed out when the language is changed, cookie sid disappears",
                    "Changing the language signs me out. In the browser's tools I see that the session "
                    "cookie `sid` is gone after the switch.",
                ),
                (
                    "Switching language signs me out",
                    "After switching from English to another language I must sign in again. The session "
                    "cookie `sid` is lost.",
                ),
            ),
        ),
    ),
    "cli": (
        RecurringProblem(
            "split_work(jobs=0): integer division by zero in work.c line 212",
            (
                (
                    "--jobs 0 divides by zero in split_work",
                    "Calling the tool with `--jobs 0` ends with 'integer division by zero' in `split_work`. "
                    "I expected one job per core.",
                ),
                (
                    "Integer division by zero in split_work with --jobs 0",
                    "The manual says that `--jobs 0` uses all cores. Instead `split_work` stops: integer "
                    "division by zero.",
                ),
                (
                    "split_work: division by zero if --jobs is 0",
                    "`--jobs 0` should mean one job per core, but I get an integer division by zero from "
                    "`split_work`.",
                ),
            ),
        ),
        RecurringProblem(
            "NO_COLOR=1 but isatty=0 color_mode=always",
            (
                (
                    "Colours are printed although NO_COLOR is set",
                    "With NO_COLOR=1 in the environment there are still escape codes like `^[[31m` when the "
                    "output goes to a file.",
                ),
                (
                    "NO_COLOR is not respected, escape codes in files",
                    "I set NO_COLOR=1, but escape codes such as `^[[31m` are still printed into files. "
                    "Colours should be off.",
                ),
                (
                    "Escape codes like ^[[31m in redirected output even with NO_COLOR",
                    "Redirecting the output to a file gives escape codes, `^[[31m` for example. NO_COLOR is "
                    "set to 1 and seems to be overlooked, colours are on.",
                ),
            ),
        ),
    ),
    "library": (
        RecurringProblem(
            "parse_date('29 Feb 2024') -> 2023-03-01",
            (
                (
                    "parse_date returns the wrong year for 29 February",
                    "`parse_date('29 Feb 2024')` returns 1 March 2023. All other days are right. So the "
                    "leap day moves to another year.",
                ),
                (
                    "Leap day: parse_date is off by a year on 29 February",
                    "For the leap day, 29 February 2024, `parse_date` returns 1 March of the year before.",
                ),
                (
                    "29 February becomes 1 March of the wrong year in parse_date",
                    "We noticed that `parse_date` turns the leap day into 1 March 2023: the year is wrong, "
                    "not only the day.",
                ),
            ),
        ),
        RecurringProblem(
            "429 Too Many Requests, retry_after: Fri, 05 Jan 2024 10:00:00 GMT, waited 0 ms",
            (
                (
                    "retry_after header with a date is ignored",
                    "If the server answers 429 with a `retry_after` header that has a date instead of "
                    "seconds, the client does not wait at all.",
                ),
                (
                    "Client does not wait when retry_after is a date",
                    "The `retry_after` header may have a date. Then our client repeats the request at once, "
                    "and the server answers 429 again. With seconds it waits.",
                ),
                (
                    "429 with retry_after as date: client repeats without waiting",
                    "Some servers send a date in the header `retry_after`. The client waits for seconds, "
                    "but a date is ignored.",
                ),
            ),
        ),
    ),
    "data": (
        RecurringProblem(
            "vacuum_full: AccessExclusiveLock held, SELECT waiting",
            (
                (
                    "vacuum_full blocks readers until it ends",
                    "While `vacuum_full` runs, every SELECT waits for a lock. The manual says that readers "
                    "are not blocked.",
                ),
                (
                    "SELECT waits for a lock during vacuum_full",
                    "Readers are blocked as long as `vacuum_full` runs: each SELECT waits for the lock.",
                ),
                (
                    "Readers blocked by the lock of vacuum_full",
                    "According to the manual a `vacuum_full` must not block readers. In fact a SELECT waits "
                    "until it has ended, because of a lock.",
                ),
            ),
        ),
        RecurringProblem(
            "write_text_column: NULL -> 'None' (null_as_text=true)",
            (
                (
                    "NULL values become 'None' in exported Parquet files",
                    "After an export to Parquet, columns of text have the word 'None' where NULL was.",
                ),
                (
                    "Parquet export writes the word None instead of NULL",
                    "I exported a table with NULL values. In the Parquet file they are the text 'None'.",
                ),
                (
                    "Exported Parquet has the text 'None' for NULL",
                    "Text columns with NULL values are exported to Parquet with the word None in them, so a "
                    "filter for NULL finds nothing.",
                ),
            ),
        ),
    ),
    "infra": (
        RecurringProblem(
            "rollout undo: image restored, ConfigMap app-settings unchanged",
            (
                (
                    "Rollback leaves the new ConfigMap in place",
                    "After `rollout undo` the pods run the old image, but they still mount the new "
                    "ConfigMap.",
                ),
                (
                    "rollout undo does not restore the ConfigMap",
                    "We did a `rollout undo`. The old image came back, the ConfigMap stayed new, so the "
                    "pods did not start.",
                ),
                (
                    "Old image with new ConfigMap after rollout undo",
                    "A rollback with `rollout undo` restores the image only. The new ConfigMap is still "
                    "mounted by the pods.",
                ),
            ),
        ),
        RecurringProblem(
            "renew_certificate: x509: certificate is not yet valid, clock skew 124 s",
            (
                (
                    "Certificate is not renewed if the node clock is ahead",
                    "The node's clock is two minutes ahead, and the renewal of the certificate fails with "
                    "'not yet valid'.",
                ),
                (
                    "Renewal of certificate fails: not yet valid, clock ahead",
                    "If the clock of a node is ahead, renewal stops with 'certificate not yet valid' and it "
                    "is never renewed.",
                ),
                (
                    "'not yet valid' when a certificate is renewed on a node whose clock is ahead",
                    "We see 'not yet valid' in the renewal of the certificate. The node's clock is ahead by "
                    "some minutes.",
                ),
            ),
        ),
    ),
    "mobile": (
        RecurringProblem(
            "onConfigurationChanged: DownloadService restarted, offset=0",
            (
                (
                    "Rotating the phone during a download restarts it from zero",
                    "When I rotate the phone while something downloads, the download starts again from zero "
                    "percent.",
                ),
                (
                    "Download starts again at zero percent after rotating the phone",
                    "A download was at 80 percent. I rotated the phone, and it started again at zero.",
                ),
                (
                    "Download lost on rotation, restarts at zero",
                    "Each rotation of the phone restarts the running download at zero percent.",
                ),
            ),
        ),
        RecurringProblem(
            "AlarmManager: channel muted by battery_saver, ring skipped",
            (
                (
                    "Alarm does not ring if battery saver is on",
                    "With the battery saver switched on the alarm stays silent. It rings when the screen is "
                    "on.",
                ),
                (
                    "Battery saver silences the alarm",
                    "The alarm does not ring while battery saver is on. I overslept because it was silent.",
                ),
                (
                    "No alarm with battery saver",
                    "Alarm is silent as soon as the battery saver is active, with the screen off it never "
                    "rings.",
                ),
            ),
        ),
    ),
    "compiler": (
        RecurringProblem(
            "W0611 unused import 'facade' (re-exported in __all__)",
            (
                (
                    "Unused import warning W0611 for a re-exported name",
                    "A name that is imported only to be exported again gets the warning W0611, unused "
                    "import.",
                ),
                (
                    "W0611 is a false positive for re-exported imports",
                    "Importing a name and re-exporting it is reported as W0611 'unused import'. It is used, "
                    "by whoever imports our module.",
                ),
                (
                    "False W0611 'unused import' when the name is re-exported",
                    "The warning W0611 appears for an import that is re-exported. I think re-exported names "
                    "count as used.",
                ),
            ),
        ),
        RecurringProblem(
            "fold_constants: recursion depth 16384, stack overflow at TernaryNode",
            (
                (
                    "Infinite recursion in fold_constants for nested ternaries",
                    "Compiling deeply nested ternaries ends with a stack overflow: `fold_constants` calls "
                    "itself for ever.",
                ),
                (
                    "Stack overflow in fold_constants with nested ternary",
                    "A ternary inside a ternary inside a ternary makes `fold_constants` recurse until the "
                    "stack overflow.",
                ),
                (
                    "fold_constants recurses for ever on a nested ternary expression",
                    "`fold_constants` never ends for a nested ternary. The result is a stack overflow in "
                    "the compiler.",
                ),
            ),
        ),
    ),
    "learning": (
        RecurringProblem(
            "step 3: loss=nan label_smoothing=0.1 dtype=float16",
            (
                (
                    "Loss becomes NaN when label smoothing and mixed precision are combined",
                    "With label_smoothing=0.1 and mixed precision the loss is NaN after a few steps. Each "
                    "alone is fine.",
                ),
                (
                    "NaN loss with label_smoothing in mixed precision",
                    "Mixed precision together with label_smoothing gives a loss of NaN. Without label "
                    "smoothing all is well.",
                ),
                (
                    "Mixed precision and label smoothing: loss is NaN",
                    "The loss turns to NaN in the first steps if label_smoothing is set and mixed precision "
                    "is on.",
                ),
            ),
        ),
        RecurringProblem(
            "resume: last.ckpt epoch=3 next_epoch=3",
            (
                (
                    "Resuming from a checkpoint repeats the last epoch",
                    "When a run is resumed from `last.ckpt`, the epoch that was already finished is trained "
                    "again.",
                ),
                (
                    "Last epoch is trained twice after resuming from last.ckpt",
                    "I stopped after epoch 3 and resumed from `last.ckpt`. It trained epoch 3 again before "
                    "epoch 4.",
                ),
                (
                    "Resume from last.ckpt trains a finished epoch again",
                    "A checkpoint `last.ckpt` of a finished epoch is resumed with the same epoch, so it is "
                    "repeated.",
                ),
            ),
        ),
    ),
}
"""The problems of each kind of repository."""

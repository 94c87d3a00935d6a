"""Phrases for English sample issues: wordings of bugs and requests. Like the phrases in `english_phrases`,
they are in two voices (styles of writing) and have slots such as {c}."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sample.english_phrases import Words


@dataclass(frozen=True)
class Symptom:
    """The wordings of one bug or request, for the title and the body of an issue. `subject` is the kind of
    issue: bug, request, docs or question."""

    name: str
    subject: str
    titles: Words
    openings: Words
    expected: Words


# The most frequent bug or request comes first.
SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        "crash",
        "bug",
        ("{c} crashes {when}", "crash in {c} {when}", "{c} crashes {when}", "crash of {c} {when}"),
        (
            "The {b} goes down {long}.",
            "The program quits without a word when the {b} is used {long}.",
            "The {b} dies {long}, every single time.",
            "Using the {b} {long} takes the whole process with it.",
        ),
        ("No crash.", "It should keep running."),
    ),
    Symptom(
        "error",
        "bug",
        ("{E} in {c} {when}", "{c} fails with {E}", "{E} in {c} {when}", "{c} fails with {E} {when}"),
        (
            "I get this {E} from the {b} {long}.",
            "The {b} stops with {E} {long}.",
            "The {b} throws {E} {long}.",
            "{E} comes up in the {b} {long}.",
        ),
        ("No error.", "It should work, or say what I did wrong."),
    ),
    Symptom(
        "wish",
        "request",
        (
            "add {wish} to {c}",
            "feature request: {wish} for {c}",
            "add {wish} to {c}",
            "{c} should support {wish}",
        ),
        (
            "It would be great if the {b} had {want}.",
            "I am missing {want} in the {b}.",
            "Is there a plan to give the {b} {want}? I would use it every day.",
            "We would like to see {want} in the {b}.",
        ),
        ("See above.", "Something simple would do."),
    ),
    Symptom(
        "slow",
        "bug",
        (
            "{c} is very slow {when}",
            "slow {c} {when}",
            "{c} is too slow {when}",
            "bad performance of {c} {when}",
        ),
        (
            "The {b} takes ages {long}.",
            "The {b} needs {n} seconds {long}, half a second would be fine.",
            "The {b} takes several minutes {long}, which makes it unusable.",
            "Working with the {b} {long} is painfully slow.",
        ),
        ("It should take a second at most.", "It should be as fast as before."),
    ),
    Symptom(
        "regression",
        "bug",
        (
            "{c} stopped working {when}",
            "{c} is broken {when}",
            "{c} no longer works {when}",
            "{c} broken {when}",
        ),
        (
            "The {b} used to be fine, now nothing happens {long}.",
            "The {b} does not work at all {long}; last month all was well.",
            "The {b} does nothing any more {long}.",
            "We cannot use the {b} {long}, this was fine before.",
        ),
        ("It should work as it did before.", "It worked in the last release."),
    ),
    Symptom(
        "docs",
        "docs",
        (
            "documentation for {c} is missing",
            "document the {c}",
            "no documentation for {c}",
            "docs for {c} are out of date",
        ),
        (
            "I could not find a page that explains the {b}.",
            "The README mentions the {b} once and then never again. How is it meant to be used?",
            "There is nothing in the manual about the {b}.",
            "What is written about the {b} still describes the old version.",
        ),
        ("A page with an example.", "A paragraph would do."),
    ),
    Symptom(
        "wrong",
        "bug",
        (
            "{c} returns wrong results {when}",
            "wrong result from {c} {when}",
            "{c} gives wrong results {when}",
            "incorrect result of {c} {when}",
        ),
        (
            "What the {b} gives me is simply not right {long}.",
            "The {b} produces something else than the documentation promises {long}.",
            "The numbers that come out of the {b} are off {long}.",
            "I compared by hand: the {b} is wrong {long}.",
        ),
        ("The right result.", "The same as on the other machine."),
    ),
    Symptom(
        "build",
        "bug",
        (
            "cannot install {c} {when}",
            "build of {c} fails {when}",
            "installation of {c} fails {when}",
            "{c} does not build {when}",
        ),
        (
            "I tried to set up the {b} {long} and the installer stops half way.",
            "Compiling the {b} {long} ends with an error.",
            "The install script for the {b} exits with code {n} {long}.",
            "make fails in the {b} folder {long}.",
        ),
        ("It installs.", "A clean build."),
    ),
    Symptom(
        "how",
        "question",
        (
            "how to use {c} with {tool}?",
            "does {c} work with {tool}?",
            "how to combine {c} and {tool}?",
            "question about {c} and {tool}",
        ),
        (
            "I would like to run the {b} together with {tool}. What do I have to configure?",
            "Has anybody got the {b} and {tool} to work in the same project?",
            "Is it possible to connect the {b} to {tool}? I did not find an example.",
            "We use {tool} here. Can the {b} live with that?",
        ),
        ("An example.", "A short answer is enough."),
    ),
    Symptom(
        "memory",
        "bug",
        (
            "memory leak in {c} {when}",
            "{c} uses too much memory {when}",
            "{c} leaks memory {when}",
            "high memory usage of {c} {when}",
        ),
        (
            "Memory grows without end as long as the {b} is in use {long}.",
            "The {b} eats {n} GB of RAM {long} until the kernel kills it.",
            "The {b} never gives memory back {long}.",
            "The {b} wants far more RAM than it should {long}.",
        ),
        ("Memory should stay flat.", "It should need some hundred MB."),
    ),
    Symptom(
        "hang",
        "bug",
        ("{c} hangs {when}", "{c} freezes {when}", "{c} hangs forever {when}", "{c} freezes {when}"),
        (
            "The {b} never comes back {long}, I have to kill it.",
            "The {b} gets stuck {long} and nothing reacts any more.",
            "The {b} just sits there {long}. No error, no CPU usage, nothing.",
            "Everything stands still in the {b} {long}.",
        ),
        ("It should finish or give up.", "It should stay responsive."),
    ),
    Symptom(
        "ignored",
        "bug",
        (
            "{c} ignores {knob} setting",
            "{knob} has no effect on {c}",
            "{c} ignores {knob}",
            "{knob} setting not used by {c}",
        ),
        (
            "I set `{knob}` but the {b} does not care {long}.",
            "Changing `{knob}` makes no difference to the {b} {long}.",
            "The value of `{knob}` is not read by the {b} {long}.",
            "Whatever I put into `{knob}`, the {b} behaves the same {long}.",
        ),
        ("The setting should be used.", "It should do what the manual says."),
    ),
    Symptom(
        "empty",
        "bug",
        (
            "{c} is empty {when}",
            "{c} shows nothing {when}",
            "empty {c} {when}",
            "nothing visible in {c} {when}",
        ),
        (
            "I only get a blank area where the {b} should be {long}.",
            "There is nothing to see in the {b} {long}, just white.",
            "The {b} has no content at all {long}.",
            "The {b} stays blank {long}.",
        ),
        ("Some content.", "I should see my entries."),
    ),
    Symptom(
        "timeout",
        "bug",
        (
            "{c} times out {when}",
            "timeout in {c} {when}",
            "{c} times out {when}",
            "{c} runs into a timeout {when}",
        ),
        (
            "The {b} gives up after {n} seconds {long}.",
            "The {b} waits and waits {long} until the connection is closed by the other side.",
            "I only see 'deadline exceeded' from the {b} {long}.",
            "No answer from the {b} in time {long}.",
        ),
        ("It should answer in time.", "It should try again by itself."),
    ),
    Symptom(
        "typo",
        "docs",
        (
            "typo in documentation of {c}",
            "spelling mistake in {c} docs",
            "typo in {c} docs",
            "wrong word in {c} docs",
        ),
        (
            "In the manual's chapter on the {b} there is a spelling mistake.",
            "The text about the {b} says 'recieve' instead of 'receive'.",
            "Small thing: a word is spelled wrongly where the {b} is described.",
            "Where the manual explains the {b}, 'its' should be 'it is'.",
        ),
        ("Correct text.", "The right word."),
    ),
    Symptom(
        "encoding",
        "bug",
        (
            "{c} breaks non-ASCII text",
            "wrong encoding in {c}",
            "{c} garbles umlauts and accents",
            "encoding problem in {c}",
        ),
        (
            "Names like Zoë or Łukasz come out of the {b} as question marks {long}.",
            "The {b} seems to assume latin-1: é turns into Ã© {long}.",
            "Letters with accents are destroyed by the {b} {long}.",
            "The {b} mixes up UTF-8 and something else {long}.",
        ),
        ("Text should stay as it was.", "UTF-8 everywhere."),
    ),
    Symptom(
        "loss",
        "bug",
        (
            "{c} loses data {when}",
            "data loss in {c} {when}",
            "{c} loses entries {when}",
            "entries missing from {c} {when}",
        ),
        (
            "Some of what I saved is gone from the {b} {long}.",
            "The {b} drops {n} of a thousand records {long}.",
            "The {b} forgets things {long}: saved yesterday, gone today.",
            "Records vanish in the {b} {long} without any message.",
        ),
        ("Nothing may get lost.", "All records are there."),
    ),
    Symptom(
        "permission",
        "bug",
        (
            "permission denied in {c} {when}",
            "{c} needs root {when}",
            "{c} gets permission denied {when}",
            "{c} should not need root",
        ),
        (
            "The {b} is not allowed to write its files {long}.",
            "The {b} only runs as administrator {long}.",
            "EACCES from the {b} {long}, though the folder is mine.",
            "Without sudo the {b} refuses to do anything {long}.",
        ),
        ("It should run as a normal user.", "No special rights needed."),
    ),
    Symptom(
        "twice",
        "bug",
        (
            "{c} does everything twice {when}",
            "duplicate output from {c} {when}",
            "{c} runs twice {when}",
            "duplicates from {c} {when}",
        ),
        (
            "Each action of the {b} happens two times {long}.",
            "I see the same entry from the {b} again and again {long}.",
            "The {b} fires two times for one request {long}.",
            "The {b} sends the same thing more than once {long}.",
        ),
        ("Once is enough.", "One entry for one action."),
    ),
    Symptom(
        "deprecated",
        "bug",
        (
            "deprecation warning from {c}",
            "{c} uses deprecated function",
            "deprecation warnings in {c}",
            "{c} relies on deprecated API",
        ),
        (
            "The {b} prints a page of warnings about functions that will be removed soon {long}.",
            "The next release of {tool} removes a function that the {b} still calls.",
            "Lots of DeprecationWarning lines from the {b} {long}.",
            "The {b} calls an old interface of {tool}, which will go away.",
        ),
        ("No warnings.", "Use the new function."),
    ),
    Symptom(
        "flaky",
        "bug",
        (
            "flaky test for {c}",
            "test of {c} fails now and then",
            "flaky test in {c}",
            "random test failures in {c}",
        ),
        (
            "CI goes red about every tenth run because of the test that covers the {b}.",
            "The test for the {b} passes when it is run again, so it must depend on timing.",
            "One test around the {b} is not stable on our runners.",
            "Sometimes the tests of the {b} fail, mostly {long}.",
        ),
        ("A green build.", "Stable tests."),
    ),
    Symptom(
        "secret",
        "bug",
        (
            "{c} writes passwords to log",
            "password visible in {c}",
            "{c} logs passwords",
            "secrets leak from {c}",
        ),
        (
            "When the {b} is run with debug output, "
            "the access token ends up in plain text in the log {long}.",
            "I can read my credentials in what the {b} prints {long}.",
            "The {b} prints the whole connection string, with the password, {long}.",
            "The {b} does not hide secrets {long}.",
        ),
        ("Secrets should be masked.", "Stars instead of the token."),
    ),
)

"""The report about a release: one HTML page that needs no network.

`release_values` collects the values from the lake, `page` turns them into HTML, and `stored_report` writes
the page beside the release's record. The report is not a part of the stage `publish`: the command line writes
it after readers see the release. So a report that fails cannot stop a publication, and the publish lock is
not held while it is written.
"""

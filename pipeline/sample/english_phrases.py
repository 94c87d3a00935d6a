"""Phrases for English sample issues: components, circumstances, feature requests, filler sentences.

The phrases for problems are in `english_symptoms`.

There are two voices, that is, styles of writing. A tuple of the type `Words` has at least two wordings: those
at even positions are in one voice, and those at odd positions are in the other voice. A near-duplicate is a
second issue about a problem, written in the other voice: it has the same meaning as the first issue, but few
words in common with it. The first entries of COMPONENTS, CIRCUMSTANCES and WISHES are chosen most often, so
that a small network can learn them.

Slots in braces are filled in:

    in titles   {c} a component   {when} a circumstance   {wish} a requested feature
    in bodies   {b} a component   {long} a circumstance   {want} a requested feature
    anywhere    {E} the name of an error   {knob} a setting   {tool} another program
"""

from __future__ import annotations

Words = tuple[str, ...]


# kind of repository -> name of a component in titles -> its names in bodies
COMPONENTS: dict[str, dict[str, Words]] = {
    "web": {
        "login page": ("login page", "sign-in screen", "page where one logs in", "login form"),
        "search box": ("search box", "search field", "box for searching", "search bar at the top"),
        "dashboard": ("dashboard", "overview page", "start page with all the charts", "dashboard view"),
        "file upload": ("file upload", "upload dialog", "form for sending files", "attachment upload"),
        "password reset": (
            "password reset",
            "reset link for a forgotten password",
            "forgot-password mail",
            "reset form",
        ),
        "comment editor": (
            "comment editor",
            "editor for comments",
            "text field under a post",
            "comment form",
        ),
    },
    "cli": {
        "config file": (
            "config file",
            "configuration file",
            "settings in the home folder",
            "configuration loader",
        ),
        "progress bar": (
            "progress bar",
            "progress display",
            "bar that shows the progress",
            "progress output",
        ),
        "shell completion": (
            "shell completion",
            "tab completion",
            "completion script",
            "completion for bash and zsh",
        ),
        "plugin loader": ("plugin loader", "code that loads plugins", "plugin system", "plugin discovery"),
        "log output": ("log output", "logging", "log file that is written", "verbose output"),
        "update check": ("update check", "check for a new version", "self-update", "updater"),
    },
    "library": {
        "parser": ("parser", "parsing code", "part that parses the input", "parser module"),
        "cache": ("cache", "caching layer", "cache on disk", "part that keeps earlier results"),
        "HTTP client": (
            "HTTP client",
            "client for HTTP requests",
            "request layer",
            "part that sends requests",
        ),
        "date formatter": (
            "date formatter",
            "formatting of dates",
            "function that prints dates",
            "date helper",
        ),
        "serializer": (
            "serializer",
            "JSON serialization",
            "code that writes objects out",
            "serialization layer",
        ),
        "event loop": ("event loop", "main loop", "loop that dispatches events", "event dispatcher"),
    },
    "data": {
        "CSV import": (
            "CSV import",
            "import of CSV files",
            "importer for comma-separated files",
            "CSV reader",
        ),
        "query planner": ("query planner", "planner", "optimizer that plans queries", "planning of a query"),
        "backup job": ("backup job", "nightly backup", "job that writes the backups", "backup task"),
        "migration tool": (
            "migration tool",
            "schema migration",
            "tool that migrates the tables",
            "migration script",
        ),
        "connection pool": (
            "connection pool",
            "pool of database connections",
            "pooling code",
            "pool that hands out connections",
        ),
        "index builder": (
            "index builder",
            "building of an index",
            "code that creates indexes",
            "index creation",
        ),
    },
    "infra": {
        "Docker image": ("Docker image", "container image", "image from the registry", "official container"),
        "Helm chart": (
            "Helm chart",
            "chart for Kubernetes",
            "Kubernetes chart",
            "chart in the deploy folder",
        ),
        "scheduler": ("scheduler", "job scheduler", "part that schedules the jobs", "scheduling of tasks"),
        "health check": ("health check", "health endpoint", "endpoint that reports health", "liveness probe"),
        "load balancer": (
            "load balancer",
            "balancing of requests",
            "proxy in front of the nodes",
            "balancer",
        ),
        "worker queue": (
            "worker queue",
            "queue of the workers",
            "task queue",
            "queue that feeds the workers",
        ),
    },
    "mobile": {
        "photo gallery": (
            "photo gallery",
            "gallery with the pictures",
            "screen that shows photos",
            "picture gallery",
        ),
        "push notification": (
            "push notification",
            "notification on the phone",
            "message pushed to the phone",
            "notification",
        ),
        "offline mode": ("offline mode", "mode without a network", "offline support", "offline storage"),
        "map view": ("map view", "map", "screen with the map", "map widget"),
        "audio player": ("audio player", "player for music", "music playback", "player at the bottom"),
        "camera": ("camera", "camera screen", "view for taking pictures", "camera preview"),
    },
    "compiler": {
        "type checker": ("type checker", "checking of types", "type inference", "checker pass"),
        "code generator": ("code generator", "code generation", "back end that emits code", "generator"),
        "linker": ("linker", "linking step", "step that links the objects", "link stage"),
        "formatter": ("formatter", "source formatter", "tool that formats the source", "formatting command"),
        "language server": (
            "language server",
            "editor integration",
            "server that talks to the editor",
            "LSP server",
        ),
        "package manager": (
            "package manager",
            "package tool",
            "tool that fetches packages",
            "dependency manager",
        ),
    },
    "learning": {
        "training loop": ("training loop", "training", "loop that trains the model", "fit method"),
        "data loader": (
            "data loader",
            "loading of batches",
            "loader that reads the data set",
            "input pipeline",
        ),
        "tokenizer": ("tokenizer", "tokenization", "part that splits text into tokens", "token encoder"),
        "model export": (
            "model export",
            "export of a trained model",
            "function that saves the model",
            "exporter",
        ),
        "GPU kernel": (
            "GPU kernel",
            "CUDA kernel",
            "kernel that runs on the graphics card",
            "code on the GPU",
        ),
        "evaluation script": (
            "evaluation script",
            "script that computes the scores",
            "evaluation",
            "benchmark script",
        ),
    },
}

# (wordings for titles, wordings for bodies)
CIRCUMSTANCES: tuple[tuple[Words, Words], ...] = (
    (
        ("on Windows", "under Windows 11"),
        ("on my Windows 11 machine", "on Windows, while Linux is fine", "on a fresh Windows install"),
    ),
    (("on macOS", "on Apple silicon"), ("on a MacBook with an M2", "on macOS 14", "on my Mac")),
    (
        ("after upgrade", "since {v}"),
        ("since I upgraded to {v}", "after we moved from {old} to {v}", "since the update to {v}"),
    ),
    (("on ARM", "on Raspberry Pi"), ("on a Raspberry Pi 4", "on our ARM servers", "on an aarch64 board")),
    (
        ("behind a proxy", "behind proxy"),
        ("behind our company's proxy", "when all traffic has to pass a proxy", "when HTTPS_PROXY is set"),
    ),
    (
        ("with large files", "for large files"),
        ("as soon as a file has more than {n} MB", "with really big files", "once the input is {n} GB"),
    ),
    (
        ("with empty input", "for empty input"),
        ("when the input is empty", "if there is nothing in the file", "with a file of zero bytes"),
    ),
    (
        ("without network", "when offline"),
        ("as soon as the wifi is gone", "when there is no network", "on the train, without a connection"),
    ),
    (
        ("in Docker", "inside a container"),
        ("when it runs in a container", "in Docker, never outside of it", "inside our compose setup"),
    ),
    (
        ("on startup", "at start"),
        ("right after the start", "in the first seconds after launching", "each time it starts"),
    ),
    (("on shutdown", "at exit"), ("when I close the program", "on the way out", "after Ctrl-C")),
    (
        ("under load", "with many users"),
        ("with more than {n} users at once", "when traffic is high", "during our load test"),
    ),
    (
        ("with {runtime}", "on {runtime}"),
        ("with {runtime}", "when {runtime} is used", "after switching to {runtime}"),
    ),
    (
        ("when run in parallel", "with several threads"),
        ("with two of them at the same time", "from {n} threads", "when two processes share a folder"),
    ),
    (
        ("after sleep", "after resume"),
        ("after my laptop wakes up", "when the machine comes back from sleep", "after resuming"),
    ),
    (
        ("when disk is full", "on full disk"),
        ("when no space is left", "on a full disk", "once /var has filled up"),
    ),
    (
        ("with dark theme", "in dark mode"),
        ("with the dark theme switched on", "in dark mode", "when the system theme is dark"),
    ),
    (
        ("with spaces in path", "for paths with spaces"),
        ("if the path has a space in it", "in a folder called 'My Files'", "with blanks in the file name"),
    ),
)

WISHES: tuple[tuple[str, Words], ...] = (
    ("dark mode", ("a dark theme", "dark colours for the night")),
    ("retries", ("automatic retries", "a second try after a failure")),
    ("timeout option", ("a way to limit how long it waits", "an option for the timeout")),
    ("JSON output", ("machine-readable output as JSON", "an option that prints JSON")),
    ("keyboard shortcuts", ("shortcuts on the keyboard", "hotkeys, so that I need no mouse")),
    ("pagination", ("pages instead of one endless list", "paging")),
    ("proxy support", ("support for proxies", "a setting for our proxy")),
    ("undo", ("an undo button", "a way to take back the last step")),
    ("Japanese translation", ("a translation into Japanese", "Japanese as a language")),
    ("dry run", ("a mode that only shows what would happen", "something like --dry-run")),
    ("compression", ("compressed files, gzip for example", "an option to compress what it writes")),
    ("rate limit", ("a limit on requests a second", "throttling")),
)

OPTION_NAMES = (
    "timeout",
    "log_level",
    "max_retries",
    "cache_dir",
    "proxy",
    "batch_size",
    "theme",
    "port",
    "locale",
    "workers",
)
TOOLS = (
    "Redis",
    "nginx",
    "Kubernetes",
    "Postgres",
    "Kafka",
    "Webpack",
    "Jupyter",
    "Terraform",
    "GraphQL",
    "systemd",
)

EXTRAS = (
    "It worked in {old}.",
    "I have tried to reinstall everything, no change.",
    "Restarting helps for a while.",
    "My colleague sees the same on her machine.",
    "Happens about {n} times a day.",
    "I am on {os}, version {v}.",
    "We run version {v} on {os}.",
    "Maybe this is related to #{ref}.",
    "Let me know if you need more information.",
    "I can make a pull request if somebody tells me where to look.",
    "Thanks for the great work!",
    "Is there a workaround?",
    "Sorry if this has been asked before, I did not find it.",
    "A screenshot is at https://img.example.org/{hex}.png",
    "You can reach me at {who}@example.org.",
    "The same input works on https://demo.example.com/try?v={v}&id={n}.",
    "Version: {v}, installed from source at {hex}.",
    "It costs us about ${n} a day.",
)

POOR_TITLES = (
    "help",
    "bug",
    "not working",
    "it's broken",
    "question",
    "Error",
    "???",
    "problem",
    "please help",
    "Help needed!!!",
    "doesn't work",
)

SHORT_BODIES = (
    "see title",
    "same here",
    "title says all.",
    "+1",
    "pls fix",
    "Any news?",
    ":(",
    "as discussed",
    "follow-up of #{ref}",
    "TBD",
)

COMMENTS = (
    "Thanks for the report, I can reproduce it.",
    "Which version is this?",
    "Same problem here with {v}.",
    "Could you try the main branch? I think it is fixed there.",
    "Closing, as there was no answer. Please open it again if it still happens.",
    "This looks related to #{ref}.",
    ":+1:",
    "Fixed by {hex}.",
    "I will look at it next week \U0001f44d",
    "> which version?\n\n{v}, on {os}.",
)

SYSTEMS = (
    "Ubuntu 22.04",
    "Windows 11",
    "macOS 14.2",
    "Debian 12",
    "Fedora 39",
    "Arch Linux",
    "Android 14",
    "iOS 17",
    "Alpine 3.19",
    "FreeBSD 14",
)

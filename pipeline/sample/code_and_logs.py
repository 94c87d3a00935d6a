"""Generates the parts of sample issues that are not sentences: stack traces, logs, tables, code, and steps to
reproduce a problem."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

MODULES = ("core", "session", "reader", "worker", "storage", "views", "router", "engine", "handlers", "sync")
FUNCTIONS = ("run", "load", "open", "flush", "resolve", "dispatch", "handle", "render", "connect", "process")

# language -> (error's name, its message)
ERRORS: dict[str, tuple[tuple[str, str], ...]] = {
    "Python": (
        ("KeyError", "'user_id'"),
        ("TypeError", "unsupported operand type(s) for +: 'int' and 'NoneType'"),
        ("ValueError", "not enough values to unpack (expected 2, got 1)"),
        ("UnicodeDecodeError", "'utf-8' codec can't decode byte 0xe9 in position 12"),
    ),
    "Java": (
        ("NullPointerException", 'Cannot invoke "Object.toString()" because "value" is null'),
        ("IllegalStateException", "already closed"),
        ("OutOfMemoryError", "Java heap space"),
        ("ClassNotFoundException", "org.example.Handler"),
    ),
    "JavaScript": (
        ("TypeError", "Cannot read properties of undefined (reading 'length')"),
        ("ReferenceError", "state is not defined"),
        ("RangeError", "Maximum call stack size exceeded"),
        ("SyntaxError", "Unexpected token < in JSON at position 0"),
    ),
    "Rust": (
        ("panic", "called `Option::unwrap()` on a `None` value"),
        ("overflow", "attempt to subtract with overflow"),
        ("BorrowMutError", "already borrowed: BorrowMutError"),
        ("panic", "index out of bounds: the len is 3 but the index is 3"),
    ),
    "Go": (
        ("nil pointer", "runtime error: invalid memory address or nil pointer dereference"),
        ("deadlock", "all goroutines are asleep - deadlock!"),
        ("index out of range", "runtime error: index out of range [3] with length 3"),
        ("data race", "concurrent map writes"),
    ),
}

RUNTIMES: dict[str, tuple[str, ...]] = {
    "Python": ("Python 3.11", "Python 3.12", "PyPy"),
    "Java": ("Java 17", "Java 21", "GraalVM"),
    "JavaScript": ("Node 18", "Node 20", "Safari"),
    "Rust": ("Rust 1.75", "Rust nightly", "musl"),
    "Go": ("Go 1.20", "Go 1.21", "TinyGo"),
}

CODE: dict[str, str] = {
    "Python": (
        "client = Client(retries={n})\nfor row in client.rows():\n    print(row['id'], row.get(\"name\"))"
    ),
    "Java": (
        'try (var client = Client.open("file.cfg")) {{\n'
        "\tclient.rows().limit({n}).forEach(System.out::println);\n}}"
    ),
    "JavaScript": (
        "const client = await open({{ retries: {n} }});\n"
        "for (const row of client.rows) console.log(`${{row.id}}`);"
    ),
    "Rust": (
        "fn main() -> Result<(), Box<dyn Error>> {{\n"
        '    println!("{{:?}}", Client::new({n})?.rows());\n    Ok(())\n}}'
    ),
    "Go": (
        'client, err := lantern.Open("file.cfg", {n})\n'
        "if err != nil {{\n\tlog.Fatal(err)\n}}\ndefer client.Close()"
    ),
}


def python_trace(random: Random, name: str, message: str) -> str:
    lines = ["Traceback (most recent call last):"]
    for _ in range(random.randint(2, 5)):
        function = random.choice(FUNCTIONS)
        lines.append(
            f'  File "/srv/app/{random.choice(MODULES)}.py", line {random.randint(8, 900)}, in {function}'
        )
        lines.append(f"    return self._{function}(*args, **kwargs)")
    return "\n".join([*lines, f"{name}: {message}"])


def java_trace(random: Random, name: str, message: str) -> str:
    lines = [f'Exception in thread "main" java.lang.{name}: {message}']
    for _ in range(random.randint(3, 8)):
        module = random.choice(MODULES).capitalize()
        lines.append(
            f"\tat org.example.{module}.{random.choice(FUNCTIONS)}({module}.java:{random.randint(8, 900)})"
        )
    return "\n".join(lines)


def javascript_trace(random: Random, name: str, message: str) -> str:
    lines = [f"{name}: {message}"]
    for _ in range(random.randint(2, 6)):
        place = f"{random.choice(MODULES)}.js:{random.randint(8, 900)}:{random.randint(1, 80)}"
        lines.append(f"    at {random.choice(FUNCTIONS)} (/app/node_modules/@example/{place})")
    return "\n".join(lines)


def rust_trace(random: Random, name: str, message: str) -> str:
    place = f"src/{random.choice(MODULES)}.rs:{random.randint(8, 900)}:{random.randint(1, 80)}"
    lines = [f"thread 'main' panicked at {place}:", message, "stack backtrace:"]
    for depth in range(random.randint(2, 5)):
        lines.append(f"   {depth}: lantern::{random.choice(MODULES)}::{random.choice(FUNCTIONS)}")
    return "\n".join(lines)


def go_trace(random: Random, name: str, message: str) -> str:
    lines = [f"panic: {message}", "", f"goroutine {random.randint(1, 99)} [running]:"]
    for _ in range(random.randint(2, 4)):
        module = random.choice(MODULES)
        lines.append(
            f"example.com/lantern/{module}.{random.choice(FUNCTIONS).capitalize()}(0xc{random.getrandbits(36):09x})"
        )
        lines.append(f"\t/src/{module}/{module}.go:{random.randint(8, 900)} +0x{random.getrandbits(10):x}")
    return "\n".join([*lines, "exit status 2"])


TRACES: dict[str, Callable[[Random, str, str], str]] = {
    "Python": python_trace,
    "Java": java_trace,
    "JavaScript": javascript_trace,
    "Rust": rust_trace,
    "Go": go_trace,
}


def log(random: Random, lines: int) -> str:
    """Generates lines of a log, about one second apart."""
    second = random.randrange(80_000)
    rows = []
    for _ in range(lines):
        second += random.randint(1, 3)
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{random.randrange(1000):03}"
        level = random.choice(("INFO", "DEBUG", "WARN", "ERROR"))
        place = f"{random.choice(MODULES)}.{random.choice(FUNCTIONS)}"
        rows.append(
            f"{clock} {level:5} [{place}] "
            f"request={random.getrandbits(32):08x} took={random.randrange(9000)}ms"
        )
    return "\n".join(rows)


def fence(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```"


def table(random: Random) -> str:
    """Generates a Markdown table of timings."""
    rows = [
        f"| {random.choice(MODULES)} | {random.randrange(9000)} | {random.random():.3f} |"
        for _ in range(random.randint(2, 6))
    ]
    return "\n".join(["| part | calls | seconds |", "|------|------:|--------:|", *rows])


def steps(random: Random) -> str:
    """Generates the steps to reproduce a problem."""
    actions = (
        "open the settings",
        "start it with `--verbose`",
        "wait a minute",
        "press *Save*",
        "look at the output",
        "load the example file",
    )
    chosen = random.sample(actions, random.randint(2, 4))
    return "\n".join(f"{place}. {action}" for place, action in enumerate(chosen, 1))

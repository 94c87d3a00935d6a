"""Airflow's form for a backfill, filled in a browser as a person fills it."""

from __future__ import annotations

from browser import Browser

# Each script returns whether it found what it looks for. The button Trigger opens the form; one of its two
# choices is Backfill. A date is typed into a box that opens below its field.
CLICK = """
const found = [...document.querySelectorAll({selector!r})].find((each) => {condition});
found?.click();
return Boolean(found);
"""
STEPS = (
    CLICK.format(selector="button", condition="each.innerText === 'Trigger'"),
    CLICK.format(selector="input[type=radio]", condition="each.value === 'backfill'"),
)
OPEN_NEXT_DATE = CLICK.format(
    selector="button, div",
    condition="each.innerText === 'Select date and time' && !each.querySelector('button, div')",
)
TYPE = """
const field = [...document.querySelectorAll("input")].findLast((each) => each.placeholder === "{field}");
if (!field) return false;
Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "{text}");
field.dispatchEvent(new Event("input", {{bubbles: true}}));
field.dispatchEvent(new KeyboardEvent("keydown", {{key: "Enter", bubbles: true}}));
field.dispatchEvent(new FocusEvent("focusout", {{bubbles: true}}));
return true;
"""
DATES_SHOWN = """
const shown = (each) => each.innerText === "{day} 00:00" && !each.querySelector("button, div");
return [...document.querySelectorAll("button, div")].some(shown);
"""


def fill(browser: Browser, dag_page: str, days: dict[str, str], zone: str, chosen: str) -> None:
    """Types midnight of two days into the form.

    `days` are the dates as they are typed, and as the form shows them: `{"2024/01/02": "Jan 02, 2024"}`.
    `zone` is the time zone of the browser, and `chosen` the one that was chosen with the clock of Airflow's
    menu.
    """
    browser.emulate_time_zone(zone)
    browser.open(dag_page, "Trigger")
    browser.run(f"localStorage.setItem('timezone', '\"{chosen}\"')")  # where the menu stores it
    browser.open(dag_page, "Trigger")
    for step in STEPS:
        browser.wait_until(step)
    for typed, shown in days.items():
        browser.wait_until(OPEN_NEXT_DATE)
        browser.wait_until(TYPE.format(field="YYYY/MM/DD", text=typed))
        browser.wait_until(TYPE.format(field="HH:mm", text="00:00"))
        browser.wait_until(DATES_SHOWN.format(day=shown))

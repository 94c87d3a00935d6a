"""What bytes cost, and how they are told to a person."""

from __future__ import annotations

from pipeline.settings import Warehouse as Settings

TIB = 2**40


def usd(settings: Settings, count: int) -> float:
    """The price of so many bytes billed."""
    return count / TIB * settings.usd_per_tib


def size(count: int) -> str:
    """Bytes for a person: 3.4 GB, by powers of 1,000."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def priced(settings: Settings, count: int) -> str:
    """`3.4 GB, $0.02`."""
    price = usd(settings, count)
    return f"{size(count)}, {'under $0.01' if 0 < price < 0.005 else f'${price:,.2f}'}"

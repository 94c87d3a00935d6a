"""Computes the price of the bytes that BigQuery bills, and formats bytes and prices for printing."""

from __future__ import annotations

from pipeline.settings import Warehouse as Settings

TIB = 2**40


def usd(settings: Settings, count: int) -> float:
    """Returns the price of `count` billed bytes in US dollars."""
    return count / TIB * settings.usd_per_tib


def format_bytes(count: int) -> str:
    """Formats a number of bytes in the largest unit that fits, such as `3.4 GB`. Units are powers of
    1,000."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def format_price(settings: Settings, count: int) -> str:
    """Formats billed bytes with their price in US dollars: `3.4 GB, $0.02`."""
    price = usd(settings, count)
    return f"{format_bytes(count)}, {'under $0.01' if 0 < price < 0.005 else f'${price:,.2f}'}"

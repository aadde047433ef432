"""Exact conversions between the units of D2.3 (kW, kvar, kWh, €) and our integers (W, var, Wh, µ€).

Every function that takes a value from outside takes the field's name first, and raises InvalidInput naming
field, value and rule for what isn't finite, doesn't convert exactly or is out of range. Nothing is ever
rounded, except where a docstring says so.
"""

import re
from datetime import UTC, datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation, Overflow

from offchain.protocol.errors import InvalidInput

MAX_POWER_W = 2**31 - 1
"""Most W or var of one PoD in one slot, either sign: an int32 in a leaf."""
MAX_ENERGY_WH = 2**32 - 1
"""Most Wh or varh of one reading: a uint32 in a leaf."""
MAX_UEUR = 2**53 - 1
"""Most µ€ of an amount or a price: what canonical JSON carries exactly."""
MAX_BASIS_POINTS = 10_000
"""Most basis points of a percentage price: all of the flexibility price."""
MAX_UNIX_S = 253_402_300_799
"""The last second of the year 9999, the last that ISO-8601 writes with four digits."""

QUARTER_HOUR_MINUTES = 15
_MINUTES_PER_HOUR = 60
_KILO = 3
_MICRO = 6
_EXACT = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation, Overflow], flags=[])
_ISO_8601 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})", re.ASCII)

Number = Decimal | int


def kw_to_w(field: str, power_kw: Number) -> int:
    """kW to W, or kvar to var; either sign, at most MAX_POWER_W."""
    return _scaled(field, power_kw, _KILO, -MAX_POWER_W, MAX_POWER_W, "whole W (kW with 3 decimals)")


def w_to_kw(power_w: int) -> Decimal:
    """W to kW, or var to kvar."""
    return _unscaled(power_w, _KILO)


def kwh_to_wh(field: str, energy_kwh: Number) -> int:
    """kWh to Wh, or kvarh to varh; not negative, at most MAX_ENERGY_WH."""
    return _scaled(field, energy_kwh, _KILO, 0, MAX_ENERGY_WH, "whole Wh (kWh with 3 decimals)")


def wh_to_kwh(energy_wh: int) -> Decimal:
    """Wh to kWh, or varh to kvarh."""
    return _unscaled(energy_wh, _KILO)


def eur_to_ueur(field: str, amount_eur: Number) -> int:
    """€ to µ€, or € per kW (kvar) and interval to µ€ alike; not negative, at most MAX_UEUR."""
    return _scaled(field, amount_eur, _MICRO, 0, MAX_UEUR, "whole µ€ (€ with 6 decimals)")


def ueur_to_eur(amount_ueur: int) -> Decimal:
    """µ€ to €, or µ€ per kW (kvar) and interval to € alike."""
    return _unscaled(amount_ueur, _MICRO)


def eur_per_kwh_to_ueur_per_kw(
    field: str, price_eur_per_kwh: Number, interval_minutes: int = QUARTER_HOUR_MINUTES
) -> int:
    """€ per kWh to µ€ per kW and interval: 1 €/kWh is 0.25 € per kW and quarter-hour."""
    intervals = _intervals_per_hour(interval_minutes)
    price, rest = divmod(eur_to_ueur(field, price_eur_per_kwh), intervals)
    if rest:
        rule = f"must convert exactly to whole µ€ per kW and {interval_minutes} minutes"
        raise InvalidInput(field, price_eur_per_kwh, rule)
    return price


def ueur_per_kw_to_eur_per_kwh(
    price_ueur_per_kw: int, interval_minutes: int = QUARTER_HOUR_MINUTES
) -> Decimal:
    """µ€ per kW and interval to € per kWh."""
    return ueur_to_eur(price_ueur_per_kw * _intervals_per_hour(interval_minutes))


def percent_to_basis_points(field: str, percent: Number) -> int:
    """Per cent to basis points (1 % is 100); not negative, at most MAX_BASIS_POINTS."""
    return _scaled(field, percent, 2, 0, MAX_BASIS_POINTS, "whole basis points (% with 2 decimals)")


def basis_points_to_percent(basis_points: int) -> Decimal:
    """Basis points to per cent."""
    return _unscaled(basis_points, 2)


def payment_ueur(power_w: int, price_ueur_per_kw: int) -> int:
    """What W (var) of one slot earn at a price in µ€ per kW (kvar) and slot, rounded down to whole µ€.

    Raises InvalidInput for a negative power or price.
    """
    if power_w < 0:
        raise InvalidInput("power_w", power_w, "must not be negative")
    if price_ueur_per_kw < 0:
        raise InvalidInput("price_ueur_per_kw", price_ueur_per_kw, "must not be negative")
    return power_w * price_ueur_per_kw // 1000


def average_power_w(energy_wh: int) -> int:
    """Average W (var) over a quarter-hour in which that many Wh (varh) flowed; keeps the sign."""
    return energy_wh * _intervals_per_hour(QUARTER_HOUR_MINUTES)


def iso_to_datetime(field: str, text: str) -> datetime:
    """A date of D2.3, YYYY-MM-DDThh:mm:ss[.mmm]TZD with Z or an offset, as a datetime that knows its zone."""
    if _ISO_8601.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidInput(field, text, f"must be a date that exists: {error}") from None
    raise InvalidInput(field, text, "must be YYYY-MM-DDThh:mm:ss[.mmm] and Z or +hh:mm (ISO-8601)")


def datetime_to_iso(moment: datetime) -> str:
    """The date of D2.3 of a moment, in its own zone (Z for UTC); milliseconds only where there are any."""
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def datetime_to_unix_s(field: str, moment: datetime) -> int:
    """UTC Unix seconds of a moment; refuses one without a zone, with a part of a second or before 1970."""
    offset = moment.utcoffset()
    if offset is None:
        raise InvalidInput(field, moment.isoformat(), "must say its time zone")
    since = moment.replace(tzinfo=None) - offset - datetime(1970, 1, 1)
    if since.microseconds or since.days < 0:
        raise InvalidInput(field, moment.isoformat(), "must be a whole second from 1970 on")
    return since.days * 86_400 + since.seconds


def iso_to_unix_s(field: str, text: str) -> int:
    """A date of D2.3 to UTC Unix seconds; refuses a part of a second."""
    return datetime_to_unix_s(field, iso_to_datetime(field, text))


def unix_s_to_datetime(unix_s: int) -> datetime:
    """UTC Unix seconds as a moment in UTC. Raises InvalidInput before 1970 and after the year 9999."""
    if not 0 <= unix_s <= MAX_UNIX_S:
        raise InvalidInput("unix_s", unix_s, f"must be 0 to {MAX_UNIX_S}")
    return datetime.fromtimestamp(unix_s, UTC)


def unix_s_to_iso(unix_s: int) -> str:
    """UTC Unix seconds to a date of D2.3 in UTC, such as 2026-03-29T01:00:00Z."""
    return datetime_to_iso(unix_s_to_datetime(unix_s))


def _finite(field: str, value: Number) -> Decimal:
    # A float has lost its decimals already; a bool is an int to Python, but no amount.
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise InvalidInput(field, value, "must be a decimal number")
    number = Decimal(value)
    if not number.is_finite():
        raise InvalidInput(field, value, "must be finite")
    return number


def _scaled(field: str, value: Number, power_of_ten: int, low: int, high: int, unit: str) -> int:
    number = _finite(field, value)
    least, most = _unscaled(low, power_of_ten), _unscaled(high, power_of_ten)
    # Compared first: an exponent of a million must not become an integer of a million digits.
    if not least <= number <= most:
        rule = "must not be negative" if low == 0 and number < 0 else f"must be {least:f} to {most:f}"
        raise InvalidInput(field, value, rule)
    try:
        return int(_EXACT.to_integral_exact(_EXACT.scaleb(number, power_of_ten)))
    except Inexact:
        raise InvalidInput(field, value, f"must convert exactly to {unit}") from None


def _unscaled(value: int, power_of_ten: int) -> Decimal:
    return _EXACT.scaleb(Decimal(value), -power_of_ten)


def _intervals_per_hour(interval_minutes: int) -> int:
    if interval_minutes <= 0 or _MINUTES_PER_HOUR % interval_minutes:
        raise InvalidInput("interval_minutes", interval_minutes, "must divide an hour")
    return _MINUTES_PER_HOUR // interval_minutes

"""Units: what converts, converts exactly; everything else is refused by name."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol import units
from offchain.protocol.errors import InvalidInput

ToInteger = Callable[[str, Decimal], int]
FromInteger = Callable[[int], Decimal]

PAIRS: list[tuple[ToInteger, FromInteger, int, int]] = [
    (units.kw_to_w, units.w_to_kw, -units.MAX_POWER_W, units.MAX_POWER_W),
    (units.kwh_to_wh, units.wh_to_kwh, 0, units.MAX_ENERGY_WH),
    (units.eur_to_ueur, units.ueur_to_eur, 0, units.MAX_UEUR),
    (units.percent_to_basis_points, units.basis_points_to_percent, 0, units.MAX_BASIS_POINTS),
]


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (units.kw_to_w, "1.234", 1234),
        (units.kw_to_w, "-0.001", -1),
        (units.kw_to_w, "1e3", 1_000_000),
        (units.kw_to_w, "1.2000000", 1200),
        (units.kwh_to_wh, "0.25", 250),
        (units.eur_to_ueur, "0.000001", 1),
        (units.eur_to_ueur, "9007199254.740991", 2**53 - 1),
        (units.percent_to_basis_points, "33.33", 3333),
        (units.eur_per_kwh_to_ueur_per_kw, "1", 250_000),
        (units.eur_per_kwh_to_ueur_per_kw, "0.000004", 1),
    ],
)
def test_known_values(convert: ToInteger, value: str, expected: int) -> None:
    assert convert("field", Decimal(value)) == expected


@pytest.mark.parametrize(("to_integer", "from_integer", "low", "high"), PAIRS)
@given(data=st.data())
def test_every_integer_comes_back(
    to_integer: ToInteger, from_integer: FromInteger, low: int, high: int, data: st.DataObject
) -> None:
    value = data.draw(st.integers(low, high))
    assert to_integer("field", from_integer(value)) == value


@pytest.mark.parametrize(("to_integer", "from_integer", "low", "high"), PAIRS)
def test_bounds(to_integer: ToInteger, from_integer: FromInteger, low: int, high: int) -> None:
    assert to_integer("field", from_integer(high)) == high
    assert to_integer("field", from_integer(low)) == low
    for beyond in (low - 1, high + 1):
        with pytest.raises(InvalidInput, match=r"field = .*: must "):
            to_integer("field", from_integer(beyond))


@pytest.mark.parametrize(
    "convert",
    [
        units.kw_to_w,
        units.kwh_to_wh,
        units.eur_to_ueur,
        units.percent_to_basis_points,
        units.eur_per_kwh_to_ueur_per_kw,
    ],
)
@pytest.mark.parametrize(
    "value",
    ["NaN", "sNaN", "Infinity", "-Infinity", "0.0000001", "1e-999999", "1e999999", "0." + "1" * 100],
)
def test_refusals(convert: ToInteger, value: str) -> None:
    with pytest.raises(InvalidInput, match=r"^power = Decimal"):
        convert("power", Decimal(value))


@pytest.mark.parametrize("value", [1.5, True, "1.5", None])
def test_only_decimals_convert(value: object) -> None:
    with pytest.raises(InvalidInput, match="must be a decimal number"):
        units.kw_to_w("p", value)  # type: ignore[arg-type]  # the refusal of what types forbid


def test_negative_amounts_are_refused_as_such() -> None:
    with pytest.raises(InvalidInput, match=r"price = Decimal\('-0.01'\): must not be negative"):
        units.eur_to_ueur("price", Decimal("-0.01"))


def test_prices_per_kwh_that_are_no_whole_ueur_are_refused() -> None:
    with pytest.raises(InvalidInput, match="must convert exactly to whole µ€ per kW and 15 minutes"):
        units.eur_per_kwh_to_ueur_per_kw("price", Decimal("0.000002"))


@pytest.mark.parametrize(("minutes", "expected"), [(60, 1_000_000), (30, 500_000), (15, 250_000)])
def test_prices_per_kwh_by_interval(minutes: int, expected: int) -> None:
    assert units.eur_per_kwh_to_ueur_per_kw("price", Decimal(1), minutes) == expected


def test_a_twelfth_of_a_euro_is_no_whole_number_of_ueur() -> None:
    with pytest.raises(InvalidInput, match="whole µ€ per kW and 5 minutes"):
        units.eur_per_kwh_to_ueur_per_kw("price", Decimal(1), 5)


@pytest.mark.parametrize("minutes", [0, -15, 7, 45, 120])
def test_intervals_divide_an_hour(minutes: int) -> None:
    with pytest.raises(InvalidInput, match="interval_minutes"):
        units.ueur_per_kw_to_eur_per_kwh(1, minutes)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 10, 15, 20, 30, 60]))
def test_prices_per_kw_come_back(price_ueur_per_kw: int, minutes: int) -> None:
    hourly = units.ueur_per_kw_to_eur_per_kwh(price_ueur_per_kw, minutes)
    assert units.eur_per_kwh_to_ueur_per_kw("price", hourly, minutes) == price_ueur_per_kw


def test_payments_are_rounded_down() -> None:
    assert units.payment_ueur(1500, 250_000) == 375_000
    assert units.payment_ueur(1, 1999) == 1
    assert units.payment_ueur(999, 1) == 0


@given(st.integers(0, 2**32), st.integers(0, 2**53))
def test_payments_never_exceed_the_exact_amount(power_w: int, price_ueur_per_kw: int) -> None:
    paid = units.payment_ueur(power_w, price_ueur_per_kw)
    assert paid * 1000 <= power_w * price_ueur_per_kw < (paid + 1) * 1000


@pytest.mark.parametrize(("power_w", "price", "field"), [(-1, 1, "power_w"), (1, -1, "price_ueur_per_kw")])
def test_negative_payments_are_refused(power_w: int, price: int, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field} = -1: must not be negative"):
        units.payment_ueur(power_w, price)


def test_average_power_of_a_quarter_hour() -> None:
    assert units.average_power_w(250) == 1000
    assert units.average_power_w(-1) == -4


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-29T03:00:00+02:00", 1_774_746_000),
        ("2026-03-29T01:00:00.000Z", 1_774_746_000),
        ("9999-12-31T23:59:59Z", units.MAX_UNIX_S),
    ],
)
def test_dates(text: str, unix_s: int) -> None:
    assert units.iso_to_unix_s("start", text) == unix_s


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-29",
        "2026-03-29T01:00:00",
        "2026-03-29 01:00:00Z",
        "2026-03-29T01:00Z",
        "2026-02-30T01:00:00Z",
        "2026-03-29T01:00:00.500Z",
        "1969-12-31T23:59:59Z",
        "2026-03-29T01:00:00+25:00",
        "1774746000",
        "٢٠٢٦-03-29T01:00:00Z",
        "",
    ],
)
def test_bad_dates(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^start = "):
        units.iso_to_unix_s("start", text)


def test_a_moment_must_say_its_zone() -> None:
    with pytest.raises(InvalidInput, match="must say its time zone"):
        units.datetime_to_unix_s("start", datetime(2026, 3, 29))


@given(st.integers(0, units.MAX_UNIX_S))
def test_seconds_come_back(unix_s: int) -> None:
    assert units.iso_to_unix_s("start", units.unix_s_to_iso(unix_s)) == unix_s


@pytest.mark.parametrize("unix_s", [-1, units.MAX_UNIX_S + 1])
def test_seconds_beyond_four_digit_years(unix_s: int) -> None:
    with pytest.raises(InvalidInput, match="unix_s"):
        units.unix_s_to_iso(unix_s)

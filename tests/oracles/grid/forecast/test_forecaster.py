"""The forecaster: learns, looks at nothing that comes later, copes with gaps and newcomers, and is a plain document."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from offchain.protocol import canonical_json
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window, day_start_s, day_window, real_time_windows
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.documents import forecaster_bytes, forecaster_of_bytes
from oracles.grid.core.forecast.forecaster import Forecaster, Unit, retraining_s, train_forecaster
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon, train_load_model
from oracles.grid.core.forecast.pv import PvPlant
from oracles.grid.core.forecast.typical_profiles import learn_typical_profiles
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine
from tests.oracles.grid.forecast.towns import START_S, UNITS, instant_s, readings

DAY, HOURS = Horizon("24h", 56), Horizon("4h", 15)
PAST = readings(45)
TRAINED_S = instant_s(30)


@pytest.fixture(scope="module")
def day_ahead() -> Forecaster:
    return train_forecaster(UNITS, PAST, TRAINED_S, DAY)


def _day(number: int) -> tuple[int, Window]:
    window = Window(instant_s(number), (instant_s(number + 1) - instant_s(number)) // SLOT_S)
    return window.start_s - DAY.lead_slots * SLOT_S, window


def _changed(history: History, from_s: int, to_s: int, factor: float = 7.0) -> History:
    power_w = history.power_w.copy()
    power_w[(from_s - history.start_s) // SLOT_S : (to_s - history.start_s) // SLOT_S] *= factor
    return History(history.start_s, power_w)


class TestTypicalProfiles:
    def test_each_kind_of_day_has_the_mean_of_its_readings(self) -> None:
        history = readings(26, noise=0.0)
        profiles = learn_typical_profiles(history, HolidayCalendar()).power_w
        noon = 48
        assert profiles[1, :, noon, 1].tolist() == [10_000, 7600, 6000]
        assert profiles[1, :, 0, 0].round().tolist() == [300, 300, 400]

    def test_a_month_without_readings_has_the_last_ones_before_it(self) -> None:
        profiles = learn_typical_profiles(PAST, HolidayCalendar()).power_w
        february, march, april, january = (profiles[number] for number in (1, 2, 3, 0))
        assert (february != march).any()
        assert (april == march).all()
        assert (january == march).all()

    def test_a_holiday_has_the_profile_of_sundays(self) -> None:
        typical = learn_typical_profiles(readings(75, noise=0.0), HolidayCalendar())
        easter_monday = typical.at(day_window(date(2026, 4, 6)), HolidayCalendar())
        assert easter_monday[48, 1] == 6000

    def test_gaps_dont_count_and_nothing_is_unknown(self) -> None:
        power_w = PAST.power_w.copy()
        power_w[::3, 0] = np.nan
        power_w[:, 2] = np.nan
        profiles = learn_typical_profiles(History(START_S, power_w), HolidayCalendar()).power_w
        assert np.isfinite(profiles[..., :2]).all()
        assert np.isnan(profiles[..., 2]).all()


class TestForecast:
    def test_follows_kinds_of_day(self, day_ahead: Forecaster) -> None:
        noon = {}
        for number in (31, 33, 34):  # Thursday, Saturday, Sunday
            issue_s, window = _day(number)
            noon[number] = day_ahead.forecast(PAST, issue_s, window)[48, 1]
        assert noon[31] == pytest.approx(10_000, rel=0.05)
        assert noon[33] == pytest.approx(7600, rel=0.05)
        assert noon[34] == pytest.approx(6000, rel=0.05)

    def test_of_days_of_clock_change_has_their_slots(self) -> None:
        past = readings(54, noise=0.0)
        forecaster = train_forecaster(UNITS, past, instant_s(50), DAY)
        spring = day_window(date(2026, 3, 29))
        said = forecaster.forecast(past, spring.start_s - DAY.lead_slots * SLOT_S, spring)
        assert said.shape == (92, 3)
        # The shop opens at eight by the clock, an hour less after midnight than otherwise.
        assert said[26, 1] < 3000 < said[30, 1]
        autumn = day_window(date(2026, 10, 25))
        assert forecaster.typical(autumn).shape == (100, 3)

    def test_uses_the_latest_readings(self) -> None:
        past = readings(45, noise=0.02)
        forecaster = train_forecaster(UNITS, past, TRAINED_S, HOURS)
        window = real_time_windows(date(2026, 3, 9))[3]
        issue_s = window.start_s - HOURS.lead_slots * SLOT_S
        usual = forecaster.forecast(past, issue_s, window)
        assert usual.shape == (16, 3)
        more = _changed(past, issue_s - 16 * SLOT_S, issue_s, 1.5)
        assert (forecaster.forecast(more, issue_s, window)[:, 2] < usual[:, 2]).all()

    @pytest.mark.parametrize("horizon", [DAY, HOURS, Horizon("24h"), Horizon("4h")])
    def test_readings_after_the_issue_change_nothing(self, horizon: Horizon) -> None:
        issues = list(horizon.issues(instant_s(40), 2))
        for issue_s, window in (issues[0], issues[-1]):
            tampered = _changed(PAST, issue_s, PAST.end_s)
            assert (tampered.power_w != PAST.power_w).any()
            trained_s = min(issue_s, TRAINED_S)
            honest, other = (train_forecaster(UNITS, past, trained_s, horizon) for past in (PAST, tampered))
            assert forecaster_bytes(honest) == forecaster_bytes(other)
            assert (
                honest.forecast(PAST, issue_s, window) == honest.forecast(tampered, issue_s, window)
            ).all()

    def test_readings_after_training_change_no_model(self, day_ahead: Forecaster) -> None:
        tampered = _changed(PAST, TRAINED_S, PAST.end_s)
        assert forecaster_bytes(train_forecaster(UNITS, tampered, TRAINED_S, DAY)) == forecaster_bytes(
            day_ahead
        )

    def test_of_an_issue_before_the_end_of_training_is_refused(self, day_ahead: Forecaster) -> None:
        _, window = _day(31)
        with pytest.raises(InvalidInput, match=f"issue_s = .*: must not be before {TRAINED_S}"):
            day_ahead.forecast(PAST, TRAINED_S - SLOT_S, window)

    def test_of_a_window_that_has_begun_is_refused(self, day_ahead: Forecaster) -> None:
        _, window = _day(35)
        with pytest.raises(InvalidInput, match="must not be after the window's start"):
            day_ahead.forecast(PAST, window.start_s + SLOT_S, window)

    def test_copes_with_gaps(self, day_ahead: Forecaster) -> None:
        issue_s, window = _day(35)
        power_w = PAST.power_w.copy()
        power_w[np.random.default_rng(2).random(power_w.shape) < 0.3] = np.nan
        power_w[-2000:, 1] = np.nan
        said = day_ahead.forecast(History(START_S, power_w), issue_s, window)
        usual = day_ahead.forecast(PAST, issue_s, window)
        assert np.abs(said / usual - 1).max() < 0.4

    def test_without_late_readings_is_typical(self, day_ahead: Forecaster) -> None:
        window = day_window(date(2026, 9, 15))
        said = day_ahead.forecast(PAST, window.start_s, window)
        assert (said == day_ahead.typical(window)).all()

    def test_stays_within_what_was_read(self, day_ahead: Forecaster) -> None:
        issue_s, window = _day(35)
        spiked = _changed(PAST, issue_s - 4 * SLOT_S, issue_s, 1000.0)
        said = day_ahead.forecast(spiked, issue_s, window)
        assert (said[:, 0] > 0).all()
        assert (said[:, 2] < 0).all()

    def test_of_another_count_of_series_is_refused(self, day_ahead: Forecaster) -> None:
        issue_s, window = _day(35)
        with pytest.raises(InvalidInput, match=r"past.series = 1: must be 3"):
            day_ahead.forecast(History(START_S, PAST.power_w[:, :1]), issue_s, window)


class TestNewcomers:
    UNITS = (*UNITS, Unit("home 2", "household", 6000), Unit("kiosk", "kiosk", 100))

    def _past(self) -> History:
        return History(START_S, np.column_stack([PAST.power_w, np.full((len(PAST.power_w), 2), np.nan)]))

    def test_without_readings_are_forecast_as_their_kind(self) -> None:
        units, past = self.UNITS[:4], History(START_S, self._past().power_w[:, :4])
        forecaster = train_forecaster(units, past, TRAINED_S, DAY)
        issue_s, window = _day(35)
        typical = forecaster.typical(window)
        assert np.abs(typical[:, 3] - 2 * typical[:, 0]).max() <= 1
        assert (forecaster.forecast(past, issue_s, window)[:, 3] == typical[:, 3]).all()

    def test_of_a_kind_of_which_nothing_is_known_are_refused(self) -> None:
        forecaster = train_forecaster(self.UNITS, self._past(), TRAINED_S, DAY)
        issue_s, window = _day(35)
        with pytest.raises(InvalidInput, match=r"units\[kiosk\].kind = 'kiosk': has no readings"):
            forecaster.forecast(self._past(), issue_s, window)

    def test_of_two_kinds_go_by_their_own(self) -> None:
        units = (*self.UNITS[:4], Unit("shop 2", "commerce", 10_000))
        forecaster = train_forecaster(units, self._past(), TRAINED_S, DAY)
        typical = forecaster.typical(_day(35)[1])
        assert np.abs(typical[:, 4] - typical[:, 1] / 2).max() <= 1

    def test_of_a_few_days_lean_on_the_others(self) -> None:
        units, power_w = self.UNITS[:4], self._past().power_w[:, :4]
        power_w[-12 * 96 :, 3] = 2 * PAST.power_w[-12 * 96 :, 0]
        past = History(START_S, power_w)
        forecaster = train_forecaster(units, past, instant_s(36), DAY)
        issue_s, window = _day(44)
        said = forecaster.forecast(past, issue_s, window)
        assert np.abs(said[:, 3] / (2 * said[:, 0]) - 1).max() < 0.2


class TestTraining:
    def test_is_the_same_again(self, day_ahead: Forecaster) -> None:
        again = train_forecaster(UNITS, readings(45), TRAINED_S, DAY)
        assert forecaster_bytes(again) == forecaster_bytes(day_ahead)
        assert again.history_hash == PAST.until(TRAINED_S).digest()

    def test_is_due_at_the_start_of_each_local_month(self) -> None:
        first = day_start_s(date(2026, 7, 1))
        assert retraining_s(first) == first
        assert retraining_s(first - 1) == day_start_s(date(2026, 6, 1))
        assert retraining_s(day_start_s(date(2026, 8, 1)) - 1) == first

    @pytest.mark.parametrize(("share_low", "least_w", "most_w"), [(0.5, 90, 150), (0.05, 800, 1000)])
    def test_finds_the_weights_of_least_relative_error(
        self, share_low: float, least_w: float, most_w: float
    ) -> None:
        # Readings of 100 W count ten times those of 1000 W: half of them pull all the way, a twentieth not at all.
        low = np.random.default_rng(3).random((45 * 96, 1)) < share_low
        past = History(START_S, np.where(low, 100.0, 1000.0))
        model = train_load_model(past, instant_s(40), DAY, HolidayCalendar())
        issue_s, window = _day(42)
        assert least_w <= model.forecast(past, issue_s, window, HolidayCalendar()).mean() <= most_w

    def test_finds_out_what_to_go_by(self) -> None:
        # Each day has a level of its own: what helps are the latest readings, not similar days.
        level = np.repeat(np.random.default_rng(4).uniform(200, 2000, 45), 96)
        past = History(START_S, level[:, np.newaxis])
        model = train_load_model(past, instant_s(40), Horizon("4h"), HolidayCalendar())
        window = Window(instant_s(42) + 32 * SLOT_S, 16)
        said = model.forecast(past, window.start_s, window, HolidayCalendar())[:, 0]
        assert np.abs(said / level[42 * 96] - 1).mean() < 0.2

    def test_on_too_little_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match=r"past = '5.0 days': must span 8 days"):
            train_forecaster(UNITS, PAST, instant_s(5), DAY)

    def test_of_units_that_dont_fit_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match=r"past.series = 3: must be 2"):
            train_forecaster(UNITS[:2], PAST, TRAINED_S, DAY)
        with pytest.raises(InvalidInput, match="must have a name each"):
            train_forecaster((*UNITS[:2], replace(UNITS[2], name="shop")), PAST, TRAINED_S, DAY)
        with pytest.raises(InvalidInput, match=r"units\[x\].rated_w = 0"):
            Unit("x", "household", 0)
        with pytest.raises(InvalidInput, match=r"horizon.name = '12h'"):
            Horizon("12h")


class TestPlants:
    TURBINE = WindTurbine((3.0, 12.0, 25.0), (0.0, 9000.0, 9000.0), hub_m=10)

    def test_with_weather_go_by_it_and_by_history_in_its_gaps(self) -> None:
        units = (*UNITS[:2], Unit("turbine", "wind", 9000, self.TURBINE))
        forecaster = train_forecaster(units, PAST, TRAINED_S, DAY)
        issue_s, window = _day(35)
        speeds = np.full(96, 12.0)
        speeds[60:] = np.nan
        said = forecaster.forecast(
            PAST, issue_s, window, {"turbine": Weather(window.start_s, wind_m_per_s=speeds)}
        )
        without = forecaster.forecast(PAST, issue_s, window)
        assert (said[:60, 2] == -9000).all()
        assert (said[60:] == without[60:]).all()
        assert (said[:, :2] == without[:, :2]).all()

    def test_of_the_sun_too(self) -> None:
        roof = PvPlant(41.9, 12.5, tilt_deg=30, azimuth_deg=180, rated_w=6000, inverter_w=6000)
        units = (*UNITS[:2], Unit("roof", "pv", 6000, roof))
        forecaster = train_forecaster(units, PAST, TRAINED_S, DAY)
        issue_s, window = _day(35)
        dark = Weather(window.start_s, np.zeros(96), temperature_c=np.full(96, 10.0))
        assert (forecaster.forecast(PAST, issue_s, window, {"roof": dark})[:, 2] == 0).all()

    def test_keep_no_weekdays(self, day_ahead: Forecaster) -> None:
        keeps = {place: part.keeps_weekdays for part in day_ahead.parts for place in part.units}
        assert keeps == {0: True, 1: True, 2: False}
        with pytest.raises(InvalidInput, match=r"units\[x\].kind = 'household': of a plant must be one of"):
            Unit("x", "household", 1, self.TURBINE)


class TestDocument:
    def test_gives_the_same_forecaster_back(self) -> None:
        roof = PvPlant(41.9, 12.5, tilt_deg=30, azimuth_deg=180, rated_w=6000, inverter_w=6000)
        units = (UNITS[0], Unit("roof", "pv", 6000, roof), Unit("turbine", "wind", 9000, TestPlants.TURBINE))
        forecaster = train_forecaster(units, PAST, TRAINED_S, DAY)
        raw = forecaster_bytes(forecaster)
        back = forecaster_of_bytes(raw)
        assert forecaster_bytes(back) == raw
        assert back.units == units
        issue_s, window = _day(35)
        assert (back.forecast(PAST, issue_s, window) == forecaster.forecast(PAST, issue_s, window)).all()

    def test_says_with_what_it_was_trained(self, day_ahead: Forecaster) -> None:
        content = canonical_json.loads(forecaster_bytes(day_ahead), allow_floats=True)
        assert isinstance(content, dict)
        assert content["trainedUntilS"] == TRAINED_S
        assert content["historyHash"] == "0x" + PAST.until(TRAINED_S).digest().hex()
        assert (content["country"], content["horizon"]) == ("IT", {"name": "24h", "leadSlots": 56})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": "pickle"}, "forecaster.format"),
            ({"units": 3}, "must hold what forecaster_bytes writes"),
            ({"country": "Atlantis"}, "country = 'Atlantis'"),
            ({"historyHash": "0xzz"}, "must hold what forecaster_bytes writes"),
            ({"parts": []}, "must hold each unit once"),
        ],
    )
    def test_that_is_something_else_is_refused(
        self, day_ahead: Forecaster, change: dict[str, object], message: str
    ) -> None:
        content = canonical_json.loads(forecaster_bytes(day_ahead), allow_floats=True)
        assert isinstance(content, dict)
        with pytest.raises(InvalidInput, match=message):
            forecaster_of_bytes(canonical_json.dumps({**content, **change}, allow_floats=True))

    def test_of_weights_that_dont_fit_is_refused(self, day_ahead: Forecaster) -> None:
        content = canonical_json.loads(forecaster_bytes(day_ahead), allow_floats=True)
        assert isinstance(content, dict)
        content["parts"][0]["weights"] = [[[0.5]]]
        with pytest.raises(InvalidInput, match="weights"):
            forecaster_of_bytes(canonical_json.dumps(content, allow_floats=True))

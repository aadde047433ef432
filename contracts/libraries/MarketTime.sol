// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title The wall clock of Europe/Rome
/// @notice Summer time as Directive 2000/84/EC has it: from 01:00 UTC of the last Sunday of March to 01:00 UTC of the last
/// Sunday of October, an hour ahead of Central European Time (UTC + 1). The same as `offchain/protocol/market_time.py`.
library MarketTime {
    uint256 private constant DAY_S = 86_400;
    uint256 private constant HOUR_S = 3_600;
    uint256 private constant INTERVAL_S = 900;
    /// @dev 1 January 1970 was a Thursday, the fourth day with Monday as 0.
    uint256 private constant EPOCH_DAY_OF_WEEK = 3;
    /// @dev Days from 1 March of the year 0 to 1 January 1970, in the proleptic Gregorian calendar.
    uint256 private constant MARCH_EPOCH_DAYS = 719_468;
    uint256 private constant ERA_DAYS = 146_097;
    /// @dev Days from 1 March to 31 October.
    uint256 private constant MARCH_TO_OCTOBER_DAYS = 244;

    /// @notice Local day of the week (0: Monday) and quarter-hour on the clock (0 to 95) of an instant.
    /// @param instantS UTC Unix seconds
    function dayAndInterval(uint256 instantS) internal pure returns (uint8 dayOfWeek, uint8 interval) {
        uint256 localS = instantS + HOUR_S + (isSummer(instantS) ? HOUR_S : 0);
        // Narrowing is safe: below 7 and below 96.
        dayOfWeek = uint8(_dayOfWeek(localS / DAY_S));
        interval = uint8(localS % DAY_S / INTERVAL_S);
    }

    /// @notice The local midnight with which an instant's day begins.
    /// @param instantS UTC Unix seconds
    function dayStart(uint256 instantS) internal pure returns (uint256) {
        uint256 localS = instantS + HOUR_S + (isSummer(instantS) ? HOUR_S : 0);
        // The clock changes after midnight: on that day the instant's own hour may be another one.
        uint256 inWinterS = localS - localS % DAY_S - HOUR_S;
        return isSummer(inWinterS) ? inWinterS - HOUR_S : inWinterS;
    }

    /// @notice Whether summer time holds at an instant, UTC Unix seconds.
    function isSummer(uint256 instantS) internal pure returns (bool) {
        // The clock changes at 01:00 UTC: an hour earlier that is midnight.
        if (instantS < HOUR_S) return false;
        uint256 today = (instantS - HOUR_S) / DAY_S;
        uint256 sinceMarch = _daysSinceMarch(today);
        uint256 march = today - sinceMarch;
        uint256 first = _lastSunday(march + 30);
        uint256 last = _lastSunday(march + MARCH_TO_OCTOBER_DAYS);
        return today >= first && today < last;
    }

    /// @dev Days since the last 1 March, by counting years that begin in March: the leap day is their last.
    function _daysSinceMarch(uint256 day) private pure returns (uint256) {
        uint256 ofEra = (day + MARCH_EPOCH_DAYS) % ERA_DAYS;
        uint256 year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365;
        return ofEra - (365 * year + year / 4 - year / 100);
    }

    function _lastSunday(uint256 lastOfMonth) private pure returns (uint256) {
        return lastOfMonth - (_dayOfWeek(lastOfMonth) + 1) % 7;
    }

    function _dayOfWeek(uint256 day) private pure returns (uint256) {
        return (day + EPOCH_DAY_OF_WEEK) % 7;
    }
}

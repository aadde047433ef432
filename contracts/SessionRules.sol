// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {ISessionRules} from "../interfaces/ISessionRules.sol";

/// @title What a session's terms must be
contract SessionRules is ISessionRules {
    uint48 private constant SLOT_S = 900;
    uint8 private constant LAST_MARKET_TYPE = 6;
    uint8 private constant LAST_METHOD = 3;
    uint16 private constant DAY_SLOTS = 96;
    uint16 private constant REAL_TIME_SLOTS = 16;
    uint16 private constant HOUR_SLOTS = 4;

    /// @inheritdoc ISessionRules
    function requireSound(IMarketSessions.SessionTerms calldata given) external view {
        _requireProduct(given);
        _requireDeadlines(given);
        _requireRules(given);
    }

    function _requireProduct(IMarketSessions.SessionTerms calldata given) private pure {
        if (given.marketType > LAST_MARKET_TYPE) revert IMarketSessions.MarketSessionsUnknownMarketType(given.marketType);
        // The local day or four hours of it; an hour less or more where the clocks change.
        uint16 usual = given.marketType == 0 ? DAY_SLOTS : REAL_TIME_SLOTS;
        if (given.slots != usual && given.slots != usual - HOUR_SLOTS && given.slots != usual + HOUR_SLOTS) {
            revert IMarketSessions.MarketSessionsWrongSlots(given.marketType, given.slots);
        }
        if (given.deliveryStart % SLOT_S != 0) {
            revert IMarketSessions.MarketSessionsDeliveryStartNotOnQuarterHour(given.deliveryStart);
        }
    }

    function _requireDeadlines(IMarketSessions.SessionTerms calldata given) private view {
        // INVARIANT: nobody learns of a session after its first deadline.
        if (block.timestamp >= given.baselineGate) {
            revert IMarketSessions.MarketSessionsTooLate(given.baselineGate, block.timestamp);
        }
        _requireOrder(given.baselineGate, given.gateOpening);
        _requireOrder(given.gateOpening, given.gateClosure);
        _requireOrder(given.gateClosure, given.revealDeadline);
        _requireOrder(given.revealDeadline, given.documentsDeadline);
        _requireOrder(given.documentsDeadline, given.marketOutcomeDeadline);
        _requireOrder(given.marketOutcomeDeadline, given.validatedOutcomeDeadline);
        // INVARIANT: set points can leave 15 minutes before delivery.
        if (uint256(given.validatedOutcomeDeadline) + SLOT_S > given.deliveryStart) {
            revert IMarketSessions.MarketSessionsNoTimeForSetPoints(given.validatedOutcomeDeadline, given.deliveryStart);
        }
        uint48 end = given.deliveryStart + given.slots * SLOT_S;
        if (given.settlementDeadline <= end) {
            revert IMarketSessions.MarketSessionsSettlementBeforeDeliveryEnd(given.settlementDeadline, end);
        }
    }

    function _requireRules(IMarketSessions.SessionTerms calldata given) private pure {
        if (given.pausedBeforeS != 0) revert IMarketSessions.MarketSessionsNotGiven("pausedBeforeS", given.pausedBeforeS);
        if (given.method > LAST_METHOD) revert IMarketSessions.MarketSessionsUnknownMethod(given.method);
        if (given.receipts == 0) revert IMarketSessions.MarketSessionsNoReceipts();
        // INVARIANT: a demand for a leaf is answered or missed before the money moves.
        if (given.demandWindowS == 0 || given.demandWindowS > given.challengeWindowS) {
            revert IMarketSessions.MarketSessionsWrongDemandWindow(given.demandWindowS, given.challengeWindowS);
        }
        _requirePermille("tolerancePermille", given.tolerancePermille);
        _requirePermille("bondPermille", given.bondPermille);
        _requirePermille("outcomeBondPermille", given.outcomeBondPermille);
    }

    function _requireOrder(uint48 earlier, uint48 later) private pure {
        if (earlier >= later) revert IMarketSessions.MarketSessionsDeadlinesNotIncreasing(earlier, later);
    }

    function _requirePermille(string memory field, uint16 permille) private pure {
        if (permille > 1000) revert IMarketSessions.MarketSessionsPermilleAbove1000(field, permille);
    }
}

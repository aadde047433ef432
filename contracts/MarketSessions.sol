// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";

/// @title The market's sessions and their deadlines
contract MarketSessions is IMarketSessions {
    uint48 private constant SLOT_S = 900;
    uint8 private constant LAST_MARKET_TYPE = 6;
    uint16 private constant DAY_SLOTS = 96;
    uint16 private constant REAL_TIME_SLOTS = 16;
    uint16 private constant HOUR_SLOTS = 4;

    IParticipantRegistry public immutable participants;

    /// @inheritdoc IMarketSessions
    uint64 public count;
    /// @dev Three slots each; commitments and reveals read one or two of them.
    mapping(uint64 session => SessionTerms) private _terms;
    /// @inheritdoc IMarketSessions
    mapping(uint8 marketType => mapping(uint48 deliveryStart => uint64)) public sessionAt;

    constructor(IParticipantRegistry participants_) {
        participants = participants_;
    }

    /// @inheritdoc IMarketSessions
    function create(SessionTerms calldata given) external returns (uint64 session) {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.OPERATOR);
        _requireProduct(given);
        _requireDeadlines(given);
        _requirePermille("tolerancePermille", given.tolerancePermille);
        _requirePermille("bondPermille", given.bondPermille);
        // INVARIANT: a quarter-hour is sold once in each market.
        uint64 existing = sessionAt[given.marketType][given.deliveryStart];
        if (existing != 0) revert MarketSessionsExists(existing);
        session = ++count;
        sessionAt[given.marketType][given.deliveryStart] = session;
        _terms[session] = given;
        emit SessionCreated(session, given.marketType, given.deliveryStart, given);
    }

    /// @inheritdoc IMarketSessions
    function terms(uint64 session) external view returns (SessionTerms memory) {
        return _known(session);
    }

    /// @inheritdoc IMarketSessions
    function requireOpen(uint64 session, uint64 capUeur) external view returns (uint64 bond) {
        SessionTerms storage known = _known(session);
        // INVARIANT: a commitment enters the book while gateOpening <= time < gateClosure, never else.
        if (block.timestamp < known.gateOpening || block.timestamp >= known.gateClosure) {
            revert MarketSessionsNotInPhase(session, Phase.OPEN, phase(session));
        }
        return _bond(known, capUeur);
    }

    /// @inheritdoc IMarketSessions
    function requireReveal(uint64 session) external view {
        SessionTerms storage known = _known(session);
        // INVARIANT: a reveal counts while gateClosure <= time < revealDeadline, never else.
        if (block.timestamp < known.gateClosure || block.timestamp >= known.revealDeadline) {
            revert MarketSessionsNotInPhase(session, Phase.REVEAL, phase(session));
        }
    }

    /// @inheritdoc IMarketSessions
    function bondUeur(uint64 session, uint64 capUeur) external view returns (uint64) {
        return _bond(_known(session), capUeur);
    }

    /// @inheritdoc IMarketSessions
    function deliveryEnd(uint64 session) external view returns (uint48) {
        SessionTerms storage known = _known(session);
        return known.deliveryStart + known.slots * SLOT_S;
    }

    /// @inheritdoc IMarketSessions
    function phase(uint64 session) public view returns (Phase) {
        SessionTerms storage known = _terms[session];
        if (known.deliveryStart == 0) return Phase.NONE;
        uint256 time = block.timestamp;
        if (time < known.gateOpening) return Phase.ANNOUNCED;
        if (time < known.gateClosure) return Phase.OPEN;
        if (time < known.revealDeadline) return Phase.REVEAL;
        if (time < known.documentsDeadline) return Phase.DOCUMENTS;
        if (time < known.marketOutcomeDeadline) return Phase.CLEARING;
        if (time < known.validatedOutcomeDeadline) return Phase.ASSESSMENT;
        if (time < known.deliveryStart) return Phase.ACTIVATION;
        if (time < known.deliveryStart + known.slots * SLOT_S) return Phase.DELIVERY;
        if (time < known.settlementDeadline) return Phase.SETTLEMENT;
        return Phase.CLOSED;
    }

    function _known(uint64 session) private view returns (SessionTerms storage known) {
        known = _terms[session];
        if (known.deliveryStart == 0) revert MarketSessionsUnknownSession(session);
    }

    function _bond(SessionTerms storage known, uint64 capUeur) private view returns (uint64) {
        // Narrowing is safe: a share of at most 1000 per mille isn't above the cap.
        uint64 share = uint64((uint256(capUeur) * known.bondPermille + 999) / 1000);
        return share < known.bondFloorUeur ? known.bondFloorUeur : share;
    }

    function _requireProduct(SessionTerms calldata given) private pure {
        if (given.marketType > LAST_MARKET_TYPE) revert MarketSessionsUnknownMarketType(given.marketType);
        // The local day or four hours of it; an hour less or more where the clocks change.
        uint16 usual = given.marketType == 0 ? DAY_SLOTS : REAL_TIME_SLOTS;
        if (given.slots != usual && given.slots != usual - HOUR_SLOTS && given.slots != usual + HOUR_SLOTS) {
            revert MarketSessionsWrongSlots(given.marketType, given.slots);
        }
        if (given.deliveryStart % SLOT_S != 0) {
            revert MarketSessionsDeliveryStartNotOnQuarterHour(given.deliveryStart);
        }
    }

    function _requireDeadlines(SessionTerms calldata given) private view {
        // INVARIANT: nobody learns of a session after its first deadline.
        if (block.timestamp >= given.baselineGate) {
            revert MarketSessionsTooLate(given.baselineGate, block.timestamp);
        }
        _requireOrder(given.baselineGate, given.gateOpening);
        _requireOrder(given.gateOpening, given.gateClosure);
        _requireOrder(given.gateClosure, given.revealDeadline);
        _requireOrder(given.revealDeadline, given.documentsDeadline);
        _requireOrder(given.documentsDeadline, given.marketOutcomeDeadline);
        _requireOrder(given.marketOutcomeDeadline, given.validatedOutcomeDeadline);
        // INVARIANT: set points can leave 15 minutes before delivery.
        if (uint256(given.validatedOutcomeDeadline) + SLOT_S > given.deliveryStart) {
            revert MarketSessionsNoTimeForSetPoints(given.validatedOutcomeDeadline, given.deliveryStart);
        }
        uint48 end = given.deliveryStart + given.slots * SLOT_S;
        if (given.settlementDeadline <= end) {
            revert MarketSessionsSettlementBeforeDeliveryEnd(given.settlementDeadline, end);
        }
    }

    function _requireOrder(uint48 earlier, uint48 later) private pure {
        if (earlier >= later) revert MarketSessionsDeadlinesNotIncreasing(earlier, later);
    }

    function _requirePermille(string memory field, uint16 permille) private pure {
        if (permille > 1000) revert MarketSessionsPermilleAbove1000(field, permille);
    }
}

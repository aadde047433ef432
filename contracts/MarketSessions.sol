// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {ISessionRules} from "../interfaces/ISessionRules.sol";
import {ParticipantRegistry} from "./ParticipantRegistry.sol";

/// @title The market's sessions and their deadlines
abstract contract MarketSessions is IMarketSessions, ParticipantRegistry {
    /// @dev One slot. `sinceS`: when the pause that holds began, 0 if none does. `totalS`: length of all that ended before.
    struct Pause {
        uint48 sinceS;
        uint48 totalS;
    }

    uint48 private constant SLOT_S = 900;

    ISessionRules public immutable rules;

    /// @inheritdoc IMarketSessions
    uint64 public count;
    Pause private _pause;
    /// @dev Every pause, as `_pause` was when it began.
    Pause[] private _pauses;
    /// @dev The interface orders the fields so that a commitment or a reveal reads the first slot only.
    mapping(uint64 session => SessionTerms) private _terms;
    /// @inheritdoc IMarketSessions
    mapping(uint8 marketType => mapping(uint48 deliveryStart => uint64)) public sessionAt;

    constructor(ISessionRules rules_) {
        rules = rules_;
    }

    /// @inheritdoc IMarketSessions
    function create(SessionTerms calldata given) external returns (uint64 session) {
        _requireRole(msg.sender, _accounts[msg.sender], Role.OPERATOR);
        _requireNotPaused();
        rules.requireSound(given);
        // INVARIANT: a quarter-hour is sold once in each market.
        uint64 existing = sessionAt[given.marketType][given.deliveryStart];
        if (existing != 0) revert MarketSessionsExists(existing);
        session = ++count;
        sessionAt[given.marketType][given.deliveryStart] = session;
        _terms[session] = given;
        // Narrowing is safe: 2^32 seconds are 136 years.
        _terms[session].pausedBeforeS = uint32(_pause.totalS);
        _openBook(session);
        emit SessionCreated(session, given.marketType, given.deliveryStart, given);
    }

    /// @inheritdoc IMarketSessions
    function pause() external restricted {
        _requireNotPaused();
        _pause.sinceS = uint48(block.timestamp);
        _pauses.push(_pause);
        emit Paused(msg.sender);
    }

    /// @inheritdoc IMarketSessions
    function resume() external restricted {
        Pause memory known = _pause;
        if (known.sinceS == 0) revert MarketSessionsNotPaused();
        _pause = Pause({sinceS: 0, totalS: known.totalS + uint48(block.timestamp) - known.sinceS});
        emit Resumed(msg.sender, uint48(block.timestamp) - known.sinceS);
    }

    /// @inheritdoc IMarketSessions
    function terms(uint64 session) external view returns (SessionTerms memory) {
        return _known(session);
    }

    /// @inheritdoc IMarketSessions
    function marketTime(uint64 session) public view returns (uint256) {
        return _marketTime(_known(session));
    }

    /// @inheritdoc IMarketSessions
    function marketTimeAt(uint64 session, uint48 instant) external view returns (uint256) {
        (uint256 pausedS,) = _pausedS();
        uint256 stoodAt = 0;
        // From the last one back: of what is judged there is none or few after it.
        for (uint256 i = _pauses.length; i != 0; --i) {
            Pause memory one = _pauses[i - 1];
            if (one.sinceS <= instant) {
                stoodAt = one.sinceS - one.totalS;
                break;
            }
            pausedS = one.totalS;
        }
        uint256 time = instant - pausedS;
        return (time < stoodAt ? stoodAt : time) + _known(session).pausedBeforeS;
    }

    /// @inheritdoc IMarketSessions
    function paused() external view returns (bool) {
        return _pause.sinceS != 0;
    }

    /// @inheritdoc IMarketSessions
    function tooLateForSetPoints(uint64 session) external view returns (bool) {
        return block.timestamp + SLOT_S > _known(session).deliveryStart;
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
        uint256 time = _marketTime(known);
        if (time < known.gateOpening) return Phase.ANNOUNCED;
        if (time < known.gateClosure) return Phase.OPEN;
        if (time < known.revealDeadline) return Phase.REVEAL;
        if (time < known.documentsDeadline) return Phase.DOCUMENTS;
        if (time < known.marketOutcomeDeadline) return Phase.CLEARING;
        if (time < known.validatedOutcomeDeadline) return Phase.ASSESSMENT;
        // Delivery is physical: no pause moves it.
        if (block.timestamp < known.deliveryStart) return Phase.ACTIVATION;
        if (block.timestamp < known.deliveryStart + known.slots * SLOT_S) return Phase.DELIVERY;
        return time < known.settlementDeadline ? Phase.SETTLEMENT : Phase.CLOSED;
    }

    /// @dev Reverts unless the session is open for commitments; gives the bond of one with this cap.
    function _requireOpen(uint64 session, uint64 capUeur) internal view returns (uint64) {
        _requireNotPaused();
        SessionTerms storage known = _terms[session];
        uint256 time = _marketTime(known);
        // INVARIANT: a commitment enters or leaves the book while gateOpening <= time < gateClosure, never else.
        if (time < known.gateOpening || time >= known.gateClosure) {
            _known(session);
            revert MarketSessionsNotInPhase(session, Phase.OPEN, phase(session));
        }
        return _bond(known, capUeur);
    }

    /// @dev Reverts unless the session takes reveals.
    function _requireReveal(uint64 session) internal view {
        _requireNotPaused();
        SessionTerms storage known = _terms[session];
        uint256 time = _marketTime(known);
        // INVARIANT: a reveal counts while gateClosure <= time < revealDeadline, never else.
        if (time < known.gateClosure || time >= known.revealDeadline) {
            _known(session);
            revert MarketSessionsNotInPhase(session, Phase.REVEAL, phase(session));
        }
    }

    /// @dev Lets the book prepare what its players shall not pay for.
    function _openBook(uint64 session) internal virtual;

    function _requireNotPaused() internal view {
        uint48 since = _pause.sinceS;
        if (since != 0) revert MarketSessionsPaused(since);
    }

    function _known(uint64 session) internal view returns (SessionTerms storage known) {
        known = _terms[session];
        if (known.deliveryStart == 0) revert MarketSessionsUnknownSession(session);
    }

    function _marketTime(SessionTerms storage known) internal view returns (uint256 time) {
        (time,) = _marketTimeAndPause(known);
    }

    function _marketTimeAndPause(SessionTerms storage known) internal view returns (uint256 time, bool isPaused) {
        uint256 pausedS;
        (pausedS, isPaused) = _pausedS();
        time = block.timestamp + known.pausedBeforeS - pausedS;
    }

    /// @dev How long all pauses together have lasted so far, and whether one holds.
    function _pausedS() private view returns (uint256 pausedS, bool isPaused) {
        Pause memory held = _pause;
        isPaused = held.sinceS != 0;
        pausedS = held.totalS;
        if (isPaused) pausedS += block.timestamp - held.sinceS;
    }

    function _bond(SessionTerms storage known, uint64 capUeur) private view returns (uint64) {
        // Narrowing is safe: a share of at most 1000 per mille isn't above the cap.
        uint64 share = uint64((uint256(capUeur) * known.bondPermille + 999) / 1000);
        return share < known.bondFloorUeur ? known.bondFloorUeur : share;
    }
}

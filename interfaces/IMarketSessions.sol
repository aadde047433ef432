// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The market's sessions and their deadlines
/// @notice A session is created once and then runs by time alone: no call opens or closes it.
/// Times are Unix seconds; each period includes its first second and not its last.
interface IMarketSessions {
    /// @notice What a session fixes at its creation.
    /// @param marketType 0 day-ahead, 1 to 6 the real-time sessions of the day
    /// @param deliveryStart start of the first slot, a multiple of 900
    /// @param slots quarter-hours delivered: 92, 96 or 100 day-ahead, 12, 16 or 20 in real time
    /// @param baselineGate baselines anchored from here on don't count
    /// @param gateOpening commitments are taken from here
    /// @param gateClosure until here; from here on they are revealed
    /// @param revealDeadline until here
    /// @param documentsDeadline the revealed documents are available by here
    /// @param marketOutcomeDeadline market outcome posted before this
    /// @param validatedOutcomeDeadline technical and validated outcome posted before this, 900 s before delivery at least
    /// @param settlementDeadline settlement posted before this
    /// @param challengeWindowS how long a posted outcome or settlement waits before it is final
    /// @param penaltyUeurPerKw penalty in 10^-6 euro per kW and slot of deviation beyond tolerance
    /// @param tolerancePermille deviation from the accepted amount that costs nothing, per mille of it
    /// @param bondPermille commitment's bond, per mille of its cap
    /// @param bondFloorUeur least bond of a commitment, 10^-6 euro
    /// @param outcomeBondUeur bond of whoever posts an outcome or a settlement, 10^-6 euro each
    struct SessionTerms {
        uint8 marketType;
        uint48 deliveryStart;
        uint16 slots;
        uint48 baselineGate;
        uint48 gateOpening;
        uint48 gateClosure;
        uint48 revealDeadline;
        uint48 documentsDeadline;
        uint48 marketOutcomeDeadline;
        uint48 validatedOutcomeDeadline;
        uint48 settlementDeadline;
        uint32 challengeWindowS;
        uint64 penaltyUeurPerKw;
        uint16 tolerancePermille;
        uint16 bondPermille;
        uint64 bondFloorUeur;
        uint64 outcomeBondUeur;
    }

    /// @notice Where a session stands by the clock. Whether outcomes were posted the OutcomeBoard says.
    enum Phase {
        NONE,
        ANNOUNCED,
        OPEN,
        REVEAL,
        DOCUMENTS,
        CLEARING,
        ASSESSMENT,
        ACTIVATION,
        DELIVERY,
        SETTLEMENT,
        CLOSED
    }

    event SessionCreated(
        uint64 indexed session, uint8 indexed marketType, uint48 indexed deliveryStart, SessionTerms terms
    );

    error MarketSessionsUnknownSession(uint64 session);
    error MarketSessionsUnknownMarketType(uint8 marketType);
    error MarketSessionsWrongSlots(uint8 marketType, uint16 slots);
    error MarketSessionsDeliveryStartNotOnQuarterHour(uint48 deliveryStart);
    error MarketSessionsTooLate(uint48 baselineGate, uint256 time);
    error MarketSessionsDeadlinesNotIncreasing(uint48 earlier, uint48 later);
    error MarketSessionsNoTimeForSetPoints(uint48 validatedOutcomeDeadline, uint48 deliveryStart);
    error MarketSessionsSettlementBeforeDeliveryEnd(uint48 settlementDeadline, uint48 deliveryEnd);
    error MarketSessionsPermilleAbove1000(string field, uint16 permille);
    error MarketSessionsExists(uint64 session);
    error MarketSessionsNotInPhase(uint64 session, Phase needed, Phase found);

    /// @notice Creates a session before its baseline gate. By an OPERATOR. One per market type and delivery start.
    /// @return session its id, from 1 on
    function create(SessionTerms calldata terms) external returns (uint64 session);

    /// @notice What a session fixed; reverts for an unknown one.
    function terms(uint64 session) external view returns (SessionTerms memory);

    /// @notice Where a session stands by the clock; NONE if unknown.
    function phase(uint64 session) external view returns (Phase);

    /// @notice Reverts unless the session is open for commitments; gives the bond of one with this cap.
    function requireOpen(uint64 session, uint64 capUeur) external view returns (uint64 bond);

    /// @notice Reverts unless the session takes reveals.
    function requireReveal(uint64 session) external view;

    /// @notice Bond of a commitment with this cap: its share of the cap, rounded up, and the floor at least; 10^-6 euro.
    function bondUeur(uint64 session, uint64 capUeur) external view returns (uint64);

    /// @notice First second after the last slot; reverts for an unknown session.
    function deliveryEnd(uint64 session) external view returns (uint48);

    /// @notice Number of sessions; the newest has this id.
    function count() external view returns (uint64);

    /// @notice The session of a market type that delivers from an instant, 0 if there is none.
    function sessionAt(uint8 marketType, uint48 deliveryStart) external view returns (uint64);
}

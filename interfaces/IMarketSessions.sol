// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The market's sessions and their deadlines
/// @notice A session is created once and then runs by time alone: no call opens or closes it.
/// Times are Unix seconds; each period includes its first second and not its last. A pause moves every deadline that is
/// still to come by its length (see `marketTime`), but not delivery.
interface IMarketSessions {
    /// @notice What a session fixes at its creation. The order packs what a commitment reads into one slot.
    /// @param gateOpening commitments are taken from here
    /// @param gateClosure until here; from here on they are revealed
    /// @param revealDeadline until here
    /// @param bondPermille commitment's bond, per mille of its cap
    /// @param bondFloorUeur least bond of a commitment, 10^-6 euro
    /// @param pausedBeforeS how long the market had been paused before; 0 when given
    /// @param documentsDeadline the revealed documents are available by here
    /// @param marketOutcomeDeadline market outcome posted before this
    /// @param validatedOutcomeDeadline technical and validated outcome posted before this, 900 s before delivery at least
    /// @param takeoverS the named oracles' turn ends this long before each of their deadlines
    /// @param outcomeBondPermille least bond of a result, per mille of the session's escrow
    /// @param slots quarter-hours delivered: 92, 96 or 100 day-ahead, 12, 16 or 20 in real time
    /// @param marketType 0 day-ahead, 1 to 6 the real-time sessions of the day
    /// @param method 0 price priority paid as bid, 1 price priority paid as cleared, 2 exact, 3 NSGA-II
    /// @param receipts stores that must hold a document, at least 1
    /// @param baselineGate baselines anchored from here on don't count
    /// @param deliveryStart start of the first slot, a multiple of 900
    /// @param settlementDeadline settlement posted before this
    /// @param challengeWindowS how long a posted result waits before it is final
    /// @param outcomeBondUeur least bond of whoever posts a result, 10^-6 euro
    /// @param tolerancePermille deviation from the accepted amount that costs nothing, per mille of it
    /// @param clearingOracle who has the first turn at outcomes; 0: every clearing oracle
    /// @param penaltyUeurPerKw penalty in 10^-6 euro per kW and slot of deviation beyond tolerance
    /// @param demandWindowS how long a demand for a leaf waits for its answer, at most the challenge window
    /// @param gridOracle who has the first turn at the technical outcome; 0: every grid oracle
    /// @param settlementOracle who has the first turn at the settlement; 0: every settlement oracle
    struct SessionTerms {
        uint48 gateOpening;
        uint48 gateClosure;
        uint48 revealDeadline;
        uint16 bondPermille;
        uint64 bondFloorUeur;
        uint32 pausedBeforeS;
        uint48 documentsDeadline;
        uint48 marketOutcomeDeadline;
        uint48 validatedOutcomeDeadline;
        uint32 takeoverS;
        uint16 outcomeBondPermille;
        uint16 slots;
        uint8 marketType;
        uint8 method;
        uint8 receipts;
        uint48 baselineGate;
        uint48 deliveryStart;
        uint48 settlementDeadline;
        uint32 challengeWindowS;
        uint64 outcomeBondUeur;
        uint16 tolerancePermille;
        address clearingOracle;
        uint64 penaltyUeurPerKw;
        uint32 demandWindowS;
        address gridOracle;
        address settlementOracle;
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
    event Paused(address indexed by);
    event Resumed(address indexed by, uint48 lengthS);

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
    error MarketSessionsNotGiven(string field, uint256 value);
    error MarketSessionsUnknownMethod(uint8 method);
    error MarketSessionsNoReceipts();
    error MarketSessionsNoOutcomeBond();
    error MarketSessionsWrongDemandWindow(uint32 demandWindowS, uint32 challengeWindowS);
    error MarketSessionsPaused(uint48 since);
    error MarketSessionsNotPaused();
    error MarketSessionsNotInPhase(uint64 session, Phase needed, Phase found);

    /// @notice Creates a session before its baseline gate. By an OPERATOR. One per market type and delivery start.
    /// @return session its id, from 1 on
    function create(SessionTerms calldata terms) external returns (uint64 session);

    /// @notice What a session fixed; reverts for an unknown one.
    function terms(uint64 session) external view returns (SessionTerms memory);

    /// @notice Where a session stands by the clock; NONE if unknown.
    function phase(uint64 session) external view returns (Phase);

    /// @notice Stops commitments, reveals and postings in an emergency; what is owed stays payable. By an administrator.
    function pause() external;

    /// @notice Ends a pause. Every deadline that was still to come comes later by its length. By an administrator.
    function resume() external;

    /// @notice The clock that a session's deadlines go by: real time less what was paused since its creation. It stands
    /// still during a pause and never goes back.
    function marketTime(uint64 session) external view returns (uint256);

    /// @notice What that clock showed at an instant of real time that has come. So it is known of what was notarised or
    /// registered whether that came before a deadline of the session.
    function marketTimeAt(uint64 session, uint48 instant) external view returns (uint256);

    /// @notice Whether the market is paused.
    function paused() external view returns (bool);

    /// @notice Whether less than 900 s of real time are left until delivery: an outcome would come too late.
    function tooLateForSetPoints(uint64 session) external view returns (bool);

    /// @notice Bond of a commitment with this cap: its share of the cap, rounded up, and the floor at least; 10^-6 euro.
    function bondUeur(uint64 session, uint64 capUeur) external view returns (uint64);

    /// @notice First second after the last slot; reverts for an unknown session.
    function deliveryEnd(uint64 session) external view returns (uint48);

    /// @notice Number of sessions; the newest has this id.
    function count() external view returns (uint64);

    /// @notice The session of a market type that delivers from an instant, 0 if there is none.
    function sessionAt(uint8 marketType, uint48 deliveryStart) external view returns (uint64);
}

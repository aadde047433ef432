// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAvailability} from "./IAvailability.sol";

/// @title The results of each session
/// @notice Market outcome, technical outcome, validated outcome and settlement: each posted by its oracle, with a bond and the
/// receipts of stores that hold its document, and final when its challenge window is over. The board keeps the hash; the
/// event has all of it. A result that a challenge proves false is struck: its bond makes good the wronged and pays who
/// proved it, and while there is time another oracle may post.
/// What a refusal leaves short is cleared and assessed again, in at most three rounds: a market outcome of a later round rests
/// on the technical outcome before it, the validated outcome on the last.
/// Times are market times (see IMarketSessions.marketTime), but for the 900 s before delivery and the end of delivery.
interface IOutcomeBoard {
    enum Stage {
        MARKET,
        TECHNICAL,
        MARKET_2,
        TECHNICAL_2,
        MARKET_3,
        TECHNICAL_3,
        VALIDATED,
        SETTLEMENT
    }

    /// @notice A market or validated outcome: the roots and lengths of its lists, its document's CID and its totals.
    /// @param acceptedWSlots sum of accepted W over the entries of the list by request
    /// @param totalUeur sum of money over them, 10^-6 euro
    /// @param basis the session's seed for a first market outcome, else the hash of the last technical outcome
    struct Outcome {
        uint64 session;
        bytes32 byOfferRoot;
        uint32 byOfferLength;
        bytes32 byRequestRoot;
        uint32 byRequestLength;
        bytes32 reserveRoot;
        uint32 reserveLength;
        bytes32 cidDigest;
        uint8 cidCodec;
        uint64 acceptedWSlots;
        uint64 totalUeur;
        bytes32 basis;
    }

    /// @notice What the DSO refuses of a market outcome.
    /// @param marketOutcomeHash hash of the market outcome that was assessed
    /// @param gridModel hash of the grid model used, notarised by the same oracle before the gate opened
    /// @param refusedWSlots sum of refused W over the refusals
    struct TechnicalOutcome {
        uint64 session;
        bytes32 marketOutcomeHash;
        bytes32 refusalRoot;
        uint32 refusalLength;
        bytes32 gridModel;
        bytes32 cidDigest;
        uint8 cidCodec;
        uint64 refusedWSlots;
    }

    /// @notice A session's settlement: roots and lengths of its lists, its document's CID and its total.
    /// @param validatedOutcomeHash hash of the outcome that is settled
    /// @param claimRoot tree of the claim leaves, up to 100 PoDs each
    /// @param rewardsUeur sum of all net rewards above 0, token units (10^-6)
    struct Settlement {
        uint64 session;
        bytes32 validatedOutcomeHash;
        bytes32 settlementRoot;
        uint32 settlementLength;
        bytes32 claimRoot;
        uint32 claimLength;
        bytes32 cidDigest;
        uint8 cidCodec;
        uint64 rewardsUeur;
    }

    /// @notice What an operator owes an aggregator for a session and the aggregator owes back as a penalty, 10^-6 euro.
    struct Pair {
        address payer;
        address payee;
        uint64 paymentUeur;
        uint64 penaltyUeur;
    }

    /// @notice What the board keeps of a result. Two slots.
    /// @param hash keccak256 of the ABI encoding of the outcome, or of settlement and pairs; 0 if none stands
    /// @param poster who posted it; with hash 0, whose was struck
    /// @param postedAt market time; with hash 0, of the strike
    /// @param bondUeur 0 once given back or lost, 10^-6 euro
    struct Posting {
        bytes32 hash;
        address poster;
        uint48 postedAt;
        uint48 bondUeur;
    }

    event MarketOutcomePosted(uint64 indexed session, address indexed poster, bytes32 indexed hash, Outcome outcome);
    event TechnicalOutcomePosted(
        uint64 indexed session, address indexed poster, bytes32 indexed hash, TechnicalOutcome outcome
    );
    event ValidatedOutcomePosted(uint64 indexed session, address indexed poster, bytes32 indexed hash, Outcome outcome);
    event SettlementPosted(
        uint64 indexed session, address indexed poster, bytes32 indexed hash, Settlement settlement, Pair[] pairs
    );
    event ResultStruck(
        uint64 indexed session,
        Stage indexed stage,
        bytes32 indexed hash,
        address poster,
        address challenger,
        bytes32 fault,
        address wronged,
        uint64 compensationUeur,
        uint64 prizeUeur
    );
    event ResultRemoved(uint64 indexed session, Stage indexed stage, bytes32 indexed hash);
    event BondReleased(uint64 indexed session, Stage indexed stage, address indexed poster, uint64 bondUeur);
    event ResultHeld(uint64 indexed session, Stage indexed stage, bool finality, bool held);
    event BoardPrepared(uint64 indexed session);
    event ChallengersSet(address[] challengers);

    error OutcomeBoardPaused();
    error OutcomeBoardAlreadyPrepared(uint64 session);
    error OutcomeBoardAlreadyPosted(uint64 session, Stage stage);
    error OutcomeBoardNotPosted(uint64 session, Stage stage);
    error OutcomeBoardTooEarly(uint64 session, uint256 from, uint256 time);
    error OutcomeBoardTooLate(uint64 session, uint256 deadline, uint256 time);
    error OutcomeBoardNotYourTurn(uint64 session, address named, uint256 until);
    error OutcomeBoardStruckBefore(uint64 session, Stage stage, address poster);
    error OutcomeBoardWrongBasis(uint64 session, bytes32 expected, bytes32 given);
    error OutcomeBoardGridModelNotNotarised(uint64 session, address author, bytes32 gridModel, uint48 notarisedAt);
    error OutcomeBoardBondGone(uint64 session, Stage stage);
    error OutcomeBoardFinal(uint64 session, Stage stage);
    error OutcomeBoardHeld(uint64 session, Stage stage);
    error OutcomeBoardNotHeld(uint64 session, Stage stage);
    error OutcomeBoardNotChallengeable(uint64 session, Stage stage, bytes32 standing, bytes32 given);
    error OutcomeBoardNotAChallenger(address sender);
    error OutcomeBoardChallengersAlreadySet();
    error OutcomeBoardTooManyPairs(uint256 pairs, uint256 most);
    error OutcomeBoardNotAPayer(uint64 session, address account);
    error OutcomeBoardNotAPayee(uint64 session, address account);

    /// @notice Names the contracts that decide challenges. Once, by an administrator.
    function setChallengers(address[] calldata challengers) external;

    /// @notice Pays for a session's slots beforehand, so that who posts its results doesn't. By anyone, once.
    function prepare(uint64 session) external;

    /// @notice Posts what clearing gave, from the documents deadline until the market outcome deadline, or, where one was
    /// struck, the validated outcome's. By a CLEARING_ORACLE whose turn it is. Its basis says of which round it is: one of a later
    /// round comes before the last part of the validated outcome's window, in which others take over.
    function postMarketOutcome(Outcome calldata outcome, IAvailability.StoreReceipts calldata receipts) external;

    /// @notice Posts what the grid refuses of a round's, before the validated outcome deadline. By a GRID_ORACLE whose turn it is.
    function postTechnicalOutcome(TechnicalOutcome calldata outcome, IAvailability.StoreReceipts calldata receipts)
        external;

    /// @notice Posts what remains, before the validated outcome deadline. By a CLEARING_ORACLE whose turn it is. A later round's
    /// market outcome that nobody has assessed is waited for until the last part of the window, and then passed over.
    function postValidatedOutcome(Outcome calldata outcome, IAvailability.StoreReceipts calldata receipts) external;

    /// @notice Posts the settlement of the validated outcome, from the end of delivery until the settlement deadline, or,
    /// where one was struck, a challenge window after that. By a SETTLEMENT_ORACLE whose turn it is.
    /// @param pairs payers are DSOs or TSOs, payees aggregators; at most 200
    function postSettlement(
        Settlement calldata settlement,
        Pair[] calldata pairs,
        IAvailability.StoreReceipts calldata receipts
    ) external;

    /// @notice Gives a poster its bond back when the challenge window is over and nothing holds it. By anyone.
    function releaseBond(uint64 session, Stage stage) external;

    /// @notice Takes the bond of a result that a challenge has proven false: `wronged` gets its loss, up to 80 % of the bond,
    /// the challenger half of the rest, the reserve what remains. A settlement, or an outcome of a session that isn't
    /// operative yet, is removed with all that rests on it. Once operative (a validated outcome stands at its deadline) an
    /// outcome stays: who follows it is paid as it says. Challengers only.
    function strike(
        uint64 session,
        Stage stage,
        bytes32 fault,
        address challenger,
        address wronged,
        uint64 lossUeur
    ) external;

    /// @notice Keeps a result's bond, and with `finality` a result that isn't final yet from being so, until `unhold`.
    /// Challengers only.
    function hold(uint64 session, Stage stage, bool finality) external;

    /// @notice Ends one `hold`. With `finality` the result can then be challenged for another demand window at least, by
    /// what the answer showed. Challengers only.
    function unhold(uint64 session, Stage stage, bool finality) external;

    /// @notice Reverts unless this is what stands posted, its bond is there, and its challenge window is open, or the time
    /// after an answer.
    function requireChallengeable(uint64 session, Stage stage, bytes32 hash) external view;

    /// @notice As `requireChallengeable`, in the challenge window only.
    function requireDemandable(uint64 session, Stage stage, bytes32 hash) external view;

    /// @notice What was posted at a stage; all zero if nothing.
    function posting(uint64 session, Stage stage) external view returns (Posting memory);

    /// @notice Hash of what stands posted at a stage, zero if nothing.
    function outcomeHash(uint64 session, Stage stage) external view returns (bytes32);

    /// @notice Whether a result stands, can be challenged no more, and no demand for its leaves is open.
    function isFinal(uint64 session, Stage stage) external view returns (bool);

    /// @notice Whether the session ended empty: no validated outcome by its deadline. Nobody needs to say so.
    function isEnded(uint64 session) external view returns (bool);

    /// @notice Whether no settlement stands and none can be posted any more.
    function isUnsettled(uint64 session) external view returns (bool);
}

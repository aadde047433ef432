// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The outcomes of each session
/// @notice Market outcome, technical outcome, validated outcome: each posted once by its oracle, with a bond, and final when
/// its challenge window is over. The board keeps keccak256(abi.encode(outcome)); the event has all of it.
interface IOutcomeBoard {
    enum Stage {
        MARKET,
        TECHNICAL,
        VALIDATED
    }

    /// @notice A market or validated outcome: the roots and lengths of its lists, its document's CID and its totals.
    /// @param acceptedWSlots sum of accepted W over the entries of the list by request
    /// @param totalUeur sum of money over them, 10^-6 euro
    /// @param basis the session's seed for a market outcome, the technical outcome's hash for a validated one
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

    /// @notice What the board keeps of an outcome; all zero if none was posted.
    struct Posting {
        bytes32 hash;
        address poster;
        uint48 postedAt;
        bool bondReleased;
    }

    event MarketOutcomePosted(uint64 indexed session, address indexed poster, bytes32 indexed hash, Outcome outcome);
    event TechnicalOutcomePosted(
        uint64 indexed session, address indexed poster, bytes32 indexed hash, TechnicalOutcome outcome
    );
    event ValidatedOutcomePosted(uint64 indexed session, address indexed poster, bytes32 indexed hash, Outcome outcome);
    event OutcomeBondReleased(uint64 indexed session, Stage indexed stage, address indexed poster, uint64 bondUeur);

    error OutcomeBoardAlreadyPosted(uint64 session, Stage stage);
    error OutcomeBoardNotPosted(uint64 session, Stage stage);
    error OutcomeBoardTooEarly(uint64 session, uint48 from, uint256 time);
    error OutcomeBoardTooLate(uint64 session, uint48 deadline, uint256 time);
    error OutcomeBoardWrongBasis(uint64 session, bytes32 expected, bytes32 given);
    error OutcomeBoardGridModelNotNotarised(uint64 session, address author, bytes32 gridModel, uint48 notarisedAt);
    error OutcomeBoardBondAlreadyReleased(uint64 session, Stage stage);

    /// @notice Posts what clearing gave, from the documents deadline until the market outcome deadline. By a CLEARING_ORACLE.
    function postMarketOutcome(Outcome calldata outcome) external;

    /// @notice Posts what the grid refuses of it, before the validated outcome deadline. By a GRID_ORACLE.
    function postTechnicalOutcome(TechnicalOutcome calldata outcome) external;

    /// @notice Posts what remains, before the validated outcome deadline. By a CLEARING_ORACLE.
    function postValidatedOutcome(Outcome calldata outcome) external;

    /// @notice Gives a poster its bond back when the challenge window is over. By anyone.
    function releaseBond(uint64 session, Stage stage) external;

    /// @notice What was posted at a stage; all zero if nothing.
    function posting(uint64 session, Stage stage) external view returns (Posting memory);

    /// @notice Hash of what was posted at a stage, zero if nothing.
    function outcomeHash(uint64 session, Stage stage) external view returns (bytes32);

    /// @notice Whether a validated outcome was posted and its challenge window is over.
    function isFinal(uint64 session) external view returns (bool);

    /// @notice Whether the session ended empty: no validated outcome by its deadline. Nobody needs to say so.
    function isEnded(uint64 session) external view returns (bool);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IOutcomeBoard} from "./IOutcomeBoard.sol";

/// @title What leaves can't decide: cases for an arbiter
/// @notice Optimality and the physics of the grid are judged by a person, on evidence. A case needs a bond, keeps the
/// bond of the result that it is about, and freezes only the payments that it names. Upheld, the result's bond is lost
/// and the frozen payments stay with their payers. Not upheld, the case's bond is lost and they go to their payees. Not
/// ruled by its deadline, it falls in favour of the result, and nobody loses a bond: nobody gains from an arbiter's
/// silence.
/// Times are market times of the session. No pause stops a case.
interface IArbiterCases {
    /// @notice Where a case stands.
    enum State {
        NONE,
        OPEN,
        UPHELD,
        REJECTED,
        LAPSED
    }

    /// @notice What a case freezes of a settlement.
    /// @param pair its place in the posted list of pairs; one beyond the list freezes nothing
    /// @param paymentUeur how much of the pair's payment, 10^-6 euro; several cases together freeze at most all of it
    struct Item {
        uint32 pair;
        uint64 paymentUeur;
    }

    /// @notice A case. Four slots.
    /// @param opener whose bond stands behind it
    /// @param deadline it is ruled before this
    /// @param postedAt of the posting that it is about, if the same result is struck and posted anew
    /// @param hash of the result that it is about
    /// @param itemsHash keccak256(abi.encode(items))
    /// @param poster of the result
    struct Case {
        address opener;
        uint48 deadline;
        uint48 postedAt;
        bytes32 hash;
        bytes32 itemsHash;
        address poster;
        uint64 session;
        IOutcomeBoard.Stage stage;
        State state;
    }

    event CaseOpened(
        uint256 indexed id,
        uint64 indexed session,
        address indexed opener,
        IOutcomeBoard.Stage stage,
        bytes32 hash,
        bytes32 evidenceDigest,
        uint8 evidenceCodec,
        uint256 deadline,
        Item[] items
    );
    /// @param struck whether a bond was there to lose: false if the result was struck for something else meanwhile
    event CaseUpheld(
        uint256 indexed id, address indexed arbiter, bytes32 rulingDigest, uint8 rulingCodec, bool struck
    );
    event CaseRejected(uint256 indexed id, address indexed arbiter, bytes32 rulingDigest, uint8 rulingCodec);
    event CaseLapsed(uint256 indexed id);

    error ArbiterCasesTooManyItems(uint256 items, uint256 most);
    error ArbiterCasesNothingToFreeze(uint64 session, IOutcomeBoard.Stage stage);
    error ArbiterCasesNotOpen(uint256 id, State state);
    error ArbiterCasesTooLate(uint256 id, uint48 deadline, uint256 time);
    error ArbiterCasesTooEarly(uint256 id, uint48 deadline, uint256 time);
    error ArbiterCasesPartial(uint256 id, address arbiter);
    error ArbiterCasesNotAParticipant(uint256 id, address wronged);

    /// @notice Opens a case about a result while it can be challenged, and locks its bond. By any participant.
    /// @param evidenceDigest SHA-256 digest of the evidence's CID, @param evidenceCodec its codec
    /// @param items at most 50, and none but for a settlement: who follows an outcome is paid as it says
    /// @return id of the case, from 1 on
    function open(
        uint64 session,
        IOutcomeBoard.Stage stage,
        bytes32 hash,
        bytes32 evidenceDigest,
        uint8 evidenceCodec,
        Item[] calldata items
    ) external returns (uint256 id);

    /// @notice Rules a case before its deadline. By an ARBITER who neither opened it nor posted the result.
    /// @param upheld whether the result is false
    /// @param rulingDigest SHA-256 digest of the ruling's CID, @param rulingCodec its codec
    /// @param wronged participant made good from the result's bond, zero address for none; not the arbiter
    /// @param lossUeur what it lost, 10^-6 euro
    function rule(
        uint256 id,
        bool upheld,
        bytes32 rulingDigest,
        uint8 rulingCodec,
        address wronged,
        uint64 lossUeur
    ) external;

    /// @notice Ends a case that wasn't ruled, from its deadline on: in favour of the result, bond back. By anyone.
    function lapse(uint256 id) external;

    /// @notice A case; all zero for an unknown one.
    function caseOf(uint256 id) external view returns (Case memory);

    /// @notice Number of cases; the newest has this id.
    function count() external view returns (uint256);

    /// @notice Whether any case named a payment of the settlement that was posted then.
    function isFrozen(bytes32 hash, uint48 postedAt) external view returns (bool);

    /// @notice Sum of what cases named of a pair's payment in it, decided or not, 10^-6 euro.
    function namedUeur(bytes32 hash, uint48 postedAt, uint256 pair) external view returns (uint256);

    /// @notice What a case costs who opens it without cause, 10^-6 euro.
    function bondUeur() external view returns (uint64);

    /// @notice How long an arbiter has to rule.
    function rulingWindowS() external view returns (uint48);
}

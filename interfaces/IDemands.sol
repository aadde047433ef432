// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAvailability} from "./IAvailability.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {ISettlementChallenges} from "./ISettlementChallenges.sol";

/// @title Demands for leaves that were never published
/// @notice A root alone proves nothing to who hasn't its leaves. Any participant may demand a leaf by its position: of
/// a result while its challenge window is open, and of a store for as long as its receipt binds it. Who shows the leaf
/// first earns the demander's fee, and the leaf is public. What a settlement pays or rewards without a leaf to account for it
/// is found the same way. Where nobody does in time, the result is struck or the store
/// loses its stake. An open demand keeps a result from being final. No pause stops demands or answers.
interface IDemands {
    /// @notice Of which list the leaf is. DOCUMENT: whatever tree a store signed for, with leaves of any kind. PAIR and
    /// CLAIM_ENTRY: the settlement's leaf from which a posted pair, or an entry of a claim, comes.
    enum List {
        BY_OFFER,
        BY_REQUEST,
        RESERVE,
        REFUSALS,
        SETTLEMENT,
        CLAIMS,
        DOCUMENT,
        PAIR,
        CLAIM_ENTRY
    }

    /// @notice Where a demand stands. One that nobody answered is forgotten: NONE.
    enum State {
        NONE,
        OPEN,
        ANSWERED
    }

    /// @notice A demand. Three slots, and a fourth for a store's.
    /// @param demander who asked and pays
    /// @param deadline answers come before this; market time of the session, real time for a store
    /// @param postedAt which posting was asked about, if its result is struck and posted anew
    /// @param session of the result; 0 for a store
    /// @param position of the leaf in its list
    /// @param length of the list
    /// @param store who must answer; zero address: who posted the result
    /// @param origin hash of the pair or claim entry that the leaf must account for; zero where the leaf has a position
    struct Demand {
        address demander;
        uint48 deadline;
        uint48 postedAt;
        uint64 session;
        uint32 position;
        uint32 length;
        List list;
        IOutcomeBoard.Stage stage;
        State state;
        bytes32 root;
        address store;
        bytes32 origin;
    }

    event LeafDemanded(
        bytes32 indexed id,
        uint64 indexed session,
        address indexed store,
        IOutcomeBoard.Stage stage,
        List list,
        bytes32 root,
        uint32 position,
        address demander,
        uint256 deadline
    );
    /// @param leaf abi.encode(kind, fields...) of the leaf
    event LeafShown(bytes32 indexed id, address indexed by, bytes leaf);
    /// @param held whether somebody was held to account: false if the result was struck for something else meanwhile
    event DemandExpired(bytes32 indexed id, address indexed demander, bool held);

    error DemandsNoSuchList(IOutcomeBoard.Stage stage, List list);
    error DemandsNoSuchPosition(uint32 position, uint32 length);
    error DemandsAskedBefore(bytes32 id, State state);
    error DemandsNotOpen(bytes32 id, State state);
    error DemandsTooLate(bytes32 id, uint48 deadline, uint256 time);
    error DemandsTooEarly(bytes32 id, uint48 deadline, uint256 time);
    error DemandsWrongLeaf(bytes32 id, uint256 kind, uint256 position, uint256 length);
    error DemandsLeafTooShort(bytes32 id, uint256 lengthBytes);
    error DemandsNotInList(bytes32 id, bytes32 root);
    error DemandsWrongContent(bytes32 expected, bytes32 given);
    error DemandsWrongTrees(uint256 roots, uint256 lengths, uint256 tree);
    error DemandsReceiptOver(uint48 until, uint256 needed);
    error DemandsNoStake(address store);
    error DemandsNoSuchPair(uint256 index, uint256 pairs);
    error DemandsNoSuchClaim(uint256 index, uint256 entries);
    error DemandsNotTheOrigin(bytes32 id, bytes32 expected, bytes32 given);

    /// @notice Demands a leaf of a market or validated outcome. By any participant, with the outcome as posted.
    /// @return id of the demand
    function demandOutcome(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        List list,
        uint32 position
    ) external returns (bytes32 id);

    /// @notice Demands a refusal of a technical outcome. By any participant, with the outcome as posted.
    function demandRefusal(
        IOutcomeBoard.TechnicalOutcome calldata outcome,
        IOutcomeBoard.Stage stage,
        uint32 position
    ) external returns (bytes32 id);

    /// @notice Demands a leaf of a settlement. By any participant, with settlement and pairs as posted.
    function demandSettlement(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        List list,
        uint32 position
    ) external returns (bytes32 id);

    /// @notice Demands the leaf from which a posted pair comes: the last of its payer and payee, with its sums. By any
    /// participant, with settlement and pairs as posted.
    function demandPair(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        uint256 index
    ) external returns (bytes32 id);

    /// @notice Demands the leaf from which an entry of a claim comes: the last of the PoD whose customer it names, with its
    /// rewards less penalties. By any participant, with settlement and pairs as posted.
    /// @param index of the entry in the claim
    function demandClaimEntry(
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs,
        ISettlementChallenges.Claim calldata claim,
        uint8 index
    ) external returns (bytes32 id);

    /// @notice Demands a leaf of a store that signed a receipt. By any participant, while the store's time to answer
    /// ends before the receipt does.
    /// @param r of the store's signature (EIP-2098), @param vs of it
    /// @param roots of the document's trees, @param lengths of their lists: what the receipt's content is made of
    /// @param tree which of them
    function demandFromStore(
        IAvailability.Receipt calldata receipt,
        bytes32 r,
        bytes32 vs,
        bytes32[] calldata roots,
        uint32[] calldata lengths,
        uint8 tree,
        uint32 position
    ) external returns (bytes32 id);

    /// @notice Shows a demanded leaf before the deadline, and earns the fee. By anyone.
    /// @param leaf abi.encode(kind, fields...): its first words are kind, position and length
    /// @param proof of the leaf under the root
    function answer(bytes32 id, bytes calldata leaf, bytes32[] calldata proof) external;

    /// @notice Ends a demand that nobody answered, from its deadline on, or at once where its result was struck
    /// meanwhile: the demander has its fee back. A result that stands is struck; a store loses its stake, half of it to
    /// the demander. By anyone.
    function expire(bytes32 id) external;

    /// @notice A demand; all zero for an unknown one, or one that expired.
    function demand(bytes32 id) external view returns (Demand memory);

    /// @notice Id of the demand for a leaf of a result.
    function idOf(uint64 session, IOutcomeBoard.Stage stage, bytes32 root, uint32 position)
        external
        pure
        returns (bytes32);

    /// @notice Id of the demand for the leaf from which something comes.
    function idOfOrigin(uint64 session, bytes32 root, bytes32 origin) external pure returns (bytes32);

    /// @notice Id of the demand for a leaf that a store must have.
    function idOfStore(address store, bytes32 root, uint32 position) external pure returns (bytes32);

    /// @notice What a demand costs who makes it, and who answers earns, 10^-6 euro.
    function feeUeur() external view returns (uint64);

    /// @notice How long a store may take to answer, real time.
    function storeWindowS() external view returns (uint48);
}

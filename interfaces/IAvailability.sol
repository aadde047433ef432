// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICommitmentBook} from "./ICommitmentBook.sol";

/// @title Whether the bytes behind a root can be had
/// @notice A store that signs a receipt says: I have the bytes of this CID, computed these roots from them, and hand out the
/// leaf at any position until then. A document stands in the book, and a result is posted, with the receipts of as many
/// stores as the session asks. A player whose document the stores refuse publishes it himself, in calldata.
/// The content of a document is keccak256(abi.encode(root1, length1, root2, length2, ...)) over its trees.
interface IAvailability {
    /// @notice What a store signs (EIP-712).
    /// @param content see above
    /// @param until last second at which the store answers demands
    struct Receipt {
        bytes32 content;
        bytes32 cidDigest;
        uint8 cidCodec;
        uint48 until;
    }

    /// @notice Receipts of several stores for one document.
    /// @param until as all of them signed it
    /// @param signatures r and vs (EIP-2098) of each, 64 bytes, the signers' addresses ascending
    struct StoreReceipts {
        uint48 until;
        bytes signatures;
    }

    /// @notice A store's stake. One slot.
    /// @param leftAt when it left, 0 while its receipts count
    struct Stake {
        uint128 amountUeur;
        uint48 leftAt;
    }

    event Staked(address indexed store, uint256 amountUeur, uint256 stakeUeur);
    event StoreLeft(address indexed store);
    event StakeWithdrawn(address indexed store, uint256 amountUeur);
    event StakeSlashed(address indexed store, address indexed to, uint256 toUeur, uint256 reserveUeur);
    event PartPublished(
        uint64 indexed session, address indexed player, bytes32 indexed root, uint32 part, uint32 parts
    );
    event SlasherSet(address indexed slasher);

    error AvailabilityTooFewReceipts(uint256 given, uint256 needed);
    error AvailabilityNotSigned(uint256 index);
    error AvailabilityStoreLeft(address signer);
    error AvailabilityIsAStore(address store);
    error AvailabilityStakeTooSmall(address signer, uint256 stakeUeur, uint256 leastUeur);
    error AvailabilityNotAscending(address signer);
    error AvailabilityUntilTooEarly(uint48 until, uint256 needed);
    error AvailabilityNoStake(address store);
    error AvailabilityStillBound(address store, uint256 until);
    error AvailabilityNotTheSlasher(address sender);
    error AvailabilitySlasherAlreadySet();
    error AvailabilityUnknownLeaf(uint256 kind);
    error AvailabilityLeafOfAnotherSide(uint256 kind, ICommitmentBook.Side side);
    error AvailabilityWrongPlace(uint256 expected, uint256 position, uint256 length);
    error AvailabilityWrongBytes(uint256 left);
    error AvailabilityNotThisPart(bytes32 root, uint32 part);
    error AvailabilityNoSuchPart(uint32 part, uint32 parts);
    error AvailabilityPartPublished(uint32 part);
    error AvailabilityNotRevealed(uint64 session, address player);

    /// @notice Names the contract that takes the stake of a store that doesn't answer. Once, by an administrator.
    function setSlasher(address slasher) external;

    /// @notice Puts the sender's money behind its receipts, from its free balance. By a STORE.
    function stake(uint128 amountUeur) external;

    /// @notice From now on the sender's receipts don't count; its stake stays as long as they bind it.
    function leave() external;

    /// @notice Gives a store that has left its stake back, when every receipt that it can have signed is over.
    function withdrawStake() external;

    /// @notice Takes a store's whole stake: half to `to`, half to the reserve. By the slasher.
    function slashStake(address store, address to) external;

    /// @notice Puts a revealed document into the book on the receipts of stores. By anyone, before the documents deadline.
    function certify(ICommitmentBook.Opening calldata opening, StoreReceipts calldata receipts) external;

    /// @notice Publishes one part of a revealed document in calldata; with the last one it stands in the book. By anyone,
    /// before the documents deadline. A document of up to 128 leaves is one part; a larger one has a part for each node of
    /// the level of its tree below which no more than 128 leaves lie.
    /// @param part number of the part, from the left of the level
    /// @param leaves abi.encode(kind, fields...) of the part's leaves one after the other, by position
    /// @param proof of the part's node under the root
    function publish(
        ICommitmentBook.Opening calldata opening,
        uint32 part,
        bytes calldata leaves,
        bytes32[] calldata proof
    ) external;

    /// @notice Takes a suspended store's, or a former one's, receipts out of use, as if it had left. By anyone.
    function expel(address store) external;

    /// @notice Reverts unless enough stores hold a document: with a stake, and bound for long enough.
    /// @param needed how many of them
    /// @param neededUntil until when they must answer demands: a session's last challenge window
    function requireReceipts(
        uint256 needed,
        uint256 neededUntil,
        bytes32 content,
        bytes32 cidDigest,
        uint8 cidCodec,
        StoreReceipts calldata receipts
    ) external view;

    /// @notice The store that signed a receipt; reverts if none did.
    function signerOf(Receipt calldata receipt, bytes32 r, bytes32 vs) external view returns (address);

    /// @notice The EIP-712 digest that a store signs.
    function hashReceipt(Receipt calldata receipt) external view returns (bytes32);

    /// @notice A store's stake.
    function stakeOf(address store) external view returns (Stake memory);

    /// @notice Number of parts of a document.
    function partsOf(uint32 leafCount) external pure returns (uint32);
}

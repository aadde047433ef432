// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IAvailability} from "../interfaces/IAvailability.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IVault} from "../interfaces/IVault.sol";
import {HeapTree} from "./libraries/HeapTree.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Whether the bytes behind a root can be had
contract Availability is IAvailability, EIP712, AccessManaged {
    using BitMaps for BitMaps.BitMap;

    /// @dev What was published of a document so far.
    struct Publication {
        uint32 parts;
        BitMaps.BitMap published;
    }

    /// @dev How far the leaves in calldata are read, and what they must be.
    struct Reader {
        uint256 at;
        uint32 leafCount;
        ICommitmentBook.Side side;
    }

    bytes32 private constant RECEIPT_TYPEHASH =
        keccak256("Receipt(bytes32 content,bytes32 cidDigest,uint8 cidCodec,uint48 until)");
    uint256 private constant SIGNATURE_BYTES = 64;
    /// @dev A part of 128 offers is 64 KiB: nodes take no transaction above 128 KiB.
    uint256 private constant PART_DEPTH = 7;
    /// @dev A store can't sign for longer than this, so that its stake is free again some time.
    uint256 private constant LONGEST_RECEIPT_S = 400 days;

    IMarket public immutable market;
    uint128 public immutable leastStakeUeur;

    mapping(address store => Stake) private _stakes;
    mapping(bytes32 sealedHash => Publication) private _publications;
    address public slasher;

    constructor(address manager, IMarket market_, uint128 leastStakeUeur_)
        EIP712("flexledger Availability", "1")
        AccessManaged(manager)
    {
        market = market_;
        leastStakeUeur = leastStakeUeur_;
    }

    /// @inheritdoc IAvailability
    function setSlasher(address slasher_) external restricted {
        // INVARIANT: who may take a stake is known before the first one and never changes.
        if (slasher != address(0)) revert AvailabilitySlasherAlreadySet();
        slasher = slasher_;
        emit SlasherSet(slasher_);
    }

    /// @inheritdoc IAvailability
    function stake(uint128 amountUeur) external {
        Stake storage known = _stakes[msg.sender];
        if (known.leftAt != 0) revert AvailabilityStoreLeft(msg.sender);
        known.amountUeur += amountUeur;
        emit Staked(msg.sender, amountUeur, known.amountUeur);
        market.bond(msg.sender, IParticipantRegistry.Role.STORE, amountUeur);
    }

    /// @inheritdoc IAvailability
    function leave() external {
        _leave(msg.sender);
    }

    /// @inheritdoc IAvailability
    function expel(address store) external {
        if (market.isActive(store, IParticipantRegistry.Role.STORE)) revert AvailabilityIsAStore(store);
        _leave(store);
    }

    /// @inheritdoc IAvailability
    function withdrawStake() external {
        Stake memory known = _stakes[msg.sender];
        if (known.amountUeur == 0) revert AvailabilityNoStake(msg.sender);
        // INVARIANT: a stake stands behind every receipt until it is over.
        uint256 end = known.leftAt == 0 ? type(uint256).max : uint256(known.leftAt) + LONGEST_RECEIPT_S;
        if (block.timestamp < end) revert AvailabilityStillBound(msg.sender, end);
        delete _stakes[msg.sender];
        emit StakeWithdrawn(msg.sender, known.amountUeur);
        market.unbond(msg.sender, known.amountUeur);
    }

    /// @inheritdoc IAvailability
    function slashStake(address store, address to) external {
        if (msg.sender != slasher) revert AvailabilityNotTheSlasher(msg.sender);
        uint256 amount = _stakes[store].amountUeur;
        if (amount == 0) return;
        _stakes[store].amountUeur = 0;
        emit StakeSlashed(store, to, amount / 2, amount - amount / 2);
        // Narrowing is safe: bonds have 72 bits.
        market.slash(store, amount, IVault.Shares(address(0), 0, to, uint96(amount / 2)));
    }

    /// @inheritdoc IAvailability
    function certify(ICommitmentBook.Opening calldata opening, StoreReceipts calldata receipts) external {
        bytes32 content = keccak256(abi.encode(opening.root, opening.leafCount));
        ICommitmentBook.ResultTerms memory terms =
            market.resultTerms(opening.session, IParticipantRegistry.Role.STORE);
        uint256 until = uint256(terms.settlementDeadline) + terms.challengeWindowS;
        requireReceipts(terms.receipts, until, content, opening.cidDigest, opening.cidCodec, receipts);
        market.makeAvailable(opening);
    }

    /// @inheritdoc IAvailability
    function publish(
        ICommitmentBook.Opening calldata opening,
        uint32 part,
        bytes calldata leaves,
        bytes32[] calldata proof
    ) external {
        bytes32 sealedHash = market.sealedHashOf(opening);
        ICommitmentBook.Entry memory entry = market.entry(opening.session, opening.player, sealedHash);
        if (entry.state != ICommitmentBook.State.REVEALED) {
            revert AvailabilityNotRevealed(opening.session, opening.player);
        }
        uint32 parts = partsOf(opening.leafCount);
        if (part >= parts) revert AvailabilityNoSuchPart(part, parts);
        Publication storage known = _publications[sealedHash];
        if (known.published.get(part)) revert AvailabilityPartPublished(part);
        HeapTree.Span memory span = HeapTree.span(opening.leafCount, _log2(parts), part);
        bytes32 node = _node(Reader(0, opening.leafCount, entry.side), span, leaves);
        // INVARIANT: the bytes in calldata are the document's own.
        if (!MerkleProof.verifyCalldata(proof, opening.root, node)) {
            revert AvailabilityNotThisPart(opening.root, part);
        }
        known.published.set(part);
        known.parts += 1;
        emit PartPublished(opening.session, opening.player, opening.root, part, parts);
        if (known.parts == parts) market.makeAvailable(opening);
    }

    /// @inheritdoc IAvailability
    function requireReceipts(
        uint256 needed,
        uint256 neededUntil,
        bytes32 content,
        bytes32 cidDigest,
        uint8 cidCodec,
        StoreReceipts calldata receipts
    ) public view {
        uint256 given = receipts.signatures.length / SIGNATURE_BYTES;
        if (given < needed) revert AvailabilityTooFewReceipts(given, needed);
        // INVARIANT: a store answers demands until the session's last result is final.
        if (receipts.until < neededUntil || receipts.until > block.timestamp + LONGEST_RECEIPT_S) {
            revert AvailabilityUntilTooEarly(receipts.until, neededUntil);
        }
        bytes32 digest = hashReceipt(Receipt(content, cidDigest, cidCodec, receipts.until));
        address before = address(0);
        for (uint256 i = 0; i < needed; ++i) {
            bytes calldata signature = receipts.signatures[i * SIGNATURE_BYTES:(i + 1) * SIGNATURE_BYTES];
            address store = _recover(digest, bytes32(signature[:32]), bytes32(signature[32:]), i);
            // INVARIANT: each store counts once.
            if (store <= before) revert AvailabilityNotAscending(store);
            _requireStore(store);
            before = store;
        }
    }

    /// @inheritdoc IAvailability
    function signerOf(Receipt calldata receipt, bytes32 r, bytes32 vs) external view returns (address) {
        return _recover(hashReceipt(receipt), r, vs, 0);
    }

    /// @inheritdoc IAvailability
    function stakeOf(address store) external view returns (Stake memory) {
        return _stakes[store];
    }

    /// @inheritdoc IAvailability
    function hashReceipt(Receipt memory receipt) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
    }

    /// @inheritdoc IAvailability
    function partsOf(uint32 leafCount) public pure returns (uint32) {
        uint256 parts = 1;
        while ((parts << PART_DEPTH) < leafCount) parts <<= 1;
        // Narrowing is safe: fewer parts than leaves.
        return uint32(parts);
    }

    function _leave(address store) private {
        Stake storage known = _stakes[store];
        if (known.amountUeur == 0) revert AvailabilityNoStake(store);
        if (known.leftAt != 0) revert AvailabilityStoreLeft(store);
        known.leftAt = uint48(block.timestamp);
        emit StoreLeft(store);
    }

    /// @dev One slot: that it holds the role was checked when it put up its stake, and who lost it is expelled.
    function _requireStore(address store) private view {
        Stake memory known = _stakes[store];
        if (known.leftAt != 0) revert AvailabilityStoreLeft(store);
        if (known.amountUeur < leastStakeUeur) {
            revert AvailabilityStakeTooSmall(store, known.amountUeur, leastStakeUeur);
        }
    }

    /// @dev The node over a part's leaves.
    function _node(Reader memory reader, HeapTree.Span memory span, bytes calldata leaves)
        private
        pure
        returns (bytes32)
    {
        bytes32[] memory hashes = new bytes32[](span.deepCount + span.upperCount);
        for (uint256 i = 0; i < hashes.length; ++i) {
            uint256 position = i < span.deepCount ? span.deepFirst + i : span.upperFirst + i - span.deepCount;
            hashes[i] = _nextHash(reader, position, leaves);
        }
        if (reader.at != leaves.length) revert AvailabilityWrongBytes(leaves.length - reader.at);
        return HeapTree.node(span, hashes);
    }

    /// @dev Hash of the next leaf, which must be the one of this position.
    function _nextHash(Reader memory reader, uint256 position, bytes calldata leaves) private pure returns (bytes32) {
        uint256 size = _leafBytes(leaves, reader.at, reader.side);
        bytes calldata leaf = leaves[reader.at:reader.at + size];
        uint256 saidPosition = uint256(bytes32(leaf[32:64]));
        uint256 saidLength = uint256(bytes32(leaf[64:96]));
        // INVARIANT: every position of the document is there once.
        if (saidPosition != position || saidLength != reader.leafCount) {
            revert AvailabilityWrongPlace(position, saidPosition, saidLength);
        }
        reader.at += size;
        return keccak256(bytes.concat(keccak256(leaf)));
    }

    function _recover(bytes32 digest, bytes32 r, bytes32 vs, uint256 index) private pure returns (address signer) {
        ECDSA.RecoverError problem;
        (signer, problem,) = ECDSA.tryRecover(digest, r, vs);
        if (problem != ECDSA.RecoverError.NoError) revert AvailabilityNotSigned(index);
    }

    /// @dev The kind, which is the first word, says how long a leaf is.
    function _leafBytes(bytes calldata leaves, uint256 at, ICommitmentBook.Side side) private pure returns (uint256) {
        if (leaves.length < at + 96) revert AvailabilityWrongBytes(leaves.length - at);
        uint256 kind = uint256(bytes32(leaves[at:at + 32]));
        uint256 words;
        if (kind == Leaves.OFFER) words = 16;
        else if (kind == Leaves.REQUEST) words = 13;
        else if (kind == Leaves.EFFECTIVENESS) words = 8;
        else revert AvailabilityUnknownLeaf(kind);
        if ((kind == Leaves.OFFER) != (side == ICommitmentBook.Side.OFFER)) {
            revert AvailabilityLeafOfAnotherSide(kind, side);
        }
        if (leaves.length < at + 32 * words) revert AvailabilityWrongBytes(leaves.length - at);
        return 32 * words;
    }

    function _log2(uint256 parts) private pure returns (uint256 level) {
        while ((1 << level) < parts) ++level;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Cids} from "./libraries/Cids.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title The sealed book: commitments to documents, and their reveals
contract CommitmentBook is ICommitmentBook, EIP712 {
    bytes32 private constant COMMITMENT_TYPEHASH = keccak256(
        "Commitment(uint64 session,address player,uint8 side,bytes32 sealedHash,uint64 capUeur,uint64 nonce,uint48 deadline)"
    );

    IParticipantRegistry public immutable participants;
    IMarketSessions public immutable sessions;
    IVault public immutable vault;
    /// @inheritdoc ICommitmentBook
    address public immutable reserve;

    mapping(uint64 session => mapping(uint32 id => Entry)) private _entries;
    /// @inheritdoc ICommitmentBook
    mapping(uint64 session => uint32) public commitmentCount;
    /// @inheritdoc ICommitmentBook
    mapping(uint64 session => bytes32) public seed;
    /// @inheritdoc ICommitmentBook
    mapping(address player => uint64) public nonces;

    constructor(IParticipantRegistry participants_, IMarketSessions sessions_, IVault vault_, address reserve_)
        EIP712("flexledger CommitmentBook", "1")
    {
        if (reserve_ == address(0)) revert CommitmentBookZeroReserve();
        participants = participants_;
        sessions = sessions_;
        vault = vault_;
        reserve = reserve_;
    }

    /// @inheritdoc ICommitmentBook
    function commit(Commitment calldata given) external returns (uint32 id) {
        if (msg.sender != given.player) revert CommitmentBookNotThePlayer(given.player, msg.sender);
        return _commit(given);
    }

    /// @inheritdoc ICommitmentBook
    function commitFor(Commitment calldata given, bytes calldata signature) external returns (uint32 id) {
        bytes32 digest = hashCommitment(given);
        if (!SignatureChecker.isValidSignatureNowCalldata(given.player, digest, signature)) {
            revert CommitmentBookBadSignature(given.player, digest);
        }
        return _commit(given);
    }

    /// @inheritdoc ICommitmentBook
    function reveal(
        uint64 session,
        uint32 id,
        bytes32 root,
        bytes32 salt,
        uint32 leafCount,
        bytes32 cidDigest,
        uint8 cidCodec
    ) external {
        sessions.requireReveal(session);
        Entry storage entry = _committed(session, id);
        address player = entry.player;
        Cids.requireKnown(cidCodec);
        if (leafCount == 0) revert CommitmentBookNoLeaves(session, id);
        // INVARIANT: the book holds what was committed, by whom it was committed, in the session for which it was.
        bytes32 revealed = keccak256(abi.encode(session, player, root, salt, leafCount, cidDigest, cidCodec));
        if (revealed != entry.hash) revert CommitmentBookWrongReveal(session, id, entry.hash, revealed);
        uint64 cap = entry.capUeur;
        entry.hash = root;
        entry.state = State.REVEALED;
        entry.leafCount = leafCount;
        seed[session] ^= keccak256(abi.encode(player, salt));
        uint64 coverage = _cover(session, player, cap);
        entry.coverageUeur = coverage;
        emit Revealed(session, id, player, entry.side, root, salt, leafCount, cidDigest, cidCodec, coverage);
    }

    /// @inheritdoc ICommitmentBook
    function forfeit(uint64 session, uint32 id) external {
        uint48 deadline = sessions.terms(session).revealDeadline;
        if (block.timestamp < deadline) {
            revert CommitmentBookRevealStillOpen(session, deadline, block.timestamp);
        }
        Entry storage entry = _committed(session, id);
        entry.state = State.FORFEITED;
        uint64 bond = sessions.bondUeur(session, entry.capUeur);
        vault.move(VaultKeys.bond(session), entry.player, reserve, bond);
        emit Forfeited(session, id, entry.player, bond);
    }

    /// @inheritdoc ICommitmentBook
    function commitment(uint64 session, uint32 id) external view returns (Entry memory) {
        Entry memory entry = _entries[session][id];
        if (entry.state == State.NONE) revert CommitmentBookNoSuchCommitment(session, id);
        return entry;
    }

    /// @inheritdoc ICommitmentBook
    function hashCommitment(Commitment calldata given) public view returns (bytes32) {
        // The struct's fields are static, so that its ABI encoding is the concatenation that EIP-712 hashes.
        return _hashTypedDataV4(keccak256(abi.encode(COMMITMENT_TYPEHASH, given)));
    }

    function _commit(Commitment calldata given) private returns (uint32 id) {
        uint64 session = given.session;
        address player = given.player;
        uint64 bond = sessions.requireOpen(session, given.capUeur);
        participants.requireRole(player, _roleOf(given.side));
        if (given.sealedHash == 0) revert CommitmentBookZeroHash();
        // INVARIANT: what a player signed is used once, and not after its deadline.
        uint64 expected = nonces[player];
        if (given.nonce != expected) revert CommitmentBookWrongNonce(player, expected, given.nonce);
        if (block.timestamp > given.deadline) revert CommitmentBookExpired(given.deadline, block.timestamp);
        nonces[player] = expected + 1;
        id = ++commitmentCount[session];
        _entries[session][id] = Entry({
            hash: given.sealedHash,
            player: player,
            capUeur: given.capUeur,
            side: given.side,
            state: State.COMMITTED,
            coverageUeur: 0,
            leafCount: 0
        });
        vault.lock(VaultKeys.bond(session), player, bond);
        emit Committed(session, id, player, given.side, given.sealedHash, given.capUeur, bond, given.nonce);
    }

    /// @dev The bond comes back first: it may cover the cap too.
    function _cover(uint64 session, address player, uint64 cap) private returns (uint64) {
        vault.release(VaultKeys.bond(session), player, sessions.bondUeur(session, cap));
        // Narrowing is safe: never above the cap.
        return uint64(vault.lockUpTo(VaultKeys.coverage(session), player, cap));
    }

    function _committed(uint64 session, uint32 id) private view returns (Entry storage entry) {
        entry = _entries[session][id];
        State state = entry.state;
        if (state == State.NONE) revert CommitmentBookNoSuchCommitment(session, id);
        // INVARIANT: a commitment is revealed or forfeited once, and its bond leaves the lock once.
        if (state != State.COMMITTED) revert CommitmentBookNotCommitted(session, id, state);
    }

    function _roleOf(Side side) private pure returns (IParticipantRegistry.Role) {
        if (side == Side.OFFER) return IParticipantRegistry.Role.AGGREGATOR;
        return side == Side.DSO_REQUEST ? IParticipantRegistry.Role.DSO : IParticipantRegistry.Role.TSO;
    }
}

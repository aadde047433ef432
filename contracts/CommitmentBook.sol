// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {MarketSessions} from "./MarketSessions.sol";
import {Vault} from "./Vault.sol";
import {Cids} from "./libraries/Cids.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title The sealed book: commitments to documents, their reveals, and the documents that stand in it
abstract contract CommitmentBook is ICommitmentBook, MarketSessions, Vault, EIP712 {
    bytes32 private constant COMMITMENT_TYPEHASH = keccak256(
        "Commitment(uint64 session,address player,uint8 side,bytes32 sealedHash,uint64 capUeur,bytes32 replaces,uint64 nonce,uint48 deadline)"
    );
    bytes32 private constant RETRACTION_TYPEHASH =
        keccak256("Retraction(uint64 session,address player,bytes32 sealedHash,uint64 nonce,uint48 deadline)");

    mapping(bytes32 key => Entry) private _entries;
    mapping(uint64 session => Tally) private _tallies;
    /// @dev Inverted, and so not zero before the first reveal, which then pays for no new slot.
    mapping(uint64 session => bytes32) private _invertedSeeds;

    constructor() EIP712("flexledger CommitmentBook", "1") {}

    /// @inheritdoc ICommitmentBook
    function commit(Commitment calldata given) external {
        if (msg.sender != given.player) revert CommitmentBookNotThePlayer(given.player, msg.sender);
        _commit(given);
    }

    /// @inheritdoc ICommitmentBook
    function commitFor(Commitment calldata given, bytes calldata signature) external {
        _requireSigned(given.player, hashCommitment(given), signature);
        _commit(given);
    }

    /// @inheritdoc ICommitmentBook
    function retract(uint64 session, bytes32 sealedHash) external {
        _requireOpen(session, 0);
        _accounts[msg.sender].freeUeur += _withdraw(session, msg.sender, sealedHash);
    }

    /// @inheritdoc ICommitmentBook
    function retractFor(Retraction calldata given, bytes calldata signature) external {
        _requireSigned(given.player, hashRetraction(given), signature);
        _requireOpen(given.session, 0);
        Account storage account = _accounts[given.player];
        _requireNext(given.player, account.nonce, given.nonce, given.deadline);
        account.nonce += 1;
        account.freeUeur += _withdraw(given.session, given.player, given.sealedHash);
    }

    /// @inheritdoc ICommitmentBook
    function reveal(Opening calldata opening) external {
        uint64 session = opening.session;
        address player = opening.player;
        _requireReveal(session);
        Cids.requireKnown(opening.cidCodec);
        if (opening.leafCount == 0) revert CommitmentBookNoLeaves(session, player);
        // INVARIANT: the book holds what was committed, by whom it was committed, in the session for which it was.
        bytes32 sealedHash = sealedHashOf(opening);
        Entry storage kept = _entryIn(session, player, sealedHash, State.COMMITTED);
        Entry memory known = kept;
        uint64 coverage = _cover(player, known.moneyUeur, known.capUeur);
        known.state = State.REVEALED;
        known.moneyUeur = coverage;
        _entries[_key(session, player, sealedHash)] = known;
        _count(session, known.side, coverage);
        _invertedSeeds[session] ^= keccak256(abi.encode(player, opening.salt));
        emit Revealed(
            session,
            player,
            sealedHash,
            opening.root,
            opening.salt,
            opening.leafCount,
            opening.cidDigest,
            opening.cidCodec,
            coverage
        );
    }

    /// @inheritdoc ICommitmentBook
    function makeAvailable(Opening calldata opening) external onlyController {
        uint64 session = opening.session;
        address player = opening.player;
        _requireNotPaused();
        SessionTerms storage known = _known(session);
        uint256 time = _marketTime(known);
        // INVARIANT: the book is complete at the documents deadline.
        if (time >= known.documentsDeadline) {
            revert CommitmentBookDocumentsClosed(session, known.documentsDeadline, time);
        }
        bytes32 sealedHash = sealedHashOf(opening);
        Entry storage kept = _entryIn(session, player, sealedHash, State.REVEALED);
        _requireRole(player, _accounts[player], _roleOf(kept.side));
        Tally storage counted = _tallies[session];
        kept.state = State.AVAILABLE;
        kept.number = ++counted.documents;
        // INVARIANT: every leaf of the book has a position of its own; checked arithmetic refuses the 2^32nd.
        if (kept.side == Side.OFFER) {
            kept.firstPosition = counted.offerLeaves;
            counted.offerLeaves += opening.leafCount;
        } else {
            kept.firstPosition = counted.requestLeaves;
            counted.requestLeaves += opening.leafCount;
        }
        emit DocumentAvailable(session, kept.number, player, kept.side, sealedHash, kept.firstPosition);
    }

    /// @inheritdoc ICommitmentBook
    function gather(uint64 session, address[] calldata players, bytes32[] calldata sealedHashes) external {
        if (players.length != sealedHashes.length) {
            revert CommitmentBookWrongLists(players.length, sealedHashes.length);
        }
        SessionTerms storage known = _known(session);
        uint256 time = _marketTime(known);
        if (time < known.documentsDeadline) {
            revert CommitmentBookDocumentsStillOpen(session, known.documentsDeadline, time);
        }
        for (uint256 i = 0; i < players.length; ++i) {
            _gather(session, players[i], sealedHashes[i]);
        }
    }

    /// @inheritdoc ICommitmentBook
    function forfeit(uint64 session, address player, bytes32 sealedHash) external {
        SessionTerms storage known = _known(session);
        uint256 time = _marketTime(known);
        if (time < known.revealDeadline) {
            revert CommitmentBookRevealStillOpen(session, known.revealDeadline, time);
        }
        Entry storage kept = _entryIn(session, player, sealedHash, State.COMMITTED);
        uint64 bondUeur_ = kept.moneyUeur;
        kept.state = State.FORFEITED;
        kept.moneyUeur = 0;
        emit Forfeited(session, player, sealedHash, bondUeur_);
        _giveFree(reserve, bondUeur_);
    }

    /// @inheritdoc ICommitmentBook
    function entry(uint64 session, address player, bytes32 sealedHash) external view returns (Entry memory) {
        return _entries[_key(session, player, sealedHash)];
    }

    /// @inheritdoc ICommitmentBook
    function document(Opening calldata opening) external view returns (Entry memory) {
        return _entryIn(opening.session, opening.player, sealedHashOf(opening), State.AVAILABLE);
    }

    /// @inheritdoc ICommitmentBook
    function tally(uint64 session) external view returns (Tally memory) {
        return _tallies[session];
    }

    /// @inheritdoc ICommitmentBook
    function resultTerms(uint64 session, Role role) external view returns (ResultTerms memory found) {
        SessionTerms storage known = _known(session);
        (found.time, found.paused) = _marketTimeAndPause(known);
        // Each lies in a slot of its own: only the one that is asked for is read.
        if (role == Role.CLEARING_ORACLE) found.named = known.clearingOracle;
        else if (role == Role.GRID_ORACLE) found.named = known.gridOracle;
        else if (role == Role.SETTLEMENT_ORACLE) found.named = known.settlementOracle;
        // A challenge asks as OPERATOR, for the times alone.
        if (role != Role.OPERATOR) found.escrowUeur = _tallies[session].escrowUeur;
        found.outcomeBondUeur = known.outcomeBondUeur;
        found.outcomeBondPermille = known.outcomeBondPermille;
        found.receipts = known.receipts;
        found.takeoverS = known.takeoverS;
        found.challengeWindowS = known.challengeWindowS;
        found.gateOpening = known.gateOpening;
        found.documentsDeadline = known.documentsDeadline;
        found.marketOutcomeDeadline = known.marketOutcomeDeadline;
        found.validatedOutcomeDeadline = known.validatedOutcomeDeadline;
        found.deliveryStart = known.deliveryStart;
        found.settlementDeadline = known.settlementDeadline;
    }

    /// @inheritdoc ICommitmentBook
    function seed(uint64 session) external view returns (bytes32) {
        return _tallies[session].opened ? ~_invertedSeeds[session] : bytes32(0);
    }

    /// @inheritdoc ICommitmentBook
    function nonces(address player) external view returns (uint64) {
        return _accounts[player].nonce;
    }

    /// @inheritdoc ICommitmentBook
    function hashCommitment(Commitment calldata given) public view returns (bytes32) {
        // The struct's fields are static, so that its ABI encoding is the concatenation that EIP-712 hashes.
        return _hashTypedDataV4(keccak256(abi.encode(COMMITMENT_TYPEHASH, given)));
    }

    /// @inheritdoc ICommitmentBook
    function hashRetraction(Retraction calldata given) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RETRACTION_TYPEHASH, given)));
    }

    /// @inheritdoc ICommitmentBook
    function sealedHashOf(Opening calldata opening) public pure returns (bytes32) {
        return keccak256(abi.encode(opening));
    }

    function _openBook(uint64 session) internal override {
        _tallies[session].opened = true;
        _invertedSeeds[session] = ~bytes32(0);
    }

    function _commit(Commitment calldata given) private {
        uint64 session = given.session;
        address player = given.player;
        uint64 bond_ = _requireOpen(session, given.capUeur);
        if (given.sealedHash == 0) revert CommitmentBookZeroHash();
        Account memory account = _accounts[player];
        _requireRole(player, account, _roleOf(given.side));
        // INVARIANT: what a player signed is used once, and not after its deadline.
        _requireNext(player, account.nonce, given.nonce, given.deadline);
        if (given.replaces != 0) account.freeUeur += _withdraw(session, player, given.replaces);
        if (account.freeUeur < bond_) revert VaultInsufficientFree(player, account.freeUeur, bond_);
        unchecked {
            account.freeUeur -= bond_;
        }
        account.nonce += 1;
        _accounts[player] = account;
        Entry storage kept = _entries[_key(session, player, given.sealedHash)];
        // INVARIANT: a sealed hash is used once, whatever became of it.
        if (kept.state != State.NONE) {
            revert CommitmentBookUsedHash(session, player, given.sealedHash, kept.state);
        }
        _entries[_key(session, player, given.sealedHash)] = Entry({
            state: State.COMMITTED,
            side: given.side,
            gathered: false,
            number: 0,
            firstPosition: 0,
            capUeur: given.capUeur,
            moneyUeur: bond_
        });
        emit Committed(session, player, given.sealedHash, given.side, given.capUeur, bond_, given.nonce);
    }

    /// @dev Gives the bond, which the caller frees.
    function _withdraw(uint64 session, address player, bytes32 sealedHash) private returns (uint64 bond_) {
        Entry storage kept = _entryIn(session, player, sealedHash, State.COMMITTED);
        bond_ = kept.moneyUeur;
        kept.state = State.WITHDRAWN;
        kept.moneyUeur = 0;
        emit Retracted(session, player, sealedHash, bond_);
    }

    /// @dev The bond comes back first: it may cover the cap too.
    function _cover(address player, uint64 bond_, uint64 cap) private returns (uint64 coverage) {
        uint96 available = _accounts[player].freeUeur + bond_;
        // Narrowing is safe: never above the cap.
        coverage = available < cap ? uint64(available) : cap;
        _accounts[player].freeUeur = available - coverage;
    }

    function _count(uint64 session, Side side, uint64 coverage) private {
        Tally memory counted = _tallies[session];
        counted.ungathered += 1;
        if (side != Side.OFFER) counted.escrowUeur += coverage;
        _tallies[session] = counted;
    }

    function _gather(uint64 session, address player, bytes32 sealedHash) private {
        Entry storage kept = _entries[_key(session, player, sealedHash)];
        State state = kept.state;
        if (state != State.REVEALED && state != State.AVAILABLE) {
            revert CommitmentBookNotInState(session, player, sealedHash, State.REVEALED, state);
        }
        // INVARIANT: what covers a document moves once.
        if (kept.gathered) revert CommitmentBookAlreadyGathered(session, player, sealedHash);
        kept.gathered = true;
        _tallies[session].ungathered -= 1;
        uint64 coverage = kept.moneyUeur;
        emit Gathered(session, player, sealedHash, coverage);
        _lock(VaultKeys.coverage(session), player, coverage);
    }

    function _entryIn(uint64 session, address player, bytes32 sealedHash, State needed)
        private
        view
        returns (Entry storage kept)
    {
        kept = _entries[_key(session, player, sealedHash)];
        State found = kept.state;
        // INVARIANT: a commitment is withdrawn, revealed or forfeited once, and its bond leaves once.
        if (found != needed) revert CommitmentBookNotInState(session, player, sealedHash, needed, found);
    }

    function _requireSigned(address player, bytes32 digest, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNowCalldata(player, digest, signature)) {
            revert CommitmentBookBadSignature(player, digest);
        }
    }

    function _requireNext(address player, uint64 expected, uint64 given, uint48 deadline) private view {
        if (given != expected) revert CommitmentBookWrongNonce(player, expected, given);
        if (block.timestamp > deadline) revert CommitmentBookExpired(deadline, block.timestamp);
    }

    function _roleOf(Side side) private pure returns (Role) {
        if (side == Side.OFFER) return Role.AGGREGATOR;
        return side == Side.DSO_REQUEST ? Role.DSO : Role.TSO;
    }

    function _key(uint64 session, address player, bytes32 sealedHash) private pure returns (bytes32) {
        return keccak256(abi.encode(session, player, sealedHash));
    }
}

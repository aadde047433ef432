// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IFlexToken} from "../interfaces/IFlexToken.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {ISettlementLedger} from "../interfaces/ISettlementLedger.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Cids} from "./libraries/Cids.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title Settlements: payments, penalties and customers' rewards
contract SettlementLedger is ISettlementLedger {
    using BitMaps for BitMaps.BitMap;

    /// @dev What claims need of a final settlement. Two slots.
    struct Rewards {
        bytes32 claimRoot;
        uint32 claimLength;
        uint64 rewardsUeur;
        uint64 claimed;
    }

    /// @dev So that `finalise` stays below 16 million gas.
    uint256 private constant MOST_PAIRS = 200;
    uint256 private constant MOST_CUSTOMERS = 100;

    IParticipantRegistry public immutable participants;
    IMarketSessions public immutable sessions;
    IVault public immutable vault;
    IOutcomeBoard public immutable board;
    IFlexToken public immutable token;

    mapping(uint64 session => Posting) private _postings;
    mapping(uint64 session => Rewards) private _rewards;
    mapping(uint64 session => BitMaps.BitMap) private _claimed;

    constructor(
        IParticipantRegistry participants_,
        IMarketSessions sessions_,
        IVault vault_,
        IOutcomeBoard board_,
        IFlexToken token_
    ) {
        participants = participants_;
        sessions = sessions_;
        vault = vault_;
        board = board_;
        token = token_;
    }

    /// @inheritdoc ISettlementLedger
    function postSettlement(Settlement calldata settlement, Pair[] calldata pairs) external {
        uint64 session = settlement.session;
        participants.requireRole(msg.sender, IParticipantRegistry.Role.SETTLEMENT_ORACLE);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        _requireTime(session, terms.settlementDeadline);
        // INVARIANT: what was settled is never replaced.
        if (_postings[session].postedAt != 0) revert SettlementLedgerAlreadyPosted(session);
        bytes32 outcome = board.outcomeHash(session, IOutcomeBoard.Stage.VALIDATED);
        // INVARIANT: a settlement follows a validated outcome, and this one.
        if (outcome == 0 || outcome != settlement.validatedOutcomeHash) {
            revert SettlementLedgerWrongOutcome(session, outcome, settlement.validatedOutcomeHash);
        }
        Cids.requireKnown(settlement.cidCodec);
        _requirePairs(session, pairs);
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        _postings[session] =
            Posting({hash: hash, poster: msg.sender, postedAt: uint48(block.timestamp), finalised: false});
        vault.lock(VaultKeys.settlement(session), msg.sender, terms.outcomeBondUeur);
        emit SettlementPosted(session, msg.sender, hash, settlement, pairs);
    }

    /// @inheritdoc ISettlementLedger
    function finalise(Settlement calldata settlement, Pair[] calldata pairs) external {
        uint64 session = settlement.session;
        Posting storage posted = _posted(session);
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        if (hash != posted.hash) revert SettlementLedgerWrongSettlement(session, posted.hash, hash);
        // INVARIANT: a session is paid once.
        if (posted.finalised) revert SettlementLedgerAlreadyFinal(session);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        // INVARIANT: no money moves while outcome or settlement can be challenged. The outcome's window is as long and
        // opened earlier.
        uint256 end = uint256(posted.postedAt) + terms.challengeWindowS;
        if (block.timestamp < end) revert SettlementLedgerTooEarly(session, end, block.timestamp);
        posted.finalised = true;
        _rewards[session] = Rewards({
            claimRoot: settlement.claimRoot,
            claimLength: settlement.claimLength,
            rewardsUeur: settlement.rewardsUeur,
            claimed: 0
        });
        emit SettlementFinalised(session, hash);
        bytes32 key = VaultKeys.coverage(session);
        for (uint256 i = 0; i < pairs.length; ++i) {
            Pair calldata pair = pairs[i];
            uint64 paid = _move(key, session, pair.payer, pair.payee, pair.paymentUeur);
            emit Paid(session, pair.payer, pair.payee, paid);
            uint64 penalty = _move(key, session, pair.payee, pair.payer, pair.penaltyUeur);
            emit Penalised(session, pair.payee, pair.payer, penalty);
        }
        vault.release(VaultKeys.settlement(session), posted.poster, terms.outcomeBondUeur);
    }

    /// @inheritdoc ISettlementLedger
    function releaseCoverage(uint64 session, address account) external {
        // INVARIANT: coverage stays until nothing can be owed from it any more.
        if (!_isOver(session)) revert SettlementLedgerCoverageStillNeeded(session, account);
        bytes32 key = VaultKeys.coverage(session);
        uint256 amount = vault.locked(key, account);
        if (amount == 0) revert SettlementLedgerNothingToRelease(session, account);
        vault.release(key, account, amount);
        emit CoverageReleased(session, account, amount);
    }

    /// @inheritdoc ISettlementLedger
    function claim(
        uint64 session,
        uint32 position,
        uint32 length,
        address[] calldata wallets,
        uint64[] calldata amounts,
        bytes32[] calldata proof
    ) external {
        if (!_postings[session].finalised) revert SettlementLedgerNotFinal(session);
        _requireClaimLeaf(session, position, length, proof, Leaves.hashClaim(position, length, wallets, amounts));
        if (wallets.length == 0 || wallets.length > MOST_CUSTOMERS || wallets.length != amounts.length) {
            revert SettlementLedgerWrongBatch(wallets.length, amounts.length);
        }
        // INVARIANT: a claim is paid once.
        if (_claimed[session].get(position)) revert SettlementLedgerAlreadyClaimed(session, position);
        _claimed[session].set(position);
        uint64 amount = _count(session, amounts);
        emit RewardsClaimed(session, position, uint32(wallets.length), amount);
        token.mintBatch(wallets, amounts);
    }

    /// @inheritdoc ISettlementLedger
    function posting(uint64 session) external view returns (Posting memory) {
        return _postings[session];
    }

    /// @inheritdoc ISettlementLedger
    function canFinalise(uint64 session) external view returns (bool) {
        Posting memory posted = _postings[session];
        return posted.postedAt != 0 && !posted.finalised
            && block.timestamp >= uint256(posted.postedAt) + sessions.terms(session).challengeWindowS;
    }

    /// @inheritdoc ISettlementLedger
    function isFinal(uint64 session) external view returns (bool) {
        return _postings[session].finalised;
    }

    /// @inheritdoc ISettlementLedger
    function isClaimed(uint64 session, uint32 position) external view returns (bool) {
        return _claimed[session].get(position);
    }

    /// @dev Moves what is owed as far as it is locked: a debtor short of money holds up nobody else's.
    function _move(bytes32 key, uint64 session, address from, address to, uint64 owed) private returns (uint64) {
        if (owed == 0) return 0;
        uint256 available = vault.locked(key, from);
        // Narrowing is safe: only below what is owed.
        uint64 moved = available < owed ? uint64(available) : owed;
        vault.move(key, from, to, moved);
        if (moved < owed) emit FellShort(session, from, to, owed - moved);
        return moved;
    }

    function _count(uint64 session, uint64[] calldata amounts) private returns (uint64) {
        Rewards storage rewards = _rewards[session];
        uint256 amount = 0;
        for (uint256 i = 0; i < amounts.length; ++i) {
            amount += amounts[i];
        }
        // INVARIANT: no more tokens than the settlement said, whatever its leaves say.
        uint256 claimed = rewards.claimed + amount;
        if (claimed > rewards.rewardsUeur) {
            revert SettlementLedgerClaimsAboveRewards(session, claimed, rewards.rewardsUeur);
        }
        // Narrowing is safe: not above rewardsUeur.
        rewards.claimed = uint64(claimed);
        return uint64(amount);
    }

    function _isOver(uint64 session) private view returns (bool) {
        Posting memory posted = _postings[session];
        if (posted.postedAt != 0) return posted.finalised;
        return board.isEnded(session) || block.timestamp >= sessions.terms(session).settlementDeadline;
    }

    function _posted(uint64 session) private view returns (Posting storage posted) {
        posted = _postings[session];
        if (posted.postedAt == 0) revert SettlementLedgerNotPosted(session);
    }

    function _requireTime(uint64 session, uint48 deadline) private view {
        uint48 end = sessions.deliveryEnd(session);
        if (block.timestamp < end) revert SettlementLedgerTooEarly(session, end, block.timestamp);
        if (block.timestamp >= deadline) revert SettlementLedgerTooLate(session, deadline, block.timestamp);
    }

    /// @dev By role and not by activity: who was suspended meanwhile is still paid.
    function _requirePairs(uint64 session, Pair[] calldata pairs) private view {
        if (pairs.length > MOST_PAIRS) revert SettlementLedgerTooManyPairs(pairs.length, MOST_PAIRS);
        for (uint256 i = 0; i < pairs.length; ++i) {
            // INVARIANT: money goes between operators and aggregators only.
            address payer = pairs[i].payer;
            if (
                !participants.hasRole(payer, IParticipantRegistry.Role.DSO)
                    && !participants.hasRole(payer, IParticipantRegistry.Role.TSO)
            ) revert SettlementLedgerNotAPayer(session, payer);
            if (!participants.hasRole(pairs[i].payee, IParticipantRegistry.Role.AGGREGATOR)) {
                revert SettlementLedgerNotAPayee(session, pairs[i].payee);
            }
        }
    }

    function _requireClaimLeaf(
        uint64 session,
        uint32 position,
        uint32 length,
        bytes32[] calldata proof,
        bytes32 leaf
    ) private view {
        Rewards storage rewards = _rewards[session];
        if (length != rewards.claimLength) {
            revert SettlementLedgerWrongClaimLength(session, rewards.claimLength, length);
        }
        if (position >= length) revert SettlementLedgerNoSuchClaim(session, position, length);
        if (!MerkleProof.verifyCalldata(proof, rewards.claimRoot, leaf)) {
            revert SettlementLedgerBadProof(session, position);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IArbiterCases} from "./IArbiterCases.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";

/// @title Settlements: payments, penalties and customers' rewards
/// @notice When the settlement that stands on the board is final, payments and penalties move from what was locked at
/// the reveals to the free balances of payee and payer, and claims mint tokens to customers. What a case froze waits
/// for its ruling, and nothing else does. No pause stops any of it.
interface ISettlementLedger {
    event SettlementFinalised(uint64 indexed session, bytes32 indexed hash);
    event Paid(uint64 indexed session, address indexed payer, address indexed payee, uint64 amountUeur);
    event Penalised(uint64 indexed session, address indexed payee, address indexed payer, uint64 amountUeur);
    event FellShort(uint64 indexed session, address indexed debtor, address indexed creditor, uint64 missingUeur);
    event CoverageReleased(uint64 indexed session, address indexed account, uint256 amountUeur);
    /// @param amountUeur of the payment, kept until the cases that named it are decided
    event Withheld(uint64 indexed session, address indexed payer, address indexed payee, uint64 amountUeur);
    event FrozenSettled(uint64 indexed session, uint256 indexed id, bool upheld);
    /// @param amountUeur of what was withheld, that stays with the payer
    event Spared(uint64 indexed session, address indexed payer, address indexed payee, uint64 amountUeur);
    event RewardUnpayable(uint64 indexed session, uint256 index, int64 amount);
    event DebtChanged(uint64 indexed session, address indexed wallet, uint256 debtUeur);
    event RewardsClaimed(uint64 indexed session, uint32 indexed position, uint32 pods);

    error SettlementLedgerNotPosted(uint64 session);
    error SettlementLedgerWrongSettlement(uint64 session, bytes32 expected, bytes32 given);
    error SettlementLedgerAlreadyFinal(uint64 session);
    error SettlementLedgerNotFinal(uint64 session);
    error SettlementLedgerStillOpen(uint64 session);
    error SettlementLedgerUngathered(uint64 session, uint32 documents);
    error SettlementLedgerCaseUndecided(uint256 id);
    error SettlementLedgerCaseSettled(uint256 id);
    error SettlementLedgerWrongPosting(uint256 id, uint48 casePostedAt, uint48 postedAt);
    error SettlementLedgerWrongItems(uint256 id, bytes32 expected, bytes32 given);
    error SettlementLedgerCoverageStillNeeded(uint64 session, address account);
    error SettlementLedgerNothingToRelease(uint64 session, address account);
    error SettlementLedgerAlreadyClaimed(uint64 session, uint32 position);
    error SettlementLedgerWrongClaimLength(uint64 session, uint32 expected, uint32 given);
    error SettlementLedgerNoSuchClaim(uint64 session, uint32 position, uint32 length);
    error SettlementLedgerWrongBatch(uint256 wallets, uint256 amounts);
    error SettlementLedgerBadProof(uint64 session, uint32 position);
    error SettlementLedgerClaimsAboveRewards(uint64 session, uint256 claimed, uint64 rewardsUeur);

    /// @notice Pays and penalises as posted, once outcome and settlement are final and what covers the session is
    /// gathered. By anyone. Where less is locked than is owed, what is there moves and FellShort says what is missing.
    /// What cases named of a payment is withheld.
    function finalise(IOutcomeBoard.Settlement calldata settlement, IOutcomeBoard.Pair[] calldata pairs) external;

    /// @notice Releases what a decided case had frozen: to the payees, or if upheld to the payers. By anyone, once,
    /// after `finalise`, with the case's items and the settlement as posted.
    function settleFrozen(
        uint256 id,
        IArbiterCases.Item[] calldata items,
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs
    ) external;

    /// @notice Frees what is still locked for a session of one account, when the session is final, ended empty, or can
    /// have no settlement any more, but for what is withheld. By anyone.
    function releaseCoverage(uint64 session, address account) external;

    /// @notice Mints one claim leaf's rewards, once, when the settlement is final. By anyone.
    /// @param position of the leaf
    /// @param length of the list, as in the leaf
    /// @param wallets customers of 1 to 100 PoDs
    /// @param amounts token units (10^-6), as many as wallets; one below 0 is carried over to the wallet's next
    /// rewards. What goes to the zero address is minted to nobody
    /// @param proof of the leaf under the claim root
    function claim(
        uint64 session,
        uint32 position,
        uint32 length,
        address[] calldata wallets,
        int64[] calldata amounts,
        bytes32[] calldata proof
    ) external;

    /// @notice Penalties of a wallet's PoDs that its rewards have still to make up for, token units (10^-6).
    function debtUeur(address wallet) external view returns (uint256);

    /// @notice What is withheld of a payer's money in a session until cases are decided, 10^-6 euro.
    function withheldUeur(uint64 session, address payer) external view returns (uint256);

    /// @notice Whether a session's settlement is final.
    function isFinal(uint64 session) external view returns (bool);

    /// @notice Whether a claim leaf was claimed.
    function isClaimed(uint64 session, uint32 position) external view returns (bool);
}

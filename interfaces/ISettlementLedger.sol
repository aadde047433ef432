// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Settlements: payments, penalties and customers' rewards
/// @notice A settlement is posted with a bond and becomes final after its challenge window. Then payments and penalties move
/// from what was locked at the reveals to the free balances of payee and payer, and claims mint tokens to customers.
interface ISettlementLedger {
    /// @notice A session's settlement: roots and lengths of its lists, its document's CID and its total.
    /// @param validatedOutcomeHash hash of the outcome that is settled
    /// @param claimRoot tree of the claim leaves, up to 100 customers each
    /// @param rewardsUeur sum of all claims, token units (10^-6)
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

    /// @notice What the ledger keeps of a settlement; all zero if none was posted.
    struct Posting {
        bytes32 hash;
        address poster;
        uint48 postedAt;
        bool finalised;
    }

    event SettlementPosted(
        uint64 indexed session, address indexed poster, bytes32 indexed hash, Settlement settlement, Pair[] pairs
    );
    event SettlementFinalised(uint64 indexed session, bytes32 indexed hash);
    event Paid(uint64 indexed session, address indexed payer, address indexed payee, uint64 amountUeur);
    event Penalised(uint64 indexed session, address indexed payee, address indexed payer, uint64 amountUeur);
    event FellShort(uint64 indexed session, address indexed debtor, address indexed creditor, uint64 missingUeur);
    event CoverageReleased(uint64 indexed session, address indexed account, uint256 amountUeur);
    event RewardsClaimed(uint64 indexed session, uint32 indexed position, uint32 customers, uint64 amount);

    error SettlementLedgerAlreadyPosted(uint64 session);
    error SettlementLedgerNotPosted(uint64 session);
    error SettlementLedgerTooEarly(uint64 session, uint256 from, uint256 time);
    error SettlementLedgerTooLate(uint64 session, uint48 deadline, uint256 time);
    error SettlementLedgerWrongOutcome(uint64 session, bytes32 expected, bytes32 given);
    error SettlementLedgerTooManyPairs(uint256 pairs, uint256 most);
    error SettlementLedgerNotAPayer(uint64 session, address account);
    error SettlementLedgerNotAPayee(uint64 session, address account);
    error SettlementLedgerWrongSettlement(uint64 session, bytes32 expected, bytes32 given);
    error SettlementLedgerAlreadyFinal(uint64 session);
    error SettlementLedgerNotFinal(uint64 session);
    error SettlementLedgerCoverageStillNeeded(uint64 session, address account);
    error SettlementLedgerNothingToRelease(uint64 session, address account);
    error SettlementLedgerAlreadyClaimed(uint64 session, uint32 position);
    error SettlementLedgerWrongClaimLength(uint64 session, uint32 expected, uint32 given);
    error SettlementLedgerNoSuchClaim(uint64 session, uint32 position, uint32 length);
    error SettlementLedgerWrongBatch(uint256 wallets, uint256 amounts);
    error SettlementLedgerBadProof(uint64 session, uint32 position);
    error SettlementLedgerClaimsAboveRewards(uint64 session, uint256 claimed, uint64 rewardsUeur);

    /// @notice Posts a session's settlement, from the end of delivery until the settlement deadline. By a SETTLEMENT_ORACLE.
    /// @param pairs payers are DSOs or TSOs, payees aggregators; at most 200
    function postSettlement(Settlement calldata settlement, Pair[] calldata pairs) external;

    /// @notice Makes a settlement final when the challenge windows of outcome and settlement are over: pays, penalises, gives
    /// the poster its bond back. By anyone, with what was posted. Where less is locked than is owed, what is there moves and
    /// FellShort says what is missing.
    function finalise(Settlement calldata settlement, Pair[] calldata pairs) external;

    /// @notice Frees what is still locked for a session of one account, when the session is final, ended empty, or has no
    /// settlement by its deadline. By anyone.
    function releaseCoverage(uint64 session, address account) external;

    /// @notice Mints one claim leaf's rewards, once, when the settlement is final. By anyone.
    /// @param position of the leaf
    /// @param length of the list, as in the leaf
    /// @param wallets 1 to 100 customers
    /// @param amounts token units (10^-6), as many as wallets
    /// @param proof of the leaf under the claim root
    function claim(
        uint64 session,
        uint32 position,
        uint32 length,
        address[] calldata wallets,
        uint64[] calldata amounts,
        bytes32[] calldata proof
    ) external;

    /// @notice What was posted for a session; all zero if nothing.
    function posting(uint64 session) external view returns (Posting memory);

    /// @notice Whether `finalise` would go through now, given what was posted.
    function canFinalise(uint64 session) external view returns (bool);

    /// @notice Whether a session's settlement is final.
    function isFinal(uint64 session) external view returns (bool);

    /// @notice Whether a claim leaf was claimed.
    function isClaimed(uint64 session, uint32 position) external view returns (bool);
}

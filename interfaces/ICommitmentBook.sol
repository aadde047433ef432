// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IParticipantRegistry} from "./IParticipantRegistry.sol";

/// @title The sealed book: commitments to documents, their reveals, and the documents that stand in it
/// @notice Until the gate closes the book holds hashes only. The sealed hash is keccak256(abi.encode(session, player, root,
/// salt, leafCount, cidDigest, cidCodec)). Session and player are in it, so that a copied hash can't be revealed by who
/// copied it; the CID is in it, so that who sees a reveal on its way can't send it first with another document's address.
/// A commitment is known by session, player and sealed hash: who copies a hash stands in nobody's way.
/// A revealed document stands in the book once it is available; its number and its positions are given then.
interface ICommitmentBook {
    /// @notice Which list of the book a document belongs to, and so the role that its player needs.
    enum Side {
        OFFER,
        DSO_REQUEST,
        TSO_REQUEST
    }

    /// @notice Where a commitment stands.
    enum State {
        NONE,
        COMMITTED,
        WITHDRAWN,
        FORFEITED,
        REVEALED,
        AVAILABLE
    }

    /// @notice What a player signs (EIP-712) or sends.
    /// @param session to which the document belongs
    /// @param player whose document it is
    /// @param side its kind
    /// @param sealedHash see above
    /// @param capUeur most money the document may move, 10^-6 euro; a document beyond it is void
    /// @param replaces sealed hash of the player's commitment in this session whose place it takes, 0 for none
    /// @param nonce the player's next nonce here
    /// @param deadline last second at which the commitment may be sent
    struct Commitment {
        uint64 session;
        address player;
        Side side;
        bytes32 sealedHash;
        uint64 capUeur;
        bytes32 replaces;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice What a player signs (EIP-712) to take a commitment back.
    struct Retraction {
        uint64 session;
        address player;
        bytes32 sealedHash;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice What a sealed hash hides.
    /// @param root of the document's tree
    /// @param leafCount leaves of the document, at least 1
    /// @param cidDigest SHA-256 digest of the document's CID
    /// @param cidCodec codec of the CID: 0x55 raw or 0x70 dag-pb
    struct Opening {
        uint64 session;
        address player;
        bytes32 root;
        bytes32 salt;
        uint32 leafCount;
        bytes32 cidDigest;
        uint8 cidCodec;
    }

    /// @notice A commitment as the book keeps it. One slot.
    /// @param gathered whether its coverage has gone to the vault's lock of the session
    /// @param number of the document in the session's book, from 1 on, once available
    /// @param firstPosition position in the book of its first leaf; offers and requests count apart
    /// @param moneyUeur its bond while committed; how far its player's balance covered the cap from the reveal on, 10^-6 euro
    struct Entry {
        State state;
        Side side;
        bool gathered;
        uint32 number;
        uint32 firstPosition;
        uint64 capUeur;
        uint64 moneyUeur;
    }

    /// @notice A session's book in numbers. One slot.
    /// @param opened true from the session's creation on
    /// @param ungathered revealed documents whose coverage isn't gathered
    /// @param documents available documents
    /// @param offerLeaves leaves of available offer documents together
    /// @param requestLeaves leaves of available request documents together
    /// @param escrowUeur what covers all revealed requests, 10^-6 euro
    struct Tally {
        bool opened;
        uint32 ungathered;
        uint32 documents;
        uint32 offerLeaves;
        uint32 requestLeaves;
        uint64 escrowUeur;
    }

    /// @notice What who posts or challenges a result needs of its session, in one call. Terms as in IMarketSessions.
    /// @param time market time now
    /// @param paused whether the market is paused
    /// @param named who has the first turn at the stage; 0: everybody
    /// @param escrowUeur as in the tally
    struct ResultTerms {
        uint256 time;
        bool paused;
        address named;
        uint64 escrowUeur;
        uint64 outcomeBondUeur;
        uint16 outcomeBondPermille;
        uint8 receipts;
        uint32 takeoverS;
        uint32 challengeWindowS;
        uint48 gateOpening;
        uint48 documentsDeadline;
        uint48 marketOutcomeDeadline;
        uint48 validatedOutcomeDeadline;
        uint48 deliveryStart;
        uint48 settlementDeadline;
    }

    event Committed(
        uint64 indexed session,
        address indexed player,
        bytes32 indexed sealedHash,
        Side side,
        uint64 capUeur,
        uint64 bondUeur,
        uint64 nonce
    );
    event Retracted(uint64 indexed session, address indexed player, bytes32 indexed sealedHash, uint64 bondUeur);
    event Revealed(
        uint64 indexed session,
        address indexed player,
        bytes32 indexed sealedHash,
        bytes32 root,
        bytes32 salt,
        uint32 leafCount,
        bytes32 cidDigest,
        uint8 cidCodec,
        uint64 coverageUeur
    );
    event DocumentAvailable(
        uint64 indexed session,
        uint32 indexed number,
        address indexed player,
        Side side,
        bytes32 sealedHash,
        uint32 firstPosition
    );
    event Forfeited(uint64 indexed session, address indexed player, bytes32 indexed sealedHash, uint64 bondUeur);
    event Gathered(uint64 indexed session, address indexed player, bytes32 indexed sealedHash, uint64 coverageUeur);

    error CommitmentBookNotThePlayer(address player, address sender);
    error CommitmentBookBadSignature(address player, bytes32 digest);
    error CommitmentBookWrongNonce(address player, uint64 expected, uint64 given);
    error CommitmentBookExpired(uint48 deadline, uint256 time);
    error CommitmentBookZeroHash();
    error CommitmentBookUsedHash(uint64 session, address player, bytes32 sealedHash, State state);
    error CommitmentBookNotInState(uint64 session, address player, bytes32 sealedHash, State needed, State found);
    error CommitmentBookNoLeaves(uint64 session, address player);
    error CommitmentBookRevealStillOpen(uint64 session, uint48 revealDeadline, uint256 time);
    error CommitmentBookDocumentsClosed(uint64 session, uint48 documentsDeadline, uint256 time);
    error CommitmentBookDocumentsStillOpen(uint64 session, uint48 documentsDeadline, uint256 time);
    error CommitmentBookAlreadyGathered(uint64 session, address player, bytes32 sealedHash);
    error CommitmentBookWrongLists(uint256 players, uint256 sealedHashes);

    /// @notice Commits the sender's document while the session is open, and locks its bond from the sender's free balance.
    function commit(Commitment calldata commitment) external;

    /// @notice As `commit`, sent by anyone with the player's signature of `hashCommitment` (an ERC-1271 wallet's as well).
    function commitFor(Commitment calldata commitment, bytes calldata signature) external;

    /// @notice Takes the sender's commitment back while the session is open; its bond is free again. Its hash is used up.
    function retract(uint64 session, bytes32 sealedHash) external;

    /// @notice As `retract`, sent by anyone with the player's signature of `hashRetraction`.
    function retractFor(Retraction calldata retraction, bytes calldata signature) external;

    /// @notice Reveals a commitment, by anyone who knows what it hides, from gate closure until the reveal deadline.
    /// Frees the bond, mixes keccak256(abi.encode(player, salt)) into the session's seed, and keeps of the player's free
    /// balance as much as the cap, or what there is: as far as that goes the document counts.
    function reveal(Opening calldata opening) external;

    /// @notice Puts a revealed document into the book, before the documents deadline. By the market's contract that saw that
    /// its bytes can be had; controllers only.
    function makeAvailable(Opening calldata opening) external;

    /// @notice Moves what covers revealed documents to the vault's lock of the session, from the documents deadline on. By
    /// anyone; each once. A settlement is paid when all of a session's is gathered.
    function gather(uint64 session, address[] calldata players, bytes32[] calldata sealedHashes) external;

    /// @notice Moves the bond of a commitment that wasn't revealed in time to the market's reserve. By anyone.
    function forfeit(uint64 session, address player, bytes32 sealedHash) external;

    /// @notice A commitment as the book keeps it; all zero for an unknown one.
    function entry(uint64 session, address player, bytes32 sealedHash) external view returns (Entry memory);

    /// @notice The book's entry of an available document: proves root, leaf count and positions. Reverts for any other.
    function document(Opening calldata opening) external view returns (Entry memory);

    /// @notice A session's book in numbers.
    function tally(uint64 session) external view returns (Tally memory);

    /// @notice What who posts or challenges a result needs of its session; reverts for an unknown one.
    /// @param role of who posts it, which says whose turn is named
    function resultTerms(uint64 session, IParticipantRegistry.Role role) external view returns (ResultTerms memory);

    /// @notice XOR of the shares of all reveals of a session.
    function seed(uint64 session) external view returns (bytes32);

    /// @notice The nonce that the player's next commitment or retraction must carry.
    function nonces(address player) external view returns (uint64);

    /// @notice The EIP-712 digest that the player signs to commit.
    function hashCommitment(Commitment calldata commitment) external view returns (bytes32);

    /// @notice The EIP-712 digest that the player signs to take back.
    function hashRetraction(Retraction calldata retraction) external view returns (bytes32);

    /// @notice The sealed hash of what it hides.
    function sealedHashOf(Opening calldata opening) external pure returns (bytes32);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The points of delivery (PoDs) of the market
/// @notice A PoD is known by a pseudonym: the hash of its id and a secret salt, new with each flexibility contract. It
/// has one aggregator for ever: another aggregator means another contract and another pseudonym, `replaces` in the
/// consent. Its record is kept when it is removed, because past sessions are settled and replayed with it, and so a
/// pseudonym is used only once. Products are bits of a mask: 1 << 0 active up, 1 active down, 2 reactive up, 3 reactive
/// down.
interface IPodRegistry {
    /// @notice What the customer consents to, and the aggregator registers.
    /// @param pod pseudonym
    /// @param aggregator who may offer the PoD
    /// @param customer wallet that gets the rewards, and signs this
    /// @param node address of the Light Node's key
    /// @param mechanism settlement mechanism (ISettlementMechanism), from the factory or anybody's own
    /// @param maxUpW most active power up (more generation or less demand), W
    /// @param maxDownW most active power down, W
    /// @param maxUpVar most reactive power up (more var injected), var
    /// @param maxDownVar most reactive power down, var
    /// @param replaces the customer's PoD that this one takes the place of, 0 if none; it is removed
    /// @param nonce the customer's next nonce here
    /// @param deadline last second at which the consent may be used
    struct Registration {
        bytes32 pod;
        address aggregator;
        address customer;
        address node;
        address mechanism;
        uint32 maxUpW;
        uint32 maxDownW;
        uint32 maxUpVar;
        uint32 maxDownVar;
        bytes32 replaces;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice What the customer signs to end a PoD's part in the market; anybody sends it.
    /// @param nonce the customer's next nonce here
    /// @param deadline last second at which it may be used
    struct Revocation {
        bytes32 pod;
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice A new Light Node key for a PoD. Signed by that key, which so shows that somebody holds it, and by a DSO.
    /// @param deadline last second at which it may be used
    struct NodeKey {
        bytes32 pod;
        address node;
        uint48 deadline;
    }

    /// @notice A registered PoD; all zero for an unknown one.
    /// @param removedAt 0 while the PoD takes part
    /// @param node address of the Light Node's key, 0 once it is revoked; a removed PoD's last
    /// @param gridProducts products for which the grid was found to allow it
    /// @param marketProducts products for which the PoD was found able
    /// @param suspendedBy mask of the roles (1 << IParticipantRegistry.Role) that suspend it
    /// @param changedAt when prequalification or suspension last changed, 0 if never
    /// @param pom the DSO's point of measure, 0 until it says
    struct Pod {
        address aggregator;
        uint48 registeredAt;
        uint48 removedAt;
        address customer;
        uint32 maxUpW;
        uint32 maxDownW;
        uint32 maxUpVar;
        address node;
        uint32 maxDownVar;
        uint16 gridProducts;
        uint16 marketProducts;
        uint16 suspendedBy;
        address mechanism;
        uint48 changedAt;
        bytes32 pom;
    }

    /// @notice When a key served a PoD: from the first second on, before the last; `until` 0: still. All zero: never.
    struct NodeService {
        uint48 from;
        uint48 until;
    }

    event ReadingAnchorSet(address indexed readingAnchor);
    event PodRegistered(
        bytes32 indexed pod,
        address indexed aggregator,
        address indexed customer,
        address node,
        address mechanism,
        uint32 maxUpW,
        uint32 maxDownW,
        uint32 maxUpVar,
        uint32 maxDownVar
    );
    event PomSet(bytes32 indexed pod, bytes32 indexed pom, address indexed dso);
    /// @notice `by`: who ended it, the customer also where it signed and another sent.
    event PodRemoved(bytes32 indexed pod, address indexed by);
    event PodReplaced(bytes32 indexed replaced, bytes32 indexed pod);
    event GridPrequalified(bytes32 indexed pod, uint16 products, address indexed by, string reason);
    event ProductsPrequalified(bytes32 indexed pod, uint16 products, address indexed by, string reason);
    event PodSuspended(bytes32 indexed pod, uint16 suspendedBy, address indexed by, string reason);
    event PodReinstated(bytes32 indexed pod, uint16 suspendedBy, address indexed by);
    event NodeRotated(bytes32 indexed pod, address indexed node, address indexed former, address dso);
    /// @notice `pod`: which the key served, 0 if none any more.
    event NodeRevoked(bytes32 indexed pod, address indexed node, address indexed by, string reason);

    error PodRegistryZeroValue(bytes32 pod, string field);
    error PodRegistryKnownPod(bytes32 pod);
    error PodRegistryUnknownPod(bytes32 pod);
    error PodRegistryRemovedPod(bytes32 pod, uint48 removedAt);
    error PodRegistryNodeInUse(address node, bytes32 pod);
    error PodRegistryFormerNode(bytes32 pod, address node);
    error PodRegistryRevokedNode(address node);
    error PodRegistryMechanismWithoutCode(address mechanism);
    error PodRegistryNotTheAggregator(bytes32 pod, address aggregator, address sender);
    error PodRegistryNotTheCustomers(bytes32 pod, address customer);
    error PodRegistryNotAllowed(bytes32 pod, address sender);
    error PodRegistryWrongNonce(address customer, uint64 expected, uint64 given);
    error PodRegistryExpired(uint48 deadline, uint256 time);
    error PodRegistryBadConsent(address customer, bytes32 digest);
    error PodRegistryBadPossession(address node, bytes32 digest);
    error PodRegistryBadApproval(address dso, bytes32 digest);
    error PodRegistryUnknownProducts(bytes32 pod, uint16 products);
    error PodRegistryWithoutReason(bytes32 pod);
    error PodRegistrySuspended(bytes32 pod, uint16 suspendedBy);
    error PodRegistryNotSuspended(bytes32 pod, uint16 suspendedBy);
    error PodRegistryReadingAnchorKnown(address readingAnchor);
    error PodRegistryNotTheReadingAnchor(address sender);

    /// @notice Names the contract that may revoke keys for contradicting themselves. Administrators only, once.
    function setReadingAnchor(address readingAnchor_) external;

    /// @notice Registers a PoD. By its aggregator, with the customer's EIP-712 consent to all of it. The PoD that it
    /// replaces, one of the same customer's, is removed and may hand on its Light Node's key; what was sold of it is
    /// settled by its record. Prequalification starts anew.
    /// @param customerSignature of `hashRegistration(registration)`; an ERC-1271 wallet's as well
    function register(Registration calldata registration, bytes calldata customerSignature) external;

    /// @notice Sets the PoD's point of measure. By a DSO.
    function setPom(bytes32 pod, bytes32 pom) external;

    /// @notice Ends a PoD's part in the market and frees its Light Node's key for another. By its aggregator or
    /// customer.
    function remove(bytes32 pod) external;

    /// @notice Ends a PoD's part in the market as its customer signed it; sent by anybody.
    /// @param customerSignature of `hashRevocation(revocation)`; an ERC-1271 wallet's as well
    function revoke(Revocation calldata revocation, bytes calldata customerSignature) external;

    /// @notice Says which products the grid allows the PoD. By a DSO.
    /// @param products mask; 0 withdraws all
    /// @param reason asked for where a product is withdrawn
    function prequalifyGrid(bytes32 pod, uint16 products, string calldata reason) external;

    /// @notice Says which products the PoD is able to deliver. By a DSO or TSO.
    /// @param products mask; 0 withdraws all
    /// @param reason asked for where a product is withdrawn
    function prequalifyProducts(bytes32 pod, uint16 products, string calldata reason) external;

    /// @notice Keeps a PoD from being offered until it is reinstated. By a DSO or OPERATOR.
    function suspend(bytes32 pod, string calldata reason) external;

    /// @notice Ends a suspension. By a DSO what a DSO, by an OPERATOR what an OPERATOR suspended.
    function reinstate(bytes32 pod) external;

    /// @notice Gives a PoD another Light Node key, from now on. By its aggregator or customer, with signatures of
    /// `hashNodeKey(key)`. Neither can do it alone: who holds the key says what was delivered. A PoD never gets a
    /// former key back, and nobody a revoked one.
    /// @param possession of the new key, 65 bytes
    /// @param dso who approves of it
    /// @param approval of the DSO; an ERC-1271 wallet's as well
    function rotateNode(NodeKey calldata key, bytes calldata possession, address dso, bytes calldata approval) external;

    /// @notice Ends the service of a PoD's Light Node key: readings that end from now on don't count. By the PoD's
    /// aggregator or customer, or a DSO.
    function revokeNode(bytes32 pod, string calldata reason) external;

    /// @notice Revokes a key that signed two readings of one period, for the PoD that it serves now. What it said up to
    /// now isn't undone: a settlement that was right when it was posted stays right. By the ReadingAnchor.
    function revokeContradicting(address node) external;

    /// @notice The contract that may revoke keys for contradicting themselves, 0 until it is set.
    function readingAnchor() external view returns (address);

    /// @notice A PoD's record, removed or not; all zero for an unknown one.
    function pods(bytes32 pod) external view returns (Pod memory);

    /// @notice The PoD's aggregator, zero for an unknown PoD. It never changes.
    function aggregatorOf(bytes32 pod) external view returns (address);

    /// @notice The address of the PoD's Light Node key, a removed PoD's last; zero for an unknown PoD or a revoked key.
    function nodeOf(bytes32 pod) external view returns (address);

    /// @notice The PoD that a Light Node's key serves now, zero if none.
    function podOfNode(address node) external view returns (bytes32);

    /// @notice Whether a key was revoked; it then never serves again.
    function isRevoked(address node) external view returns (bool);

    /// @notice When a key served a PoD.
    function nodeService(bytes32 pod, address node) external view returns (NodeService memory);

    /// @notice Whether a key served a PoD at an instant. What it says of the past never changes.
    /// @param instant UTC Unix second
    function nodeServed(bytes32 pod, address node, uint256 instant) external view returns (bool);

    /// @notice Whether a PoD may be offered for a product now: it takes part, nobody suspends it, and it is
    /// prequalified by grid and by product.
    /// @param product number of the product, the place of its bit
    function offerable(bytes32 pod, uint8 product) external view returns (bool);

    /// @notice The nonce that the customer's next consent or revocation must carry.
    function nonces(address customer) external view returns (uint64);

    /// @notice The EIP-712 digest of a consent.
    function hashRegistration(Registration calldata registration) external view returns (bytes32);

    /// @notice The EIP-712 digest of a revocation.
    function hashRevocation(Revocation calldata revocation) external view returns (bytes32);

    /// @notice The EIP-712 digest of a new key.
    function hashNodeKey(NodeKey calldata key) external view returns (bytes32);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The points of delivery (PoDs) of the market
/// @notice A PoD is known by a pseudonym: the hash of its id and a secret salt, new with each flexibility contract. Its
/// record is kept when it is removed, because past sessions are replayed with it, and so a pseudonym is used only once.
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
        uint64 nonce;
        uint48 deadline;
    }

    /// @notice A registered PoD; all zero for an unknown one. `pom`: the DSO's point of measure, 0 until it says.
    /// `removedAt`: 0 while the PoD takes part.
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
        address mechanism;
        bytes32 pom;
    }

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
    event PodRemoved(bytes32 indexed pod, address indexed by);

    error PodRegistryZeroValue(bytes32 pod, string field);
    error PodRegistryKnownPod(bytes32 pod);
    error PodRegistryUnknownPod(bytes32 pod);
    error PodRegistryRemovedPod(bytes32 pod, uint48 removedAt);
    error PodRegistryNodeInUse(address node, bytes32 pod);
    error PodRegistryMechanismWithoutCode(address mechanism);
    error PodRegistryNotTheAggregator(bytes32 pod, address aggregator, address sender);
    error PodRegistryNotAllowed(bytes32 pod, address sender);
    error PodRegistryWrongNonce(address customer, uint64 expected, uint64 given);
    error PodRegistryConsentExpired(uint48 deadline, uint256 time);
    error PodRegistryBadConsent(address customer, bytes32 digest);

    /// @notice Registers a PoD. By its aggregator, with the customer's EIP-712 consent to all of it.
    /// @param customerSignature of `hashRegistration(registration)`; an ERC-1271 wallet's as well
    function register(Registration calldata registration, bytes calldata customerSignature) external;

    /// @notice Sets the PoD's point of measure. By a DSO.
    function setPom(bytes32 pod, bytes32 pom) external;

    /// @notice Ends a PoD's part in the market and frees its Light Node's key for another. By its aggregator or customer.
    function remove(bytes32 pod) external;

    /// @notice A PoD's record, removed or not; all zero for an unknown one.
    function pods(bytes32 pod) external view returns (Pod memory);

    /// @notice The PoD's aggregator, zero for an unknown PoD.
    function aggregatorOf(bytes32 pod) external view returns (address);

    /// @notice The address of the PoD's Light Node key, zero for an unknown PoD.
    function nodeOf(bytes32 pod) external view returns (address);

    /// @notice The PoD that a Light Node's key serves now, zero if none.
    function podOfNode(address node) external view returns (bytes32);

    /// @notice The nonce that the customer's next consent must carry.
    function nonces(address customer) external view returns (uint64);

    /// @notice The EIP-712 digest that the customer signs.
    function hashRegistration(Registration calldata registration) external view returns (bytes32);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";

/// @title The points of delivery (PoDs) of the market
contract PodRegistry is IPodRegistry, EIP712 {
    bytes32 private constant REGISTRATION_TYPEHASH = keccak256(
        "Registration(bytes32 pod,address aggregator,address customer,address node,address mechanism,uint32 maxUpW,uint32 maxDownW,uint32 maxUpVar,uint32 maxDownVar,uint64 nonce,uint48 deadline)"
    );

    IParticipantRegistry public immutable participants;

    mapping(bytes32 pod => Pod) private _pods;
    /// @inheritdoc IPodRegistry
    mapping(address node => bytes32) public podOfNode;
    /// @inheritdoc IPodRegistry
    mapping(address customer => uint64) public nonces;

    constructor(IParticipantRegistry participants_) EIP712("flexledger PodRegistry", "1") {
        participants = participants_;
    }

    /// @inheritdoc IPodRegistry
    function register(Registration calldata registration, bytes calldata customerSignature) external {
        if (msg.sender != registration.aggregator) {
            revert PodRegistryNotTheAggregator(registration.pod, registration.aggregator, msg.sender);
        }
        participants.requireRole(msg.sender, IParticipantRegistry.Role.AGGREGATOR);
        _requireUsable(registration);
        _useConsent(registration, customerSignature);
        _pods[registration.pod] = Pod({
            aggregator: registration.aggregator,
            registeredAt: uint48(block.timestamp),
            removedAt: 0,
            customer: registration.customer,
            maxUpW: registration.maxUpW,
            maxDownW: registration.maxDownW,
            maxUpVar: registration.maxUpVar,
            node: registration.node,
            maxDownVar: registration.maxDownVar,
            mechanism: registration.mechanism,
            pom: 0
        });
        podOfNode[registration.node] = registration.pod;
        emit PodRegistered(
            registration.pod,
            registration.aggregator,
            registration.customer,
            registration.node,
            registration.mechanism,
            registration.maxUpW,
            registration.maxDownW,
            registration.maxUpVar,
            registration.maxDownVar
        );
    }

    /// @inheritdoc IPodRegistry
    function setPom(bytes32 pod, bytes32 pom) external {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.DSO);
        if (pom == 0) revert PodRegistryZeroValue(pod, "pom");
        _active(pod).pom = pom;
        emit PomSet(pod, pom, msg.sender);
    }

    /// @inheritdoc IPodRegistry
    function remove(bytes32 pod) external {
        Pod storage known = _active(pod);
        // INVARIANT: nobody but the PoD's aggregator and customer ends its contract.
        if (msg.sender != known.aggregator && msg.sender != known.customer) {
            revert PodRegistryNotAllowed(pod, msg.sender);
        }
        known.removedAt = uint48(block.timestamp);
        delete podOfNode[known.node];
        emit PodRemoved(pod, msg.sender);
    }

    /// @inheritdoc IPodRegistry
    function pods(bytes32 pod) external view returns (Pod memory) {
        return _pods[pod];
    }

    /// @inheritdoc IPodRegistry
    function aggregatorOf(bytes32 pod) external view returns (address) {
        return _pods[pod].aggregator;
    }

    /// @inheritdoc IPodRegistry
    function nodeOf(bytes32 pod) external view returns (address) {
        return _pods[pod].node;
    }

    /// @inheritdoc IPodRegistry
    function hashRegistration(Registration calldata registration) public view returns (bytes32) {
        // The struct's fields are static, so that its ABI encoding is the concatenation that EIP-712 hashes.
        return _hashTypedDataV4(keccak256(abi.encode(REGISTRATION_TYPEHASH, registration)));
    }

    function _active(bytes32 pod) private view returns (Pod storage known) {
        known = _pods[pod];
        if (known.aggregator == address(0)) revert PodRegistryUnknownPod(pod);
        if (known.removedAt != 0) revert PodRegistryRemovedPod(pod, known.removedAt);
    }

    function _requireUsable(Registration calldata registration) private view {
        bytes32 pod = registration.pod;
        if (pod == 0) revert PodRegistryZeroValue(pod, "pod");
        if (registration.customer == address(0)) revert PodRegistryZeroValue(pod, "customer");
        if (registration.node == address(0)) revert PodRegistryZeroValue(pod, "node");
        // INVARIANT: a pseudonym stands for one contract only, removed or not.
        if (_pods[pod].aggregator != address(0)) revert PodRegistryKnownPod(pod);
        // INVARIANT: a Light Node's key speaks for one PoD at a time.
        bytes32 served = podOfNode[registration.node];
        if (served != 0) revert PodRegistryNodeInUse(registration.node, served);
        if (registration.mechanism.code.length == 0) {
            revert PodRegistryMechanismWithoutCode(registration.mechanism);
        }
    }

    function _useConsent(Registration calldata registration, bytes calldata signature) private {
        address customer = registration.customer;
        uint64 expected = nonces[customer];
        // INVARIANT: a consent is used once, and not after its deadline.
        if (registration.nonce != expected) revert PodRegistryWrongNonce(customer, expected, registration.nonce);
        if (block.timestamp > registration.deadline) {
            revert PodRegistryConsentExpired(registration.deadline, block.timestamp);
        }
        bytes32 digest = hashRegistration(registration);
        if (!SignatureChecker.isValidSignatureNowCalldata(customer, digest, signature)) {
            revert PodRegistryBadConsent(customer, digest);
        }
        nonces[customer] = expected + 1;
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IStreamChain} from "./IStreamChain.sol";

/// @title StreamChain
/// @notice See `IStreamChain`.
/// @dev One storage slot per stream holds authority and continuity, so an anchor in steady state costs one SLOAD and
/// one SSTORE. A stream is open exactly when its anchorer is not zero; nothing ever sets an anchorer back to zero or
/// lowers a `nextSeq`. A run can be anchored only once, so a commitment is new whenever it is stored, and never changes.
/// There is no owner of the contract, no upgrade, no ether: every function is non-payable.
contract StreamChain is IStreamChain, Multicall {
    /// @dev Exactly one slot. `nextSeq` is at most 2^64, which a uint64 cannot hold.
    struct Stream {
        address anchorer;
        uint96 nextSeq;
    }

    /// @dev One more than the last seq there can be.
    uint256 private constant SEQ_END = 1 << 64;

    /// @dev What a stream's message may have at most, on every way into it.
    uint256 private constant MAX_PAYLOAD_BYTES = 65_536;

    /// @inheritdoc IStreamChain
    mapping(bytes32 id => Stream) public override streams;

    /// @inheritdoc IStreamChain
    mapping(bytes32 commitment => uint256 time) public override storedAt;

    /// @inheritdoc IStreamChain
    function open(bytes32 nameHash, address anchorer) external override returns (bytes32 stream) {
        stream = _idOf(msg.sender, nameHash);
        if (anchorer == address(0)) revert AnchorerIsZero(stream);
        if (streams[stream].anchorer != address(0)) revert StreamAlreadyOpen(stream);
        streams[stream].anchorer = anchorer;
        emit Opened(stream, msg.sender, nameHash, anchorer);
    }

    /// @inheritdoc IStreamChain
    function delegate(bytes32 nameHash, address anchorer) external override returns (bytes32 stream) {
        stream = _idOf(msg.sender, nameHash);
        if (anchorer == address(0)) revert AnchorerIsZero(stream);
        if (streams[stream].anchorer == address(0)) revert StreamNotOpen(stream);
        streams[stream].anchorer = anchorer;
        emit Delegated(stream, anchorer);
    }

    /// @inheritdoc IStreamChain
    function anchor(Anchor[] calldata anchors) external override {
        if (anchors.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < anchors.length; ++i) {
            _anchor(anchors[i]);
        }
    }

    /// @inheritdoc IStreamChain
    function anchorStored(Anchor[] calldata anchors) external override returns (bytes32 commitment) {
        uint256 count = anchors.length;
        if (count == 0) revert EmptyBatch();
        // A complete binary tree in an array: the children of node i are 2i + 1 and 2i + 2, the first leaf is last.
        bytes32[] memory tree = new bytes32[](2 * count - 1);
        for (uint256 i = 0; i < count; ++i) {
            Anchor calldata run = anchors[i];
            _anchor(run);
            tree[tree.length - 1 - i] = _runLeaf(run.stream, run.firstSeq, run.count, run.root);
        }
        for (uint256 i = count - 1; i > 0; --i) {
            tree[i - 1] = Hashes.commutativeKeccak256(tree[2 * i - 1], tree[2 * i]);
        }
        commitment = tree[0];
        storedAt[commitment] = block.timestamp;
        emit AnchorsStored(commitment, count);
    }

    /// @inheritdoc IStreamChain
    function publish(bytes32 stream, bytes calldata payload) external override {
        _checkPayload(payload);
        emit Published(stream, msg.sender, payload);
    }

    /// @inheritdoc IStreamChain
    function emitMessages(bytes32 stream, uint64 firstSeq, Message[] calldata messages) external override {
        _checkRun(stream, firstSeq, messages.length);
        for (uint256 i = 0; i < messages.length; ++i) {
            Message calldata message = messages[i];
            bytes calldata payload = message.payload;
            _checkPayload(payload);
            // forge-lint: disable-next-line(unsafe-typecast) firstSeq + i < SEQ_END, by _checkRun
            emit MessageEmitted(stream, uint64(firstSeq + i), message.author, message.time, payload);
        }
    }

    /// @inheritdoc IStreamChain
    function emitDigests(bytes32 stream, uint64 firstSeq, bytes32[] calldata digests) external override {
        _checkRun(stream, firstSeq, digests.length);
        for (uint256 i = 0; i < digests.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast) firstSeq + i < SEQ_END, by _checkRun
            emit DigestEmitted(stream, uint64(firstSeq + i), digests[i]);
        }
    }

    /// @inheritdoc IStreamChain
    function verify(bytes32 stream, Claim calldata message, Proof calldata proof)
        external
        view
        override
        returns (bool)
    {
        uint64 seq = message.seq;
        if (seq < proof.firstSeq || seq - proof.firstSeq >= proof.count) return false;
        bytes32 leaf = _doubleHash(abi.encode(stream, seq, message.time, message.author, message.payloadHash));
        bytes32 root = MerkleProof.processProofCalldata(proof.path, leaf);
        bytes32 run = _runLeaf(stream, proof.firstSeq, proof.count, root);
        return storedAt[MerkleProof.processProofCalldata(proof.setPath, run)] != 0;
    }

    /// @inheritdoc IStreamChain
    function multicall(bytes[] calldata data)
        public
        override(IStreamChain, Multicall)
        returns (bytes[] memory results)
    {
        return super.multicall(data);
    }

    /// @dev Anchors one run: checks authority and continuity, then moves the stream on.
    function _anchor(Anchor calldata run) private {
        (bytes32 stream, uint64 firstSeq, uint32 count) = (run.stream, run.firstSeq, run.count);
        if (count == 0) revert EmptyRun(stream, firstSeq);

        Stream storage record = streams[stream];
        (address anchorer, uint96 nextSeq) = (record.anchorer, record.nextSeq);
        _checkAnchorer(stream, anchorer);
        if (firstSeq > nextSeq) revert Gap(stream, nextSeq, firstSeq);
        if (firstSeq < nextSeq) revert Overlap(stream, nextSeq, firstSeq);

        nextSeq += count;
        if (nextSeq > SEQ_END) revert SeqOutOfRange(stream, firstSeq, count);
        record.nextSeq = nextSeq;
        emit Anchored(stream, msg.sender, firstSeq, count, run.root);
    }

    /// @dev What emitting a run of messages or digests asks for: some of them, the right sender, seqs that exist.
    function _checkRun(bytes32 stream, uint64 firstSeq, uint256 count) private view {
        if (count == 0) revert EmptyBatch();
        _checkAnchorer(stream, streams[stream].anchorer);
        // No overflow: calldata cannot hold 2^255 entries.
        if (firstSeq + count > SEQ_END) revert SeqOutOfRange(stream, firstSeq, count);
    }

    function _checkPayload(bytes calldata payload) private pure {
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLarge(payload.length, MAX_PAYLOAD_BYTES);
    }

    function _runLeaf(bytes32 stream, uint64 firstSeq, uint32 count, bytes32 root)
        private
        pure
        returns (bytes32)
    {
        return _doubleHash(abi.encode(stream, firstSeq, count, root));
    }

    /// @dev Hashed twice, so that no inner node, a hash of 64 bytes, passes for a leaf.
    function _doubleHash(bytes memory encoded) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }

    function _checkAnchorer(bytes32 stream, address anchorer) private view {
        if (anchorer == msg.sender) return;
        if (anchorer == address(0)) revert StreamNotOpen(stream);
        revert NotAnchorer(stream, msg.sender, anchorer);
    }

    function _idOf(address owner, bytes32 nameHash) private pure returns (bytes32) {
        return keccak256(abi.encode(owner, nameHash));
    }
}

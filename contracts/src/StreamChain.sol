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
/// The peaks of a stream of rounds are those of its rounds 0 to `nextSeq - 1`, because `anchorRound` alone moves such a
/// stream on.
/// There is no owner of the contract, no upgrade, no ether: every function is non-payable.
contract StreamChain is IStreamChain, Multicall {
    /// @dev Exactly one slot. `nextSeq` is at most 2^64, which a uint64 cannot hold. `hasRounds` says whether the anchors
    /// are rounds; it is false before the first anchor.
    struct Stream {
        address anchorer;
        uint88 nextSeq;
        bool hasRounds;
    }

    /// @dev One more than the last seq there can be.
    uint256 private constant SEQ_END = 1 << 64;

    /// @dev What a stream's message may have at most, on every way into it.
    uint256 private constant MAX_PAYLOAD_BYTES = 65_536;

    /// @dev Rounds are numbered below 2^64, so the highest peak there can be is over 2^64 rounds.
    uint256 private constant MAX_HEIGHT = 64;

    mapping(bytes32 id => Stream) private _streams;

    /// @inheritdoc IStreamChain
    mapping(bytes32 commitment => uint256 time) public override storedAt;

    /// @dev By height. A peak stays after it was merged, until the next one of its height overwrites it: clearing it
    /// would cost more than it gives back, and writing into a used slot is cheaper than into an empty one.
    mapping(bytes32 rounds => bytes32[MAX_HEIGHT + 1]) private _peaks;

    /// @inheritdoc IStreamChain
    function open(bytes32 nameHash, address anchorer) external override returns (bytes32 stream) {
        stream = _idOf(msg.sender, nameHash);
        if (anchorer == address(0)) revert AnchorerIsZero(stream);
        if (_streams[stream].anchorer != address(0)) revert StreamAlreadyOpen(stream);
        _streams[stream].anchorer = anchorer;
        emit Opened(stream, msg.sender, nameHash, anchorer);
    }

    /// @inheritdoc IStreamChain
    function delegate(bytes32 nameHash, address anchorer) external override returns (bytes32 stream) {
        stream = _idOf(msg.sender, nameHash);
        if (anchorer == address(0)) revert AnchorerIsZero(stream);
        if (_streams[stream].anchorer == address(0)) revert StreamNotOpen(stream);
        _streams[stream].anchorer = anchorer;
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
    function anchorRound(bytes32 stream, uint64 round, bytes32 root) external override {
        Stream storage record = _streams[stream];
        (address anchorer, uint88 nextRound, bool hasRounds) =
            (record.anchorer, record.nextSeq, record.hasRounds);
        _checkAnchorer(stream, anchorer);
        if (!hasRounds && nextRound != 0) revert StreamHasRuns(stream);
        if (round != nextRound) _refuse(stream, nextRound, round);
        // No overflow and no seq out of range: a round is at most 2^64 - 1.
        (record.nextSeq, record.hasRounds) = (nextRound + 1, true);
        _append(stream, round, root);
        emit Anchored(stream, msg.sender, round, 1, root);
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
        bytes32 root = MerkleProof.processProofCalldata(proof.path, _messageLeaf(stream, message));
        bytes32 run = _runLeaf(stream, proof.firstSeq, proof.count, root);
        return storedAt[MerkleProof.processProofCalldata(proof.setPath, run)] != 0;
    }

    /// @inheritdoc IStreamChain
    function verifyInRound(bytes32 rounds, bytes32 stream, Claim calldata message, RoundProof calldata proof)
        external
        view
        override
        returns (bool)
    {
        (uint64 seq, uint64 firstSeq, uint64 round) = (message.seq, proof.firstSeq, proof.round);
        uint256 height = proof.rangePath.length;
        if (seq < firstSeq || seq - firstSeq >= proof.count || height > MAX_HEIGHT) return false;
        bytes32 node = MerkleProof.processProofCalldata(proof.path, _messageLeaf(stream, message));
        node = _doubleHash(abi.encode(stream, firstSeq, proof.count, node, proof.previous));
        node = MerkleProof.processProofCalldata(proof.runPath, node);
        node = _doubleHash(abi.encode(round, uint8(stream[0]), proof.runs, node));
        for (uint256 i = 0; i < proof.bucketPath.length; ++i) {
            node = Hashes.commutativeKeccak256(node, proof.bucketPath[i]);
        }
        node = MerkleProof.processProofCalldata(proof.rangePath, _rangeLeaf(rounds, round, node));
        // A hash is never zero, so it never equals a peak that is not there.
        return node == _peaks[rounds][height];
    }

    /// @inheritdoc IStreamChain
    function peak(bytes32 rounds, uint256 height) external view override returns (bytes32) {
        return height > MAX_HEIGHT ? bytes32(0) : _peaks[rounds][height];
    }

    /// @inheritdoc IStreamChain
    function streams(bytes32 stream) external view override returns (address anchorer, uint96 nextSeq) {
        Stream storage record = _streams[stream];
        return (record.anchorer, record.nextSeq);
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

        Stream storage record = _streams[stream];
        (address anchorer, uint88 nextSeq, bool hasRounds) =
            (record.anchorer, record.nextSeq, record.hasRounds);
        _checkAnchorer(stream, anchorer);
        if (hasRounds) revert StreamHasRounds(stream);
        if (firstSeq != nextSeq) _refuse(stream, nextSeq, firstSeq);

        nextSeq += count;
        if (nextSeq > SEQ_END) revert SeqOutOfRange(stream, firstSeq, count);
        record.nextSeq = nextSeq;
        emit Anchored(stream, msg.sender, firstSeq, count, run.root);
    }

    /// @dev Adds a round to the range of its stream: as in a binary counter, each bit that is set below the lowest one
    /// that is not stands for a peak, which is merged with what comes from its right.
    function _append(bytes32 stream, uint64 round, bytes32 root) private {
        bytes32[MAX_HEIGHT + 1] storage peaks = _peaks[stream];
        bytes32 node = _rangeLeaf(stream, round, root);
        uint256 height = 0;
        for (uint256 bits = round; bits & 1 == 1; bits >>= 1) {
            node = Hashes.commutativeKeccak256(peaks[height], node);
            ++height;
        }
        peaks[height] = node;
    }

    /// @dev A stream's anchors are contiguous: the next one begins where the last one ended. This one does not.
    function _refuse(bytes32 stream, uint96 nextSeq, uint64 firstSeq) private pure {
        if (firstSeq > nextSeq) revert Gap(stream, nextSeq, firstSeq);
        revert Overlap(stream, nextSeq, firstSeq);
    }

    /// @dev What emitting a run of messages or digests asks for: some of them, the right sender, seqs that exist.
    function _checkRun(bytes32 stream, uint64 firstSeq, uint256 count) private view {
        if (count == 0) revert EmptyBatch();
        _checkAnchorer(stream, _streams[stream].anchorer);
        // No overflow: calldata cannot hold 2^255 entries.
        if (firstSeq + count > SEQ_END) revert SeqOutOfRange(stream, firstSeq, count);
    }

    function _checkPayload(bytes calldata payload) private pure {
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLarge(payload.length, MAX_PAYLOAD_BYTES);
    }

    function _messageLeaf(bytes32 stream, Claim calldata message) private pure returns (bytes32) {
        return _doubleHash(abi.encode(stream, message.seq, message.time, message.author, message.payloadHash));
    }

    /// @dev The leaf in the range.
    function _rangeLeaf(bytes32 rounds, uint64 round, bytes32 root) private pure returns (bytes32) {
        return _doubleHash(abi.encode(rounds, round, root));
    }

    /// @dev The leaf in a commitment.
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

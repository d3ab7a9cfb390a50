// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// @title StreamChain: receipts for live streams
/// @notice A stream is an ordered, append-only log of messages, numbered 0, 1, 2 … without gaps (`seq`). This contract
/// keeps no message. It records who may speak for a stream and how far the stream is anchored, and emits events from
/// which anyone can check a message later.
///
/// What always holds:
/// - a stream's anchors are contiguous and never overlap: each begins where the one before it ended, the first at 0;
/// - only the anchorer of a stream, as of that moment, anchors it or emits its messages and digests;
/// - only the owner of a stream, whose address is part of its id, opens it and names its anchorer;
/// - what `verify` calls true is a message under a root that the stream's anchorer of that time anchored over its seq;
/// - a stream has runs or rounds, never both; a round that is anchored never changes, and every round of a stream is in
///   the range of its rounds, so what `verifyInRound` calls true once can be proven for ever.
///
/// The id of a stream is `keccak256(abi.encode(owner, keccak256(bytes(name))))`.
///
/// The leaf of a message is
/// `keccak256(bytes.concat(keccak256(abi.encode(stream, seq, time, author, keccak256(payload)))))`, the types being
/// `bytes32`, `uint64`, `uint64` (milliseconds since the Unix epoch), `address` and `bytes32`. Inner nodes of a Merkle
/// tree are the keccak256 of the sorted pair, so OpenZeppelin's `MerkleProof.verify` checks a receipt.
///
/// The leaf of a run is `keccak256(bytes.concat(keccak256(abi.encode(stream, firstSeq, count, root))))`, the types being
/// `bytes32`, `uint64`, `uint32` and `bytes32`. `anchorStored` makes the leaves itself, from runs that it has checked,
/// and stores one commitment for all runs of the call: the Merkle root over their leaves, in the shape of OpenZeppelin's
/// `SimpleMerkleTree.of(leaves, { sortLeaves: false })`.
///
/// A *round* is one root over runs of any number of streams. It is anchored as a message of a stream of rounds, so one
/// slot and one event stand for all those streams, which need not be open. The runs are put into 256 *buckets* by the
/// first byte of their stream's id. Four leaves, each hashed twice as above, lead from a run to a round:
/// - the run: `(bytes32 stream, uint64 firstSeq, uint32 count, bytes32 root, bytes32 previous)`, `previous` being the
///   leaf of the stream's run before it, zero for the first;
/// - the bucket: `(uint64 round, uint8 bucket, uint32 runs, bytes32 bucketRoot)`, the root being over the leaves of its
///   runs in the order of stream ids, zero when there are none;
/// - the round's root is over the leaves of all 256 buckets in their order;
/// - the range: `(bytes32 rounds, uint64 round, bytes32 root)`, `rounds` being the id of the stream of rounds.
/// The *range* is a Merkle mountain range over the rounds of one stream: a perfect tree of 2^h leaves for each bit h of
/// their number that is set. The contract keeps the roots of those trees, the *peaks*.
interface IStreamChain {
    /// @notice A Merkle root over the messages `firstSeq` to `firstSeq + count - 1` of a stream.
    /// @param stream The stream's id.
    /// @param firstSeq The seq of the first message; must be the stream's `nextSeq`.
    /// @param count How many messages the root covers; at least 1.
    /// @param root The Merkle root. The contract cannot judge it: a wrong root proves nothing.
    struct Anchor {
        bytes32 stream;
        uint64 firstSeq;
        uint32 count;
        bytes32 root;
    }

    /// @notice A message as its stream holds it; its stream and seq are given beside it.
    /// @param time When the message was accepted, in milliseconds since the Unix epoch.
    /// @param author Who wrote the message, as the anchorer attests it.
    /// @param payload The message's bytes.
    struct Message {
        uint64 time;
        address author;
        bytes payload;
    }

    /// @notice What is claimed of a message; its stream is given beside it.
    /// @param seq The message's place in the stream.
    /// @param time When the message was accepted, in milliseconds since the Unix epoch.
    /// @param author Who wrote the message, as the anchorer attests it.
    /// @param payloadHash keccak256 of the message's bytes.
    struct Claim {
        uint64 seq;
        uint64 time;
        address author;
        bytes32 payloadHash;
    }

    /// @notice The way from a message to a stored commitment.
    /// @param firstSeq The seq of the first message of the run that the message is in.
    /// @param count How many messages that run has.
    /// @param path The Merkle path from the message's leaf to the run's root: the `proof` of a receipt.
    /// @param setPath The Merkle path from the run's leaf to the commitment; empty when the run was anchored alone.
    struct Proof {
        uint64 firstSeq;
        uint32 count;
        bytes32[] path;
        bytes32[] setPath;
    }

    /// @notice The way from a message to a peak of the range of a stream of rounds.
    /// @param firstSeq The seq of the first message of the run that the message is in.
    /// @param count How many messages that run has.
    /// @param previous The leaf of the stream's run before it; zero when it is the first.
    /// @param round The round that the run is in.
    /// @param runs How many runs the stream's bucket has in that round.
    /// @param bucketPath The Merkle path from the bucket's leaf to the round's root.
    /// @param path The Merkle path from the message's leaf to the run's root: the `proof` of a receipt.
    /// @param runPath The Merkle path from the run's leaf to the bucket's root.
    /// @param rangePath The Merkle path from the round's leaf in the range to a peak. Its length is the peak's height.
    struct RoundProof {
        uint64 firstSeq;
        uint32 count;
        bytes32 previous;
        uint64 round;
        uint32 runs;
        bytes32[8] bucketPath;
        bytes32[] path;
        bytes32[] runPath;
        bytes32[] rangePath;
    }

    /// @notice A stream was opened. Its first anchor begins at seq 0.
    /// @param stream The stream's id.
    /// @param owner Who opened it and may change its anchorer.
    /// @param nameHash keccak256 of the stream's name.
    /// @param anchorer Who may anchor it.
    event Opened(bytes32 indexed stream, address indexed owner, bytes32 nameHash, address anchorer);

    /// @notice From now on `anchorer`, and nobody else, may anchor the stream.
    /// @param stream The stream's id.
    /// @param anchorer Who may anchor it.
    event Delegated(bytes32 indexed stream, address indexed anchorer);

    /// @notice The messages `firstSeq` to `firstSeq + count - 1` of the stream are fixed by `root`.
    /// @param stream The stream's id.
    /// @param anchorer Who anchored the run.
    /// @param firstSeq The seq of the run's first message.
    /// @param count How many messages the run has.
    /// @param root The Merkle root over the run.
    event Anchored(
        bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root
    );

    /// @notice The runs of the last `runs` events `Anchored` of this transaction can be proven to contracts.
    /// @param commitment The Merkle root over the leaves of those runs, in their order.
    /// @param runs How many they are.
    event AnchorsStored(bytes32 indexed commitment, uint256 runs);

    /// @notice Somebody published a payload to the stream by a transaction of their own. It has no seq: block and log
    /// index are its place.
    /// @param stream The id the sender named; it need not be open.
    /// @param author The sender.
    /// @param payload The message's bytes.
    event Published(bytes32 indexed stream, address indexed author, bytes payload);

    /// @notice A message of a stream whose mode is `payload`, whole.
    /// @param stream The stream's id.
    /// @param seq The message's place in the stream.
    /// @param author Who wrote the message, as the anchorer attests it.
    /// @param time When the message was accepted, in milliseconds since the Unix epoch.
    /// @param payload The message's bytes.
    event MessageEmitted(
        bytes32 indexed stream, uint64 indexed seq, address indexed author, uint64 time, bytes payload
    );

    /// @notice The digest of a message of a stream whose mode is `hash`.
    /// @param stream The stream's id.
    /// @param seq The message's place in the stream.
    /// @param digest The message's leaf.
    event DigestEmitted(bytes32 indexed stream, uint64 indexed seq, bytes32 digest);

    /// @notice The sender has opened this stream before.
    /// @param stream The stream's id.
    error StreamAlreadyOpen(bytes32 stream);

    /// @notice Nobody has opened this stream.
    /// @param stream The stream's id.
    error StreamNotOpen(bytes32 stream);

    /// @notice The anchorer given is the zero address. To freeze a stream for good, name an address without a key.
    /// @param stream The stream's id.
    error AnchorerIsZero(bytes32 stream);

    /// @notice The sender may not speak for this stream.
    /// @param stream The stream's id.
    /// @param caller The sender.
    /// @param anchorer Who may.
    error NotAnchorer(bytes32 stream, address caller, address anchorer);

    /// @notice The run begins too late: messages `nextSeq` to `firstSeq - 1` are not anchored yet.
    /// @param stream The stream's id.
    /// @param nextSeq The seq at which the next anchor must begin.
    /// @param firstSeq The seq that was given.
    error Gap(bytes32 stream, uint96 nextSeq, uint64 firstSeq);

    /// @notice The run begins too early: messages up to `nextSeq - 1` are anchored already.
    /// @param stream The stream's id.
    /// @param nextSeq The seq at which the next anchor must begin.
    /// @param firstSeq The seq that was given.
    error Overlap(bytes32 stream, uint96 nextSeq, uint64 firstSeq);

    /// @notice The run has no messages.
    /// @param stream The stream's id.
    /// @param firstSeq The seq that was given.
    error EmptyRun(bytes32 stream, uint64 firstSeq);

    /// @notice The run would go past the last seq, 2^64 - 1.
    /// @param stream The stream's id.
    /// @param firstSeq The seq that was given.
    /// @param count How many messages were given.
    error SeqOutOfRange(bytes32 stream, uint64 firstSeq, uint256 count);

    /// @notice The stream's anchors are rounds, so a run can't be anchored.
    /// @param stream The stream's id.
    error StreamHasRounds(bytes32 stream);

    /// @notice The stream's anchors are runs, so a round can't be anchored.
    /// @param stream The stream's id.
    error StreamHasRuns(bytes32 stream);

    /// @notice The list given has no entries.
    error EmptyBatch();

    /// @notice The payload is longer than a message of a stream can be. Without this bound one event could be larger
    /// than what the nodes and databases behind a stream take at once.
    /// @param length The payload's length in bytes.
    /// @param maximum The most bytes that a payload may have: 65,536.
    error PayloadTooLarge(uint256 length, uint256 maximum);

    /// @notice Opens the sender's stream of this name. Emits `Opened`.
    /// @dev Reverts with `AnchorerIsZero` or `StreamAlreadyOpen`.
    /// @param nameHash keccak256 of the stream's name.
    /// @param anchorer Who may anchor it; may be the sender.
    /// @return stream The stream's id.
    function open(bytes32 nameHash, address anchorer) external returns (bytes32 stream);

    /// @notice Names another anchorer for the sender's stream; the old one loses its right at once. Emits `Delegated`.
    /// @dev Reverts with `AnchorerIsZero` or `StreamNotOpen`.
    /// @param nameHash keccak256 of the stream's name.
    /// @param anchorer Who may anchor it from now on; may be the sender.
    /// @return stream The stream's id.
    function delegate(bytes32 nameHash, address anchorer) external returns (bytes32 stream);

    /// @notice Anchors runs of one or more streams, all of them or none. A stream may occur more than once, its runs
    /// one after the other. Emits `Anchored` for each.
    /// @dev Reverts with `EmptyBatch`, `EmptyRun`, `StreamNotOpen`, `NotAnchorer`, `StreamHasRounds`, `Gap`, `Overlap`
    /// or `SeqOutOfRange`.
    /// @param anchors The runs, in order.
    function anchor(Anchor[] calldata anchors) external;

    /// @notice As `anchor`, and stores one commitment for all the runs, so that contracts can check their messages with
    /// `verify`. Emits `Anchored` for each run and then `AnchorsStored`.
    /// @dev Reverts as `anchor` does. Takes one new storage slot, however many the runs are.
    /// @param anchors The runs, in order.
    /// @return commitment What was stored: the Merkle root over the runs' leaves.
    function anchorStored(Anchor[] calldata anchors) external returns (bytes32 commitment);

    /// @notice Anchors one round of a stream of rounds, by the rules by which `anchor` anchors one message, and adds it to
    /// the range of the stream's rounds, so that contracts can check messages with `verifyInRound`. Emits
    /// `Anchored(stream, anchorer, round, 1, root)`. The first round of a stream makes it a stream of rounds for good.
    /// @dev Reverts with `StreamNotOpen`, `NotAnchorer`, `StreamHasRuns`, `Gap` or `Overlap`. Takes a new storage slot
    /// for the rounds 0, 1, 3, 7 and so on, 65 in all; merged peaks are overwritten later, never cleared.
    /// @param stream The id of the stream of rounds.
    /// @param round The round; must be the stream's `nextSeq`.
    /// @param root The round's root. The contract cannot judge it: a wrong root proves nothing.
    function anchorRound(bytes32 stream, uint64 round, bytes32 root) external;

    /// @notice Publishes a payload to a stream, from anybody, by event only. Emits `Published`.
    /// @dev Reverts with `PayloadTooLarge`.
    /// @param stream The stream's id.
    /// @param payload The message's bytes, at most 65,536; what they may be is the stream's affair.
    function publish(bytes32 stream, bytes calldata payload) external;

    /// @notice Puts whole messages on chain, for streams whose mode is `payload`. Emits `MessageEmitted` for each.
    /// Neither read nor changed is how far the stream is anchored: a message that was emitted twice is one message,
    /// told by its seq, and which of two differing ones is true, the anchor over that seq decides.
    /// @dev Reverts with `EmptyBatch`, `StreamNotOpen`, `NotAnchorer`, `SeqOutOfRange` or `PayloadTooLarge`.
    /// @param stream The stream's id.
    /// @param firstSeq The seq of the first message; the others follow it without gaps.
    /// @param messages The messages, in order, each with a payload of at most 65,536 bytes.
    function emitMessages(bytes32 stream, uint64 firstSeq, Message[] calldata messages) external;

    /// @notice Puts one digest per message on chain, for streams whose mode is `hash`. Emits `DigestEmitted` for each.
    /// As with `emitMessages`, anchoring is not touched and a repetition is harmless.
    /// @dev Reverts with `EmptyBatch`, `StreamNotOpen`, `NotAnchorer` or `SeqOutOfRange`.
    /// @param stream The stream's id.
    /// @param firstSeq The seq of the first message; the others follow it without gaps.
    /// @param digests The messages' leaves, in order.
    function emitDigests(bytes32 stream, uint64 firstSeq, bytes32[] calldata digests) external;

    /// @notice Makes several calls of this contract in one transaction, all of them or none, each with this sender: so
    /// streams can be opened and anchored at once.
    /// @dev Reverts as the first call that fails.
    /// @param data The encoded calls, in order.
    /// @return results What each call returned, encoded.
    function multicall(bytes[] calldata data) external returns (bytes[] memory results);

    /// @notice Whether a message is under a commitment that `anchorStored` stored. True is proof; false says nothing,
    /// since the message may be anchored otherwise. Never reverts.
    /// @param stream The stream's id.
    /// @param message What is claimed of the message.
    /// @param proof The way from the message to the commitment.
    /// @return proven Whether the stream's anchorer anchored exactly this message at this seq.
    function verify(bytes32 stream, Claim calldata message, Proof calldata proof)
        external
        view
        returns (bool proven);

    /// @notice Whether a message is in a round of a stream of rounds. True is proof that the anchorer of `rounds` anchored
    /// exactly this message of `stream` at this seq; whether that account is to be believed about `stream` is for the
    /// caller to say, by naming `rounds` and taking it from nobody who brings a proof. Two runs over one seq are in the
    /// public lists of runs, and there for all to see, but not for this function. False says nothing, since the message
    /// may be anchored otherwise, or the peak may have been overwritten since: a path to a peak of height h counts until
    /// the next peak of that height is made, after which a longer path does. Never reverts.
    /// @param rounds The id of the stream of rounds.
    /// @param stream The id of the message's stream; it need not be open.
    /// @param message What is claimed of the message.
    /// @param proof The way from the message to a peak.
    /// @return proven Whether the rounds have exactly this message at this seq.
    function verifyInRound(bytes32 rounds, bytes32 stream, Claim calldata message, RoundProof calldata proof)
        external
        view
        returns (bool proven);

    /// @notice The peak of a height of the range of a stream's rounds, as it was last made. A peak whose bit is not set
    /// in the number of rounds has been merged into a higher one since; it still is a node of the range.
    /// @param rounds The id of the stream of rounds.
    /// @param height The height: the peak is over 2^height rounds. At most 64.
    /// @return node The peak; zero when there never was one, or when the height is greater than 64.
    function peak(bytes32 rounds, uint256 height) external view returns (bytes32 node);

    /// @notice When a commitment was stored.
    /// @param commitment The Merkle root over the leaves of the runs of one `anchorStored`.
    /// @return time The time of its block, in seconds since the Unix epoch; zero when it was never stored.
    function storedAt(bytes32 commitment) external view returns (uint256 time);

    /// @notice Who may anchor a stream and how far it is anchored.
    /// @param stream The stream's id.
    /// @return anchorer Who may anchor it; zero when nobody has opened it.
    /// @return nextSeq How many messages or rounds are anchored, which is the seq at which the next anchor begins.
    function streams(bytes32 stream) external view returns (address anchorer, uint96 nextSeq);
}

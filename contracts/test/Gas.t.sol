// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IStreamChain} from "../src/IStreamChain.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev What whole transactions cost: base, calldata and execution, with all storage cold, as the first transaction on
/// it in a block. The figures are kept in snapshots/WholeTransaction.json, and a test fails when one of them changes.
contract GasTest is StreamChainTest {
    string internal constant GROUP = "WholeTransaction";

    // Yellow paper, appendix G, and EIP-2028.
    uint256 internal constant BASE = 21_000;
    uint256 internal constant ZERO_BYTE = 4;
    uint256 internal constant OTHER_BYTE = 16;
    // EIP-7623: the least a transaction pays per byte of calldata.
    uint256 internal constant ZERO_BYTE_FLOOR = 10;
    uint256 internal constant OTHER_BYTE_FLOOR = 40;

    uint32 internal constant COUNT = 1000;
    uint256 internal constant MAX_GAS_PER_MESSAGE = 33;

    uint256 internal constant PAYLOAD_BYTES = 100;

    /// @dev How many streams were opened to be anchored; each has a name of its own.
    uint256 internal opened;

    /// @dev The gas of a transaction from `sender` to the contract, before refunds (there are none here).
    function gasOf(address sender, bytes memory input) internal returns (uint256) {
        (uint256 total, uint256 least) = gasAndFloorOf(sender, input);
        return total < least ? least : total;
    }

    /// @dev The same without the floor of EIP-7623, and the floor alone: a transaction that does more than this one call
    /// is seldom at the floor.
    function gasAndFloorOf(address sender, bytes memory input) internal returns (uint256, uint256) {
        (uint256 intrinsic, uint256 least) = (BASE, BASE);
        for (uint256 i = 0; i < input.length; ++i) {
            bool zero = input[i] == 0;
            intrinsic += zero ? ZERO_BYTE : OTHER_BYTE;
            least += zero ? ZERO_BYTE_FLOOR : OTHER_BYTE_FLOOR;
        }
        vm.cool(address(chain));
        // The callee itself is warm in a transaction (EIP-2929).
        vm.assertTrue(address(chain).code.length > 0, "the contract is there");
        vm.prank(sender);
        (bool done,) = address(chain).call(input);
        uint256 total = intrinsic + vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(done, "the call succeeds");
        return (total, least);
    }

    /// @dev The gas of anchoring one run of COUNT messages in each of so many streams in steady state, that is, not for
    /// the first time.
    function gasOfAnchoring(uint256 streamCount) internal returns (uint256) {
        return gasOf(ANCHORER, abi.encodeCall(chain.anchor, (steadyRuns(streamCount))));
    }

    function steadyRuns(uint256 streamCount) internal returns (IStreamChain.Anchor[] memory) {
        IStreamChain.Anchor[] memory anchors = new IStreamChain.Anchor[](streamCount);
        for (uint256 i = 0; i < streamCount; ++i) {
            bytes32 stream = openStream(OWNER, keccak256(abi.encode("gas", opened++)), ANCHORER);
            // Like the runs before it, so that every byte of the seq that will ever matter is set.
            pretendAnchored(stream, 0x010203);
            anchors[i] = IStreamChain.Anchor({
                stream: stream, firstSeq: 0x010203, count: COUNT, root: keccak256(abi.encode("root", i))
            });
        }
        return anchors;
    }

    function payload() internal pure returns (bytes memory bytesWithoutZero) {
        bytesWithoutZero = new bytes(PAYLOAD_BYTES);
        for (uint256 i = 0; i < PAYLOAD_BYTES; ++i) {
            bytesWithoutZero[i] = 0x61;
        }
    }

    function test_AnchoringAThousandMessagesCostsAtMost33GasEach() public {
        uint256 gas = gasOfAnchoring(1);
        vm.assertLe(gas, MAX_GAS_PER_MESSAGE * COUNT, "gas for 1,000 messages");
        vm.snapshotValue(GROUP, "anchor 1 stream", gas);
    }

    function test_AnchoringManyStreamsAtOnceIsCheaperForEach() public {
        uint256 ten = gasOfAnchoring(10);
        vm.assertLe(ten / 10, 12_500, "gas per stream");
        vm.snapshotValue(GROUP, "anchor 10 streams", ten);
    }

    function test_AHundredStreamsFitOneTransaction() public {
        uint256 hundred = gasOfAnchoring(100);
        vm.assertLe(hundred, 1_000_000, "gas");
        vm.snapshotValue(GROUP, "anchor 100 streams", hundred);
    }

    function test_StoringACommitmentTakesOneSlotHoweverManyTheRuns() public {
        vm.snapshotValue(
            GROUP,
            "anchorStored 1 stream",
            gasOf(ANCHORER, abi.encodeCall(chain.anchorStored, (steadyRuns(1))))
        );
        uint256 ten = gasOf(ANCHORER, abi.encodeCall(chain.anchorStored, (steadyRuns(10))));
        vm.assertLe(ten, gasOfAnchoring(10) + 45_000, "anchoring ten, one slot, a tree of 19 nodes");
        vm.snapshotValue(GROUP, "anchorStored 10 streams", ten);
    }

    /// @dev The average over 64 rounds in steady state: each height is reached as often as it is in the long run, and
    /// the heights above have been used. What the rounds are made of, and how many streams are in them, is not in the
    /// transaction, so its gas is the same for one stream and for a million.
    function test_ARoundCostsTheSameForAnyNumberOfStreams() public {
        bytes32 stream = openStream(OWNER, keccak256("_rounds"), ANCHORER);
        uint256 sum = 0;
        uint256 most = 0;
        for (uint64 round = 0; round < 192; ++round) {
            bytes memory input =
                abi.encodeCall(chain.anchorRound, (stream, round, keccak256(abi.encode("round", round))));
            uint256 gas = gasOf(ANCHORER, input);
            if (round == 127) vm.snapshotValue(GROUP, "anchorRound, first of a new height", gas);
            if (round < 128) continue;
            sum += gas;
            if (gas > most) most = gas;
        }
        vm.assertLe(sum / 64, 42_000, "gas of a round on average");
        vm.snapshotValue(GROUP, "anchorRound, average", sum / 64);
        vm.snapshotValue(GROUP, "anchorRound, most in 64", most);
    }

    /// @dev A run of 1,000 messages, a bucket of 512 runs, a range of a million rounds: 46 hashes. A transaction that
    /// calls nothing else pays the floor for so much calldata, which is more.
    function test_VerifyingAmongAMillionRoundsCostsAtMost60000() public {
        IStreamChain.RoundProof memory proof;
        (proof.firstSeq, proof.count, proof.round, proof.runs) = (0x010203, COUNT, 0x080706, 512);
        proof.previous = keccak256("previous");
        (proof.path, proof.runPath, proof.rangePath) = (path("path", 10), path("run", 9), path("range", 19));
        for (uint256 i = 0; i < 8; ++i) {
            proof.bucketPath[i] = keccak256(abi.encode("bucket", i));
        }
        IStreamChain.Claim memory message = IStreamChain.Claim({
            seq: 0x010205, time: 1_767_225_600_000, author: address(this), payloadHash: keccak256("payload")
        });
        bytes32 stream = keccak256("a stream");
        anchorTheEndOf(demo, stream, message, proof);
        vm.assertTrue(chain.verifyInRound(demo, stream, message, proof), "proven");
        (uint256 gas, uint256 least) =
            gasAndFloorOf(STRANGER, abi.encodeCall(chain.verifyInRound, (demo, stream, message, proof)));
        vm.assertLe(gas - BASE, 60_000, "gas of a check with its calldata");
        vm.snapshotValue(GROUP, "verifyInRound, with its calldata", gas - BASE);
        vm.snapshotValue(GROUP, "verifyInRound, alone in a transaction", gas < least ? least : gas);
    }

    function path(string memory name, uint256 length) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            hashes[i] = keccak256(abi.encode(name, i));
        }
    }

    /// @dev Makes the proof true: sets the peak that it leads to.
    function anchorTheEndOf(
        bytes32 rounds,
        bytes32 stream,
        IStreamChain.Claim memory message,
        IStreamChain.RoundProof memory proof
    ) internal {
        bytes32 node = twice(
            abi.encode(stream, message.seq, message.time, message.author, message.payloadHash)
        );
        node = processed(proof.path, node);
        node = processed(
            proof.runPath, twice(abi.encode(stream, proof.firstSeq, proof.count, node, proof.previous))
        );
        node = twice(abi.encode(proof.round, uint8(stream[0]), proof.runs, node));
        for (uint256 i = 0; i < 8; ++i) {
            node = Hashes.commutativeKeccak256(node, proof.bucketPath[i]);
        }
        node = processed(proof.rangePath, twice(abi.encode(rounds, proof.round, node)));
        pretendPeak(rounds, proof.rangePath.length, node);
    }

    function processed(bytes32[] memory hashes, bytes32 leaf) internal pure returns (bytes32) {
        return MerkleProof.processProof(hashes, leaf);
    }

    function twice(bytes memory encoded) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }

    function test_OpenDelegatePublish() public {
        vm.snapshotValue(GROUP, "open", gasOf(OWNER, abi.encodeCall(chain.open, (OTHER, ANCHORER))));
        vm.snapshotValue(GROUP, "delegate", gasOf(OWNER, abi.encodeCall(chain.delegate, (OTHER, STRANGER))));
        vm.snapshotValue(
            GROUP, "publish 100 bytes", gasOf(STRANGER, abi.encodeCall(chain.publish, (demo, payload())))
        );
    }

    function test_EmitMessagesAndDigests() public {
        IStreamChain.Message[] memory messages = new IStreamChain.Message[](10);
        bytes32[] memory digests = new bytes32[](10);
        for (uint256 i = 0; i < messages.length; ++i) {
            messages[i] =
                IStreamChain.Message({time: 1_767_225_600_000, author: address(this), payload: payload()});
            digests[i] = keccak256(abi.encode("digest", i));
        }
        vm.snapshotValue(
            GROUP,
            "emit 10 messages of 100 bytes",
            gasOf(ANCHORER, abi.encodeCall(chain.emitMessages, (demo, 0x010203, messages)))
        );
        vm.snapshotValue(
            GROUP,
            "emit 10 digests",
            gasOf(ANCHORER, abi.encodeCall(chain.emitDigests, (demo, 0x010203, digests)))
        );
    }
}

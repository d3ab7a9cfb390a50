//! From the contract to a signed transaction.

use super::*;

mod reading_streams {
    use super::*;

    fn read(scene: &Scene, stream: StreamId, answer: Answer) -> Transition {
        scene.answered(Step::ReadStreams(vec![stream]), answer)
    }

    #[test]
    fn prepares_a_run_by_root_at_once() {
        let scene = Scene::with_segment(Mode::Root);
        let stream = scene.stream();
        let (step, effects) = read(&scene, stream, contract_state(scene.signer.address(), 0));
        assert!(matches!(step, Step::ReadNonce(prepared) if prepared.runs[0].run.count == 2));
        let expected = [Effect::Cover(stream, Seq(0)), Effect::SetTurn(Some(stream))];
        assert_eq!(effects, expected);
    }

    #[test]
    fn opens_a_stream_of_its_own() {
        let scene = Scene::with_segment(Mode::Hash);
        let (step, _) = read(&scene, scene.stream(), contract_state(Address::ZERO, 0));
        assert!(
            matches!(step, Step::ReadRecords(draft) if draft.opens == [(scene.stream(), keccak256("demo"))])
        );
    }

    #[test]
    fn reads_the_records_of_a_run_that_emits() {
        let scene = Scene::with_segment(Mode::Payload);
        let unread = scene.draft().unread().unwrap();
        assert_eq!(
            (unread.stream, unread.first, unread.count),
            (scene.stream(), Seq(0), 2)
        );
    }

    #[test]
    fn blocks_a_stream_that_another_account_anchors() {
        let (scene, other) = (Scene::with_segment(Mode::Root), Address::repeat_byte(9));
        let stream = scene.stream();
        let blocked = [
            Effect::Block(stream, Obstacle::Stranger(other)),
            Effect::SetTurn(Some(stream)),
            Effect::ClearError,
        ];
        ends_with(
            read(&scene, stream, contract_state(other, 0)),
            Wait::Interval,
            &blocked,
        );
    }

    #[test]
    fn blocks_a_foreign_stream_that_is_not_open() {
        let mut scene = Scene::new();
        let segment = scene.segment(Address::repeat_byte(9), Mode::Root);
        scene.insert(&segment);
        let (_, effects) = read(&scene, segment.stream, contract_state(Address::ZERO, 0));
        assert_eq!(effects[0], Effect::Block(segment.stream, Obstacle::NotOpen));
    }

    #[test]
    fn rests_when_all_is_anchored() {
        let scene = Scene::with_segment(Mode::Root);
        let stream = scene.stream();
        let done = [
            Effect::Cover(stream, Seq(2)),
            Effect::SetTurn(Some(stream)),
            Effect::ClearError,
        ];
        let state = contract_state(scene.signer.address(), 2);
        ends_with(read(&scene, stream, state), Wait::Interval, &done);
    }

    #[test]
    fn fails_where_there_is_no_contract() {
        let scene = Scene::with_segment(Mode::Root);
        let text = format!("there is no contract at {}", scene.settings.contract);
        let empty = Answer::Returned(Bytes::new());
        ends_with(read(&scene, scene.stream(), empty), Wait::Failure, &[note(&text)]);
    }
}

mod reading_records {
    use super::*;

    fn told(scene: &Scene, outcome: Result<Vec<u8>, String>) -> Transition {
        Step::ReadRecords(scene.draft()).transition(Event::Records(outcome), &scene.context())
    }

    #[test]
    fn prepares_the_transaction_once_all_are_there() {
        let scene = Scene::with_segment(Mode::Payload);
        let (step, effects) = told(&scene, Ok(records()));
        assert!(matches!(step, Step::ReadNonce(_)));
        assert_eq!(effects, [Effect::SetTurn(Some(scene.stream()))]);
    }

    #[test]
    fn blocks_a_stream_whose_records_give_another_root() {
        let scene = Scene::with_segment(Mode::Hash);
        let damaged = [Effect::Block(scene.stream(), Obstacle::Damaged(Seq(0)))];
        ends_with(told(&scene, Ok(Vec::new())), Wait::Interval, &damaged);
    }

    #[test]
    fn fails_when_the_database_does() {
        let scene = Scene::with_segment(Mode::Hash);
        let reason = note("the messages to emit cannot be read: D1 is away");
        ends_with(told(&scene, Err("D1 is away".into())), Wait::Failure, &[reason]);
    }

    #[test]
    fn takes_the_first_segment_however_large_it_is() {
        let scene = Scene::with_segment(Mode::Hash);
        let limits = Limits {
            emitted_bytes: 0,
            ..Limits::default()
        };
        let added = scene.draft().add(&records(), limits);
        assert!(matches!(added, Added::Full(draft) if draft.runs.len() == 1));
    }
}

mod pricing {
    use super::*;

    #[test]
    fn the_nonce_leads_to_the_fees() {
        let scene = Scene::with_segment(Mode::Root);
        let next = scene.answered(Step::ReadNonce(scene.prepared()), Answer::TransactionCount(5));
        assert_eq!(next, (Step::ReadFees(scene.prepared(), 5), Vec::new()));
    }

    #[test]
    fn the_fees_lead_to_the_estimate() {
        let scene = Scene::with_segment(Mode::Root);
        let next = scene.answered(Step::ReadFees(scene.prepared(), 5), fee_history(1));
        assert_eq!(next, (Step::Estimate(scene.prepared(), 5, FEES), Vec::new()));
    }

    #[test]
    fn a_base_fee_above_the_cap_ends_the_round() {
        let scene = Scene::with_segment(Mode::Root);
        let (step, effects) = scene.answered(Step::ReadFees(scene.prepared(), 5), fee_history(101));
        assert_eq!(step, Step::Idle);
        assert_eq!(effects.last(), Some(&Effect::Wait(Wait::Failure)));
    }
}

mod estimating {
    use super::*;

    fn step(scene: &Scene) -> Step {
        Step::Estimate(scene.prepared(), 5, FEES)
    }

    fn halved(scene: &Scene) -> Effect {
        Effect::SetLimits(Limits {
            emitted_bytes: scene.prepared().data.len() / 2,
            ..Limits::default()
        })
    }

    #[test]
    fn the_gas_gets_a_margin() {
        let scene = Scene::with_segment(Mode::Root);
        let next = scene.answered(step(&scene), Answer::Gas(50_000));
        assert_eq!(next, (Step::ReadBalance(scene.unsigned()), Vec::new()));
    }

    #[test]
    fn a_single_run_with_too_much_gas_is_blocked() {
        let scene = Scene::with_segment(Mode::Root);
        let reason = Obstacle::Refused("it would need 7000000 gas".into());
        let expected = [
            Effect::SetTurn(None),
            halved(&scene),
            Effect::Block(scene.stream(), reason),
        ];
        let next = scene.answered(step(&scene), Answer::Gas(7_000_000));
        ends_with(next, Wait::Interval, &expected);
    }

    #[test]
    fn two_runs_with_too_much_gas_are_halved_at_once() {
        let scene = Scene::with_segment(Mode::Root);
        let mut prepared = scene.prepared();
        prepared.runs.push(prepared.runs[0].clone());
        let limits = Limits {
            runs: 1,
            ..Limits::default()
        };
        let expected = [
            Effect::SetTurn(None),
            Effect::SetLimits(limits),
            note("it would need 7000000 gas"),
        ];
        let next = scene.answered(Step::Estimate(prepared, 5, FEES), Answer::Gas(7_000_000));
        ends_with(next, Wait::Until(NOW), &expected);
    }

    #[test]
    fn a_spent_budget_waits_for_the_next_day() {
        let mut scene = Scene::with_segment(Mode::Root);
        scene.settings.daily_gas = Some(59_999);
        let next = scene.answered(step(&scene), Answer::Gas(50_000));
        let text = "the day's gas budget has 59999 left, 60000 needed: anchoring goes on at 00:00 UTC";
        let expected = [Effect::SetTurn(None), halved(&scene), note(text)];
        ends_with(next, Wait::Until(end_of_day(NOW)), &expected);
    }

    #[test]
    fn a_stream_that_changed_meanwhile_is_read_again() {
        let scene = Scene::with_segment(Mode::Root);
        let overlap = IStreamChain::Overlap {
            stream: scene.stream().word(),
            nextSeq: U96::from(1),
            firstSeq: 0,
        };
        let error = RpcError::Node {
            code: 3,
            message: "execution reverted".into(),
            revert: Some(overlap.abi_encode().into()),
        };
        let expected = [
            Effect::ForgetCoverage(scene.stream()),
            note("a stream changed while its anchor was prepared"),
        ];
        ends_with(scene.failed(step(&scene), error), Wait::Failure, &expected);
    }

    #[test]
    fn another_revert_makes_the_batch_smaller() {
        let scene = Scene::with_segment(Mode::Root);
        let (_, effects) = scene.failed(step(&scene), node("execution reverted"));
        assert_eq!(effects[0], Effect::ForgetCoverage(scene.stream()));
        assert!(
            matches!(effects[3], Effect::Block(_, Obstacle::Refused(_))),
            "{effects:?}"
        );
    }

    #[test]
    fn a_call_that_is_too_large_for_the_node_is_made_smaller() {
        let scene = Scene::with_segment(Mode::Root);
        let (_, effects) = scene.failed(step(&scene), node("request entity too large"));
        assert!(
            matches!(effects[2], Effect::Block(_, Obstacle::Refused(_))),
            "{effects:?}"
        );
    }

    #[test]
    fn missing_funds_are_waited_for() {
        let scene = Scene::with_segment(Mode::Root);
        let (step, effects) = scene.failed(step(&scene), node("insufficient funds"));
        assert_eq!(
            (step, effects.last()),
            (Step::Idle, Some(&Effect::Wait(Wait::Others)))
        );
    }

    #[test]
    fn a_fault_of_the_node_ends_the_round() {
        let scene = Scene::with_segment(Mode::Root);
        let error = RpcError::Timeout(10_000);
        let expected = [note(&error.to_string())];
        ends_with(scene.failed(step(&scene), error), Wait::Failure, &expected);
    }
}

mod signing {
    use super::*;

    #[test]
    fn a_transaction_that_can_be_paid_is_signed_and_sent() {
        let scene = Scene::with_segment(Mode::Root);
        let balance = U256::from(60_000 * FEES.max_fee);
        let (step, effects) = scene.answered(Step::ReadBalance(scene.unsigned()), Answer::Balance(balance));
        assert_eq!(step, Step::Broadcast);
        let [Effect::SetBalance(_), Effect::Launch(flight)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(
            (flight.nonce, flight.gas_limit, flight.attempts.len()),
            (5, 60_000, 1)
        );
        assert_eq!(
            flight.newest().map(|attempt| attempt.hash),
            Some(keccak256(&flight.raw))
        );
    }

    #[test]
    fn a_transaction_that_cannot_be_paid_waits_for_funds() {
        let scene = Scene::with_segment(Mode::Root);
        let balance = U256::from(60_000 * FEES.max_fee - 1);
        let (step, effects) = scene.answered(Step::ReadBalance(scene.unsigned()), Answer::Balance(balance));
        assert_eq!(step, Step::Idle);
        assert!(matches!(&effects[1], Effect::Note(text) if text.contains("insufficient funds")));
        assert_eq!(effects[2], Effect::Wait(Wait::Others));
    }
}

//! How a pass begins, and what holds in every step.

use super::*;

mod beginning {
    use super::*;

    fn begin(scene: &Scene) -> Step {
        Step::Idle.transition(Event::Begin, &scene.context()).0
    }

    #[test]
    fn rests_when_nothing_waits() {
        assert_eq!(begin(&Scene::new()), Step::Idle);
    }

    #[test]
    fn reads_the_streams_that_wait() {
        let scene = Scene::with_segment(Mode::Root);
        assert_eq!(begin(&scene), Step::ReadStreams(vec![scene.stream()]));
    }

    #[test]
    fn reads_the_final_state_of_streams_not_read_for_long() {
        let mut scene = Scene::with_segment(Mode::Root);
        let read_at = NOW.minus_ms(scene.settings.recheck_after_ms);
        let journal = &mut Journal::default();
        scene.pending.cover(scene.stream(), Seq(2), read_at, journal);
        assert_eq!(begin(&scene), Step::ReadFinal(vec![scene.stream()]));
        scene
            .pending
            .cover(scene.stream(), Seq(2), read_at.plus_ms(1), journal);
        assert_eq!(begin(&scene), Step::Idle);
    }

    #[test]
    fn sends_a_transaction_that_no_node_has_accepted() {
        assert_eq!(begin(&Scene::with_flight()), Step::Broadcast);
    }

    #[test]
    fn asks_for_the_newest_receipt_of_an_accepted_transaction() {
        let mut scene = Scene::with_flight();
        scene.watch.accepted_at = Some(NOW);
        assert_eq!(begin(&scene), Step::AskReceipt(1));
    }

    #[test]
    fn forgets_that_a_broadcast_was_tried_in_the_round_before() {
        let mut scene = Scene::with_flight();
        scene.watch.tried = true;
        let (_, effects) = Step::Idle.transition(Event::Begin, &scene.context());
        assert_eq!(effects, [Effect::SetWatch(FlightWatch::default())]);
    }
}

mod reading_the_final_state {
    use super::*;

    #[test]
    fn settles_what_is_final() {
        let scene = Scene::with_segment(Mode::Root);
        let stream = scene.stream();
        let expected = [
            Effect::MarkRead(stream),
            Effect::Settle(stream, Seq(2)),
            Effect::ClearError,
        ];
        let state = contract_state(scene.signer.address(), 2);
        let next = scene.answered(Step::ReadFinal(vec![stream]), state);
        ends_with(next, Wait::Interval, &expected);
    }

    #[test]
    fn a_contract_younger_than_the_finalized_block_settles_nothing() {
        let scene = Scene::with_segment(Mode::Root);
        let step = Step::ReadFinal(vec![scene.stream()]);
        let next = scene.answered(step, Answer::Returned(Bytes::new()));
        ends_with(next, Wait::Interval, &[Effect::MarkRead(scene.stream())]);
    }
}

mod any_step {
    use super::*;

    fn steps(scene: &Scene) -> Vec<Step> {
        vec![
            Step::ReadStreams(vec![scene.stream()]),
            Step::ReadNonce(scene.prepared()),
            Step::ReadFees(scene.prepared(), 5),
            Step::ReadBalance(scene.unsigned()),
            Step::AskReceipt(0),
            Step::CheckNonce,
            Step::ReadFeesToBump,
            Step::ReadFinal(vec![scene.stream()]),
        ]
    }

    #[test]
    fn an_answer_to_another_question_is_distrusted() {
        let scene = Scene::with_segment(Mode::Root);
        for step in steps(&scene) {
            let (next, effects) = scene.answered(step.clone(), Answer::ChainId(1));
            let distrust = Effect::Distrust("the answer belongs to another question");
            assert_eq!((next, &effects[0]), (Step::Idle, &distrust), "{step:?}");
        }
    }

    #[test]
    fn an_error_ends_the_round() {
        let scene = Scene::with_segment(Mode::Root);
        for step in steps(&scene) {
            let error = RpcError::Transport("connection refused".into());
            let expected = [note(&error.to_string())];
            ends_with(scene.failed(step, error), Wait::Failure, &expected);
        }
    }

    #[test]
    fn records_that_were_not_asked_for_end_the_round() {
        let scene = Scene::with_segment(Mode::Root);
        for step in steps(&scene) {
            let next = step.transition(Event::Records(Ok(Vec::new())), &scene.context());
            assert_eq!(next, (Step::Idle, Vec::new()));
        }
    }
}

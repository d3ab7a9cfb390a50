//! From the first broadcast to the end of a transaction.

use super::*;

mod sending {
    use super::*;

    fn refused(message: &str) -> Transition {
        Scene::with_flight().failed(Step::Broadcast, node(message))
    }

    fn tried() -> FlightWatch {
        FlightWatch {
            tried: true,
            ..FlightWatch::default()
        }
    }

    #[test]
    fn an_accepted_transaction_ends_the_round() {
        let scene = Scene::with_flight();
        let next = scene.answered(Step::Broadcast, Answer::Sent(scene.hash(1)));
        ends_with(next, Wait::Interval, &[Effect::Accept]);
    }

    #[test]
    fn a_node_that_names_another_hash_is_distrusted() {
        let scene = Scene::with_flight();
        let next = scene.answered(Step::Broadcast, Answer::Sent(scene.hash(0)));
        assert!(matches!(next.1[0], Effect::Distrust(_)));
    }

    #[test]
    fn a_known_transaction_counts_as_accepted() {
        let expected = [Effect::SetWatch(tried()), Effect::Accept];
        ends_with(refused("already known"), Wait::Interval, &expected);
    }

    #[test]
    fn a_nonce_that_is_too_low_leads_to_the_receipts() {
        let watch = FlightWatch {
            accepted_at: Some(NOW),
            ..tried()
        };
        let expected = (Step::AskReceipt(1), vec![Effect::SetWatch(watch)]);
        assert_eq!(refused("nonce too low"), expected);
    }

    #[test]
    fn a_fee_that_is_too_low_is_raised() {
        let (step, effects) = refused("replacement transaction underpriced");
        assert_eq!(step, Step::ReadFeesToBump);
        assert!(matches!(effects[1], Effect::Note(_)));
    }

    #[test]
    fn missing_funds_lead_to_the_receipts() {
        let (step, effects) = refused("insufficient funds");
        assert_eq!(step, Step::AskReceipt(1));
        assert!(matches!(&effects[1], Effect::Note(text) if text.starts_with("account ")));
    }

    #[test]
    fn a_fault_of_the_node_ends_the_round() {
        let error = RpcError::Http(502);
        let expected = [Effect::SetWatch(tried()), note(&error.to_string())];
        let next = Scene::with_flight().failed(Step::Broadcast, error);
        ends_with(next, Wait::Failure, &expected);
    }

    #[test]
    fn any_other_refusal_is_counted() {
        let watch = FlightWatch {
            refusals: 1,
            ..tried()
        };
        let (step, effects) = refused("exceeds block gas limit");
        assert_eq!(
            (step, &effects[0]),
            (Step::AskReceipt(1), &Effect::SetWatch(watch))
        );
    }
}

mod asking_receipts {
    use super::*;

    #[test]
    fn an_older_attempt_is_asked_for_next_and_then_the_nonce() {
        let scene = Scene::with_flight();
        let none = |index| scene.answered(Step::AskReceipt(index), Answer::Receipt(None));
        assert_eq!(none(1), (Step::AskReceipt(0), Vec::new()));
        assert_eq!(none(0), (Step::CheckNonce, Vec::new()));
    }

    #[test]
    fn a_success_lands_and_gives_back_unused_gas() {
        let scene = Scene::with_flight();
        let expected = [
            Effect::GiveBackGas(10_000, NOW),
            Effect::Land,
            Effect::SetLimits(Limits::default()),
            Effect::ClearError,
        ];
        let next = scene.answered(Step::AskReceipt(0), receipt(scene.hash(0), 1));
        ends_with(next, Wait::Interval, &expected);
    }

    #[test]
    fn a_revert_gives_the_transaction_up() {
        let scene = Scene::with_flight();
        let text = format!("transaction {} reverted on the chain", scene.hash(1));
        let expected = [Effect::GiveBackGas(10_000, NOW), Effect::GiveUp, note(&text)];
        let next = scene.answered(Step::AskReceipt(1), receipt(scene.hash(1), 0));
        ends_with(next, Wait::Failure, &expected);
    }

    #[test]
    fn a_receipt_of_another_transaction_is_distrusted() {
        let scene = Scene::with_flight();
        let next = scene.answered(Step::AskReceipt(1), receipt(scene.hash(0), 1));
        assert!(matches!(next.1[0], Effect::Distrust(_)));
    }
}

mod comparing_the_nonce {
    use super::*;

    fn compared(scene: &Scene, nonce: u64) -> Transition {
        scene.answered(Step::CheckNonce, Answer::TransactionCount(nonce))
    }

    #[test]
    fn a_transaction_that_no_node_accepted_is_sent() {
        let mut scene = Scene::with_flight();
        assert_eq!(compared(&scene, 5).0, Step::Broadcast);
        scene.watch.tried = true;
        assert_eq!(compared(&scene, 5).1.last(), Some(&Effect::Wait(Wait::Others)));
    }

    #[test]
    fn an_accepted_transaction_is_waited_for_and_then_sent_again() {
        let mut scene = Scene::with_flight();
        scene.watch.accepted_at = Some(NOW.minus_ms(23_999));
        let (step, effects) = compared(&scene, 5);
        assert_eq!(
            (step, effects.last().unwrap()),
            (IDLE_UNTIL_NEXT_ROUND.0, &IDLE_UNTIL_NEXT_ROUND.1)
        );
        scene.watch.accepted_at = Some(NOW.minus_ms(24_000));
        assert_eq!(compared(&scene, 5).0, Step::Broadcast);
    }

    #[test]
    fn a_transaction_that_is_in_no_block_for_long_gets_a_higher_fee() {
        let mut scene = Scene::with_flight();
        scene.watch.accepted_at = Some(NOW);
        scene.flight.as_mut().unwrap().attempts[1].signed_at = NOW.minus_ms(36_000);
        assert_eq!(compared(&scene, 5).0, Step::ReadFeesToBump);
        scene.watch.capped_until = NOW.plus_ms(1);
        assert_eq!(compared(&scene, 5).0, Step::Idle);
    }

    #[test]
    fn six_refusals_give_the_transaction_up() {
        let mut scene = Scene::with_flight();
        scene.watch.refusals = 6;
        let expected = [
            Effect::SetWatch(scene.watch),
            note("transaction given up: the node refuses the transaction"),
            Effect::GiveUp,
        ];
        ends_with(compared(&scene, 5), Wait::Failure, &expected);
    }

    #[test]
    fn a_refused_transaction_that_the_node_knows_is_accepted() {
        let mut scene = Scene::with_flight();
        scene.watch.refusals = 1;
        assert_eq!(compared(&scene, 5).0, Step::AskKnown);
        let next = scene.answered(Step::AskKnown, Answer::Known(true));
        ends_with(next, Wait::Interval, &[Effect::Accept]);
    }

    #[test]
    fn a_refused_transaction_that_is_unknown_offers_twice_as_much() {
        let mut scene = Scene::with_flight();
        scene.watch.refusals = 1;
        for next in [
            scene.answered(Step::AskKnown, Answer::Known(false)),
            scene.failed(Step::AskKnown, node("no such method")),
        ] {
            assert_eq!(next.0, Step::ReadFeesToBump);
        }
        let (step, effects) = scene.answered(Step::ReadFeesToBump, fee_history(1));
        let [Effect::Replace(flight), Effect::Wait(Wait::Others)] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        assert_eq!(step, Step::Idle);
        assert_eq!(flight.attempts[2].fees.tip, 2 * FEES.tip);
        scene.watch.capped_until = NOW.plus_ms(1);
        let next = scene.answered(Step::AskKnown, Answer::Known(false));
        ends_with(next, Wait::Others, &[]);
    }

    #[test]
    fn another_nonce_gives_the_transaction_up_after_a_while() {
        for (nonce, grace_ms) in [(4, 4_000), (6, 15_000)] {
            let mut scene = Scene::with_flight();
            let (_, effects) = compared(&scene, nonce);
            scene.watch.misfit_since = Some(NOW);
            assert_eq!(effects[0], Effect::SetWatch(scene.watch));
            assert!(!effects.contains(&Effect::GiveUp), "{effects:?}");
            scene.watch.misfit_since = Some(NOW.minus_ms(grace_ms));
            let (_, effects) = compared(&scene, nonce);
            assert!(effects.contains(&Effect::GiveUp), "{effects:?}");
        }
    }
}

mod raising_the_fee {
    use super::*;

    #[test]
    fn a_higher_fee_is_signed_and_sent() {
        let scene = Scene::with_flight();
        let (step, effects) = scene.answered(Step::ReadFeesToBump, fee_history(10));
        assert_eq!(step, Step::Broadcast);
        assert!(matches!(effects.as_slice(), [Effect::Replace(flight)] if flight.attempts.len() == 3));
    }

    #[test]
    fn what_the_cap_does_not_allow_is_waited_for() {
        let mut scene = Scene::with_flight();
        scene.settings.fees.cap = FEES.max_fee;
        let watch = FlightWatch {
            capped_until: NOW.plus_ms(36_000),
            ..FlightWatch::default()
        };
        let (step, effects) = scene.answered(Step::ReadFeesToBump, fee_history(1));
        assert_eq!(
            (step, effects.last()),
            (Step::Broadcast, Some(&Effect::SetWatch(watch)))
        );
        scene.watch.tried = true;
        let (step, _) = scene.answered(Step::ReadFeesToBump, fee_history(1));
        assert_eq!(step, Step::AskReceipt(1));
    }
}

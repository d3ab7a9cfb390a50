//! Webhooks on a virtual clock: the object dies between any two steps, and the receiver gets each event once, in order.

use super::webhook::{MAX_FAILING_MS, OLD_SECRET_LIFE_MS};
use super::*;
use crate::stream_log::{Cursor, EventRange, StoredEvent};
use alloy_primitives::Address;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{Seq, ShortId, WebhookId};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::SplitMix64;

const START: UnixMs = UnixMs(1_000_000);

fn kinds(words: &[&str]) -> Kinds {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    words.try_into().unwrap()
}

fn secret(version: u64) -> SecretRef {
    let fingerprint = format!("{version:016x}");
    SecretRef { version, fingerprint }
}

fn creator(byte: u8) -> Creator {
    Creator {
        account: Address::repeat_byte(byte),
        operator: false,
        key: None,
        issued: UnixSec(1),
        end: None,
        limit: Rights::ALL,
    }
}

fn active(kinds: Kinds) -> Webhook {
    let new = NewWebhook {
        id: WebhookId([7; 8]),
        stream: ShortId([9; 20]),
        url: "https://example.com/hook".into(),
        kinds,
        creator: creator(1),
        secret: secret(1),
        cursor: Cursor {
            event: 0,
            seq: Seq(0),
        },
    };
    let mut webhook = Webhook::new(new, START);
    assert_eq!(webhook.turn(START), Turn::Rest, "its account is not asked yet");
    webhook.enter(Stage::Active, START);
    webhook
}

/// The stream: messages and events grow, old events are dropped.
#[derive(Default)]
struct Stream {
    head: u64,
    range: EventRange,
    events: Vec<StoredEvent>,
}

impl Stream {
    fn publish(&mut self) {
        self.head += 1;
    }

    fn notice(&mut self, name: &str) {
        let number = self.range.next;
        self.events.push(StoredEvent {
            number,
            name: name.to_owned(),
            json: format!(r#"{{"event":{number}}}"#),
        });
        self.range.next += 1;
    }

    fn drop_events(&mut self, below: u64) {
        self.range.first = below.max(self.range.first);
        self.events.retain(|event| event.number >= below);
    }

    /// What the shell reads: at most `page` messages and events.
    fn read(&self, webhook: &Webhook, from: Cursor, page: u64) -> Source {
        let end = webhook
            .messages_end(Seq(self.head))
            .0
            .min(from.seq.0.saturating_add(page));
        let messages = (from.seq.0..end).map(|seq| (Seq(seq), format!(r#"{{"seq":{seq}}}"#)));
        let events = self.events.iter().filter(|event| event.number > from.event);
        Source {
            head: Seq(self.head),
            range: self.range,
            messages: messages.collect(),
            events: events.take(page as usize).cloned().collect(),
        }
    }
}

/// The receiver: keeps the bodies, and drops ids that it has seen.
#[derive(Default)]
struct Receiver {
    seen: Vec<(String, String)>,
    texts: Vec<String>,
}

impl Receiver {
    fn receive(&mut self, delivery: &Delivery) {
        let known = self.seen.iter().find(|(id, _)| *id == delivery.id);
        if let Some((_, body)) = known {
            assert_eq!(*body, delivery.body, "the same id has the same content");
            return;
        }
        self.seen.push((delivery.id.clone(), delivery.body.clone()));
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(body["type"], "stream.events");
        for event in body["data"]["events"].as_array().unwrap() {
            let data = &event["data"];
            let number = data["seq"].as_u64().or(data["event"].as_u64()).unwrap();
            self.texts
                .push(format!("{} {number}", event["type"].as_str().unwrap()));
        }
    }
}

/// The object: rows that survive, memory that does not.
struct Object {
    row: String,
    memory: Webhook,
    random: SplitMix64,
}

impl Object {
    fn new(webhook: Webhook, seed: u64) -> Self {
        Self {
            row: serde_json::to_string(&webhook).unwrap(),
            memory: webhook,
            random: SplitMix64::new(seed),
        }
    }

    /// Dies now and then; the next instance begins with what is in the row.
    fn dies(&mut self) -> bool {
        let dies = self.random.next_bits().is_multiple_of(5);
        if dies {
            self.memory = serde_json::from_str(&self.row).unwrap();
        }
        dies
    }

    fn save(&mut self) {
        self.row = serde_json::to_string(&self.memory).unwrap();
    }

    /// One reading and what follows from it, dying between any two steps. Returns whether it has caught up.
    fn step(&mut self, stream: &Stream, receiver: &mut Receiver, now: UnixMs) -> bool {
        let Turn::Read(from) = self.memory.turn(now) else {
            return false;
        };
        let page = 1 + self.random.next_bits() % 4;
        // A page of a delivery that is fixed may be cut short by what is slow to read.
        let source = stream.read(&self.memory, from, page);
        let Ok(plan) = self.memory.plan(source) else {
            return false;
        };
        match plan {
            Plan::CaughtUp => {
                if !self.dies() {
                    self.save();
                }
                true
            }
            Plan::Passed => {
                self.dies();
                false
            }
            Plan::Send { delivery, .. } => {
                if self.dies() {
                    return false;
                }
                self.save();
                if self.dies() {
                    return false;
                }
                let is_lost = self.random.next_bits().is_multiple_of(6);
                if !is_lost {
                    receiver.receive(&delivery);
                }
                // The answer to a delivery that arrived may be lost as well.
                if is_lost || self.random.next_bits().is_multiple_of(6) {
                    let bits = self.random.next_bits();
                    self.memory.failed("timeout", now, bits);
                    self.save();
                    return false;
                }
                if !self.dies() {
                    self.memory.delivered(&delivery, now);
                }
                false
            }
        }
    }
}

/// More steps than this until nothing is left to do are a standstill.
const MAX_STEPS: u32 = 10_000;

fn run(kinds_of: Kinds, seed: u64) -> (Vec<String>, u64, Vec<String>) {
    let (mut stream, mut receiver) = (Stream::default(), Receiver::default());
    let mut object = Object::new(active(kinds_of), seed);
    let mut random = SplitMix64::new(seed ^ 0xabcd);
    let (mut now, mut said) = (START, Vec::new());
    for _ in 0..120 {
        match random.next_bits() % 4 {
            0 | 1 => stream.publish(),
            2 => {
                let name = ["anchored", "final", "reorg", "chain"][(random.next_bits() % 4) as usize];
                said.push(format!("{name} {}", stream.range.next));
                stream.notice(name);
            }
            _ => {}
        }
        object.step(&stream, &mut receiver, now);
        now = now.plus_ms(random.next_bits() % 20_000);
    }
    let (mut quiet, mut steps) = (0, 0);
    while quiet < 3 {
        steps += 1;
        assert!(
            steps < MAX_STEPS,
            "seed {seed} does not come to rest: {:?}",
            object.memory
        );
        // The time of what is due next: with longer steps, days of failures would go by, after which a webhook is paused.
        now = match object.memory.turn(now) {
            Turn::Wait(until) => until,
            Turn::Read(_) | Turn::Rest => now.plus_ms(1_000),
        };
        quiet = if object.step(&stream, &mut receiver, now) {
            quiet + 1
        } else {
            0
        };
    }
    (receiver.texts, stream.head, said)
}

#[test]
fn each_event_arrives_once_and_in_order_whatever_dies() {
    for seed in 0..100 {
        let (texts, head, said) = run(Kinds::ALL, seed);
        let (messages, events): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|text| text.starts_with("stored "));
        let expected: Vec<String> = (0..head).map(|seq| format!("stored {seq}")).collect();
        assert_eq!(messages, expected, "seed {seed}");
        assert_eq!(events, said, "seed {seed}");
    }
}

#[test]
fn only_the_chosen_kinds_arrive() {
    for seed in 0..30 {
        let (texts, _, said) = run(kinds(&["final", "chain"]), seed);
        let chosen = |text: &&String| text.starts_with("final") || text.starts_with("chain");
        let expected: Vec<&String> = said.iter().filter(chosen).collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

fn sent(webhook: &mut Webhook, stream: &Stream) -> Option<Delivery> {
    let Turn::Read(from) = webhook.turn(UnixMs(u64::MAX)) else {
        return None;
    };
    match webhook.plan(stream.read(webhook, from, 100)).unwrap() {
        Plan::Send { delivery, .. } => Some(delivery),
        Plan::CaughtUp | Plan::Passed => None,
    }
}

#[test]
fn a_delivery_stays_the_same_until_it_succeeds() {
    let mut stream = Stream::default();
    let mut webhook = active(Kinds::ALL);
    stream.publish();
    let first = sent(&mut webhook, &stream).unwrap();
    webhook.failed("status 500", START, 0);
    stream.publish();
    stream.notice("anchored");
    webhook.kinds = kinds(&["final"]);
    assert_eq!(
        sent(&mut webhook, &stream),
        Some(first.clone()),
        "more was published meanwhile"
    );
    webhook.delivered(&first, START);
    webhook.delivered(&first, START);
    assert_eq!(webhook.cursor, first.to);
    assert_eq!(
        sent(&mut webhook, &stream),
        None,
        "the new kinds count from here on"
    );
}

#[test]
fn a_delivery_says_whether_the_stream_is_further() {
    let mut stream = Stream::default();
    (0..5).for_each(|_| stream.publish());
    stream.notice("chain");
    for (page, expected) in [(3, true), (5, false)] {
        let mut webhook = active(Kinds::ALL);
        let source = stream.read(&webhook, webhook.cursor, page);
        let Ok(Plan::Send { has_more, .. }) = webhook.plan(source) else {
            panic!("there is something to send");
        };
        assert_eq!(has_more, expected, "{page} at a time");
    }
}

#[test]
fn a_delivery_that_cannot_be_read_whole_waits() {
    let mut stream = Stream::default();
    let mut webhook = active(Kinds::ALL);
    (0..5).for_each(|_| stream.publish());
    let first = sent(&mut webhook, &stream).unwrap();
    let cut = stream.read(&webhook, webhook.cursor, 3);
    assert!(webhook.plan(cut).is_err());
    assert_eq!(sent(&mut webhook, &stream), Some(first));
}

#[test]
fn events_that_are_kept_no_more_are_named() {
    let mut stream = Stream::default();
    (0..5).for_each(|_| stream.notice("anchored"));
    stream.drop_events(4);
    let mut webhook = active(kinds(&["anchored"]));
    let delivery = sent(&mut webhook, &stream).unwrap();
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
    let events = body["data"]["events"].as_array().unwrap();
    let types: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["gap", "anchored", "anchored"]);
    assert_eq!(events[0]["data"], serde_json::json!({"from": 1, "to": 4}));
    assert_eq!(body["data"]["to"], "5-0");
}

#[test]
fn failures_wait_longer_and_pause_in_the_end() {
    let mut stream = Stream::default();
    stream.publish();
    let mut webhook = active(Kinds::ALL);
    let (mut now, mut tries) = (START, 0_u32);
    while let Turn::Read(_) | Turn::Wait(_) = webhook.turn(now) {
        if let Turn::Wait(until) = webhook.turn(now) {
            assert!(until.since(now) <= MAX_RETRY_MS);
            now = until;
        }
        let delivery = sent(&mut webhook, &stream).unwrap();
        assert!(delivery.id.ends_with("_0-0"));
        webhook.failed("status 503", now, u64::MAX);
        tries += 1;
    }
    assert_eq!(webhook.stage, Stage::Paused(PauseReason::Failing));
    assert!((50..200).contains(&tries), "{tries} tries");
    assert!(now.since(START) >= MAX_FAILING_MS);
    webhook.resume(creator(2), now);
    assert!(matches!(webhook.turn(now), Turn::Read(_)));
    assert_eq!((webhook.failures, webhook.creator), (0, creator(2)));
    assert!(
        sent(&mut webhook, &stream).unwrap().id.ends_with("_0-0"),
        "nothing is skipped"
    );
}

/// The longest wait between two tries.
const MAX_RETRY_MS: u64 = 3_600_000;

#[test]
fn two_secrets_sign_for_a_day_after_a_change() {
    let mut webhook = active(Kinds::ALL);
    webhook.rotate(secret(2), START);
    let versions = |now: UnixMs| webhook.secrets(now).map(|one| one.version).collect::<Vec<_>>();
    assert_eq!(versions(START), [2, 1]);
    assert_eq!(versions(START.plus_ms(OLD_SECRET_LIFE_MS)), [2]);
}

#[test]
fn the_stream_wakes_for_what_is_wanted_alone() {
    let mut anchors = active(kinds(&["anchored"]));
    assert_eq!(watch_of(&[]), None);
    assert_eq!(watch_of(&[anchors.clone()]), Some(Watch::Events));
    assert_eq!(watch_of(&[anchors.clone(), active(Kinds::ALL)]), Some(Watch::All));
    anchors.enter(Stage::Removing, START);
    assert_eq!(watch_of(&[anchors]), None);
}

#[test]
fn messages_that_are_not_wanted_are_passed_over_unread() {
    let mut stream = Stream::default();
    (0..9).for_each(|_| stream.publish());
    let mut webhook = active(kinds(&["anchored"]));
    assert!(!webhook.reads_messages());
    assert_eq!(sent(&mut webhook, &stream), None);
    assert_eq!(
        webhook.cursor,
        Cursor {
            event: 0,
            seq: Seq(9)
        }
    );
}

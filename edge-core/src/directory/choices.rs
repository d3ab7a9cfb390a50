//! Choices of relays that a stream's object goes on with, so that the directory is not asked for every session.
//!
//! What always holds: a choice counts for clients in the same place alone, for [`CHOSEN_LIFE_MS`], for no more sessions than
//! its relay has room for, and only while the stream is at that relay.

use super::placement::{Chosen, Placed, Wanted};
use streamchain_protocol::ids::{RelayId, SessionId};
use streamchain_protocol::limits::CHOSEN_LIFE_MS;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Location;

/// Most choices kept: clients of that many places can come to one stream in a second without asking the directory twice.
const MAX_CHOICES: usize = 32;

/// A square of a degree, at most 111 km wide: less than the least distance that decides.
type Cell = Option<(i16, i16)>;

fn cell(client: Option<Location>) -> Cell {
    let (latitude, longitude) = client?.degrees();
    Some((latitude.floor() as i16, longitude.floor() as i16))
}

/// The choices of one stream.
#[derive(Debug, Default)]
pub struct Choices {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    cell: Cell,
    placed: Placed,
    at: UnixMs,
    /// Sessions that were sent there since, beside the first.
    handed: u64,
}

impl Kept {
    fn counts(&self, wanted: &Wanted, now: UnixMs) -> bool {
        let relay = &self.placed.chosen.relay;
        let is_there = match self.placed.follows {
            true => wanted.serving.contains(relay) && !wanted.barred.contains(relay),
            false => wanted.current.as_ref() == Some(relay),
        };
        let has_room = self.placed.room.is_none_or(|room| self.handed < room);
        is_there && has_room && now.since(self.at) < CHOSEN_LIFE_MS
    }
}

/// A choice for one session, and whether its relay shares the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The relay, with the candidates of the session's shard.
    pub chosen: Chosen,
    /// Whether the relay shares streams with others.
    pub shares: bool,
    /// Whether it takes the stream from the relays that have it.
    pub follows: bool,
    /// Relays that had the stream and are alive no more.
    pub gone: Vec<RelayId>,
}

impl Choice {
    /// Returns the choice for one session.
    pub fn of(placed: &Placed, session: SessionId) -> Self {
        Self {
            chosen: placed.of_session(session),
            shares: placed.shares,
            follows: placed.follows,
            gone: placed.gone.clone(),
        }
    }
}

impl Choices {
    /// Returns a choice that still counts for a session.
    pub fn take(&mut self, wanted: &Wanted, session: SessionId, now: UnixMs) -> Option<Choice> {
        let cell = cell(wanted.client);
        let kept = self.kept.iter_mut().find(|one| one.cell == cell)?;
        if !kept.counts(wanted, now) {
            return None;
        }
        kept.handed += 1;
        Some(Choice::of(&kept.placed, session))
    }

    /// Forgets what the place of a client had; returns how many sessions were sent to which relay with it.
    pub fn forget(&mut self, client: Option<Location>) -> Option<(RelayId, u64)> {
        let cell = cell(client);
        let place = self.kept.iter().position(|one| one.cell == cell)?;
        let kept = self.kept.swap_remove(place);
        (kept.handed > 0).then_some((kept.placed.chosen.relay, kept.handed))
    }

    /// Keeps what the directory chose, and returns it for the session that it was asked for.
    pub fn keep(&mut self, wanted: &Wanted, placed: Placed, session: SessionId, now: UnixMs) -> Choice {
        let cell = cell(wanted.client);
        let choice = Choice::of(&placed, session);
        self.kept
            .retain(|one| one.cell != cell && now.since(one.at) < CHOSEN_LIFE_MS);
        if self.kept.len() >= MAX_CHOICES {
            self.kept.remove(0);
        }
        self.kept.push(Kept {
            cell,
            placed,
            at: now,
            handed: 0,
        });
        choice
    }
}

#[cfg(test)]
mod tests {
    use super::super::Directory;
    use super::super::tests::{id, registration, wanted};
    use super::*;
    use streamchain_protocol::ids::ShortId;
    use streamchain_protocol::wire::Registration;

    const STREAM: ShortId = ShortId([5; 20]);
    const SESSION: SessionId = SessionId([1; 8]);

    fn here() -> Option<Location> {
        Location::of_degrees(50.1, 8.7)
    }

    fn wish(current: Option<&str>, client: Option<Location>) -> Wanted {
        Wanted {
            client,
            ..wanted(STREAM, current)
        }
    }

    /// What a directory with one relay chooses first.
    fn chosen(capacity: Option<u64>) -> (Choices, Wanted) {
        let mut directory = Directory::default();
        let with = Registration {
            capacity,
            ..registration(1, 0)
        };
        directory.register(&id("a"), with, UnixMs(0)).unwrap();
        let placed = directory.place(&wish(None, here()), UnixMs(0)).unwrap();
        let mut choices = Choices::default();
        let first = choices.keep(&wish(None, here()), placed, SESSION, UnixMs(0));
        assert_eq!(first.chosen.relay, id("a"));
        (choices, wish(Some("a"), here()))
    }

    #[test]
    fn a_choice_counts_for_a_second_and_one_place() {
        let (mut choices, wanted) = chosen(None);
        let mut take = |wanted: &Wanted, now| choices.take(wanted, SESSION, UnixMs(now)).is_some();
        assert!(take(&wanted, CHOSEN_LIFE_MS - 1));
        assert!(!take(&wanted, CHOSEN_LIFE_MS), "it is over");
        let elsewhere = wish(Some("a"), Location::of_degrees(51.1, 8.7));
        assert!(!take(&elsewhere, 1));
        assert!(!take(&wish(Some("a"), None), 1));
        assert!(!take(&wish(Some("b"), here()), 1), "the stream moved");
    }

    #[test]
    fn a_choice_is_used_no_further_than_its_relay_has_room() {
        let (mut choices, wanted) = chosen(Some(3));
        let mut taken = 0;
        while choices.take(&wanted, SESSION, UnixMs(1)).is_some() {
            taken += 1;
        }
        assert_eq!(taken, 2, "the first was the third's");
        assert_eq!(
            choices.forget(here()),
            Some((id("a"), 2)),
            "the directory counts them"
        );
        assert_eq!(choices.forget(here()), None);
    }

    #[test]
    fn choices_for_many_places_are_bounded() {
        let (mut choices, _) = chosen(None);
        let placed = choices.kept[0].placed.clone();
        for degree in 0..90 {
            let wanted = wish(Some("a"), Location::of_degrees(f64::from(degree), 0.0));
            choices.keep(&wanted, placed.clone(), SESSION, UnixMs(1));
        }
        assert_eq!(choices.kept.len(), MAX_CHOICES);
        let newest = wish(Some("a"), Location::of_degrees(89.0, 0.0));
        assert!(choices.take(&newest, SESSION, UnixMs(1)).is_some());
    }
}

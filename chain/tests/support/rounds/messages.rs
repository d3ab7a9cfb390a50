//! The messages between streams, batchers and the anchorer.

use streamchain_chain::batcher::{Fixing, OfferRun, Offered, RunOffered};
use streamchain_chain::rounds::{Closed, GroupRoots};
use streamchain_protocol::ids::StreamId;

use super::{Plan, Trouble, World};

/// A message that comes again.
pub(super) enum LateMessage {
    Offer(OfferRun),
    Close(u8, u64, Option<GroupRoots>),
    Fix(u8, GroupRoots),
    Announce(u8),
}

impl World {
    /// Each stream offers what it has.
    pub fn offer_all(&mut self, plan: Plan<'_>) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            self.offer(id, plan);
        }
    }

    fn offer(&mut self, id: StreamId, plan: Plan<'_>) {
        // At most: it is answered that its run begins elsewhere, and offers again from there.
        for _ in 0..2 {
            let stream = &self.streams[&id];
            let (first, end) = (stream.begin, stream.head());
            if end <= first.max(stream.offered) {
                return;
            }
            self.steps += 1;
            let trouble = plan(self.steps);
            let offer = OfferRun {
                stream: id,
                owner: stream.owner,
                first,
                count: (end.0 - first.0).try_into().unwrap(),
                root: stream.root(first, end),
                watched: stream.watched,
            };
            let Some(RunOffered { begin, refused }) = self.send_offer(&offer, trouble) else {
                return;
            };
            let stream = self.streams.get_mut(&id).unwrap();
            assert!(begin >= stream.begin, "what is decided stays so");
            stream.begin = begin;
            if refused.is_some() {
                stream.refused += 1;
                return;
            }
            if begin == first {
                stream.offered = end;
                return;
            }
        }
    }

    fn send_offer(&mut self, offer: &OfferRun, trouble: Trouble) -> Option<RunOffered> {
        let is_lost = matches!(trouble, Trouble::Lost | Trouble::DiesBefore);
        if self.away.contains(&Self::group(offer.stream)) || is_lost {
            return None;
        }
        let answer = self.take_offer(offer, trouble == Trouble::AskedDies);
        match trouble {
            Trouble::Doubled => return self.take_offer(offer, false),
            Trouble::Late => self.late.push(LateMessage::Offer(*offer)),
            _ => {}
        }
        let is_lost = trouble.loses_answer() || trouble == Trouble::DiesAfter;
        answer.filter(|_| !is_lost)
    }

    fn take_offer(&mut self, offer: &OfferRun, dies: bool) -> Option<RunOffered> {
        let batcher = self.batchers.get_mut(&Self::group(offer.stream))?;
        let mut offered = batcher.machine.handle_offer(offer).unwrap();
        if offered == Offered::Unknown && !self.database_is_away {
            let newest = self.database.newest_run(offer.stream);
            batcher
                .machine
                .handle_known(offer.stream, offer.owner, newest.as_ref());
            offered = batcher.machine.handle_offer(offer).unwrap();
        }
        batcher.save(dies);
        match offered {
            Offered::Answer(answer) => Some(answer),
            Offered::Unknown => None,
        }
    }

    pub(super) fn send_close(
        &mut self,
        group: u8,
        round: u64,
        previous: Option<GroupRoots>,
        trouble: Trouble,
    ) -> Option<Result<Closed, String>> {
        if self.away.contains(&group) || trouble == Trouble::Lost {
            return None;
        }
        let mut answer = self.take_close(group, round, previous.as_ref(), trouble == Trouble::AskedDies);
        match trouble {
            Trouble::Doubled => answer = self.take_close(group, round, previous.as_ref(), false),
            Trouble::Late => self.late.push(LateMessage::Close(group, round, previous)),
            _ => {}
        }
        Some(answer).filter(|_| !trouble.loses_answer())
    }

    fn take_close(
        &mut self,
        group: u8,
        round: u64,
        previous: Option<&GroupRoots>,
        dies: bool,
    ) -> Result<Closed, String> {
        let now = self.now;
        let batcher = self.batchers.get_mut(&group).unwrap();
        let answer = batcher.machine.handle_close(round, previous, now);
        batcher.save(dies);
        answer.map_err(|error| error.to_string())
    }

    pub(super) fn send_fix(
        &mut self,
        group: u8,
        fixed: GroupRoots,
        trouble: Trouble,
    ) -> Option<Result<(), String>> {
        if self.away.contains(&group) || trouble == Trouble::Lost {
            return None;
        }
        let mut answer = self.take_fix(group, &fixed, trouble == Trouble::AskedDies);
        match trouble {
            Trouble::Doubled => answer = self.take_fix(group, &fixed, false),
            Trouble::Late => self.late.push(LateMessage::Fix(group, fixed)),
            _ => {}
        }
        Some(answer).filter(|_| !trouble.loses_answer())
    }

    fn take_fix(&mut self, group: u8, fixed: &GroupRoots, dies: bool) -> Result<(), String> {
        let failure = "the list cannot be written".to_owned();
        match self.unwriting.get(&group) {
            Some(true) => self.do_fix(group, fixed, dies).and(Err(failure)),
            Some(false) => Err(failure),
            None => self.do_fix(group, fixed, dies),
        }
    }

    fn do_fix(&mut self, group: u8, fixed: &GroupRoots, dies: bool) -> Result<(), String> {
        let batcher = self.batchers.get_mut(&group).unwrap();
        let fixing = batcher
            .machine
            .handle_fixed(fixed)
            .map_err(|error| error.to_string())?;
        if let Fixing::Write(list) = fixing {
            if self.database_is_away {
                return Err("the database is away".to_owned());
            }
            let round = list.round;
            self.database.write_list(list);
            batcher.machine.handle_written(round);
        }
        batcher.save(dies);
        Ok(())
    }

    pub(super) fn take_announcement(&mut self, group: u8, dies: bool) {
        assert!(self.anchorer.handle_runs_waiting(group));
        self.save_anchorer(dies);
    }

    /// Whatever was late comes now.
    pub fn deliver_late(&mut self) {
        for message in std::mem::take(&mut self.late) {
            match message {
                LateMessage::Offer(offer) => drop(self.take_offer(&offer, false)),
                LateMessage::Close(group, round, previous) => {
                    drop(self.take_close(group, round, previous.as_ref(), false));
                }
                LateMessage::Fix(group, fixed) => drop(self.take_fix(group, &fixed, false)),
                LateMessage::Announce(group) => self.take_announcement(group, false),
            }
        }
    }
}

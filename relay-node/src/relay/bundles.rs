//! Batches that leave in one request: those of several streams that are to go to the edge in the same turn.
//!
//! What always holds: each batch of a bundle is answered once, by its own answer, by the failure of the whole, or by the
//! answer to it alone. A stream whose answer is late keeps no other waiting. An edge of a version without bundles gets
//! each batch alone.

use crate::core::{Answer, EdgeError, Request, Ticket};
use crate::relay::edge_client::EdgeClient;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;
use streamchain_protocol::wire::{Bundle, BundleAnswer};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

/// Largest batch that goes into a bundle, bytes: beside a larger one, a request is no cost, and to read it takes time that
/// the others would wait for.
const MAX_BUNDLED_BYTES: usize = 64 * 1024;

/// What leaves in one request.
#[derive(Debug)]
pub(super) enum Parcel {
    /// A request about one stream.
    One(Ticket, Request),
    /// Batches of several streams, and the tickets of each in their order.
    Bundle(Vec<Ticket>, Bundle<Bytes>),
}

/// Takes the first of the requests that wait, and with a small batch all other small batches that fit.
pub(super) fn next_parcel(waiting: &mut VecDeque<(Ticket, Request)>, bundles: bool) -> Option<Parcel> {
    let (ticket, request) = waiting.pop_front()?;
    let first = match request {
        Request::Batch { body } if bundles && body.len() <= MAX_BUNDLED_BYTES => body,
        request => return Some(Parcel::One(ticket, request)),
    };
    let (mut tickets, mut bundle) = (vec![ticket], Bundle::new());
    if let Err(body) = bundle.add(ticket.stream, first.clone()) {
        return Some(Parcel::One(ticket, Request::Batch { body }));
    }
    let mut others = VecDeque::with_capacity(waiting.len());
    for (ticket, request) in waiting.drain(..) {
        let request = match request {
            Request::Batch { body } if body.len() <= MAX_BUNDLED_BYTES => {
                match bundle.add(ticket.stream, body) {
                    Ok(()) => {
                        tickets.push(ticket);
                        continue;
                    }
                    Err(body) => Request::Batch { body },
                }
            }
            request => request,
        };
        others.push_back((ticket, request));
    }
    *waiting = others;
    match tickets.len() {
        1 => Some(Parcel::One(ticket, Request::Batch { body: first })),
        _ => Some(Parcel::Bundle(tickets, bundle)),
    }
}

/// Sends what is in a parcel; each answer goes to `answers` as soon as it is there.
pub(super) async fn deliver(
    edge_client: EdgeClient,
    parcel: Parcel,
    answers: UnboundedSender<(Ticket, Answer)>,
) {
    // A shard that hears no answers is gone.
    let answer = |ticket, answer| drop(answers.send((ticket, answer)));
    let (tickets, bundle) = match parcel {
        Parcel::One(ticket, request) => return answer(ticket, edge_client.send(ticket, request).await),
        Parcel::Bundle(tickets, bundle) => (tickets, bundle),
    };
    let mut open: Vec<Option<Ticket>> = tickets.into_iter().map(Some).collect();
    let posted = edge_client
        .post_bundle(&bundle, |one: BundleAnswer| {
            if let Some(ticket) = open.get_mut(one.position).and_then(Option::take) {
                answer(ticket, Answer::Batch(edge_client.committed(ticket.stream, one)));
            }
        })
        .await;
    let left = open.into_iter().zip(bundle.batches());
    let left = left.filter_map(|(ticket, (_, body))| Some((ticket?, body.clone())));
    match posted {
        Ok(true) => {
            let error = EdgeError::Unavailable("the answers to a bundle ended early".into());
            left.for_each(|(ticket, _)| answer(ticket, Answer::Batch(Err(error.clone()))));
        }
        Ok(false) => {
            edge_client.bundle_support().handle_refusal(Instant::now());
            let mut alone = JoinSet::new();
            for (ticket, body) in left {
                let (edge_client, answers) = (edge_client.clone(), answers.clone());
                alone.spawn(async move {
                    let answered = edge_client.send(ticket, Request::Batch { body }).await;
                    drop(answers.send((ticket, answered)));
                });
            }
            while alone.join_next().await.is_some() {}
        }
        Err(error) => left.for_each(|(ticket, _)| answer(ticket, Answer::Batch(Err(error.clone())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::ids::{Epoch, ShortId};
    use streamchain_protocol::limits::MAX_BUNDLE_BATCHES;

    fn ticket(stream: u8) -> Ticket {
        Ticket {
            stream: ShortId([stream; 20]),
            generation: 1,
        }
    }

    fn batch(stream: u8, bytes: usize) -> (Ticket, Request) {
        let body = vec![stream; bytes].into();
        (ticket(stream), Request::Batch { body })
    }

    fn inbox(stream: u8) -> (Ticket, Request) {
        (ticket(stream), Request::Inbox { epoch: Epoch(1) })
    }

    /// The streams of each parcel, in order.
    fn parcels(waiting: Vec<(Ticket, Request)>, bundles: bool) -> Vec<Vec<u8>> {
        let mut waiting = VecDeque::from(waiting);
        let mut parcels = Vec::new();
        while let Some(parcel) = next_parcel(&mut waiting, bundles) {
            parcels.push(match parcel {
                Parcel::One(ticket, _) => vec![ticket.stream.0[0]],
                Parcel::Bundle(tickets, bundle) => {
                    assert!(
                        tickets
                            .iter()
                            .map(|one| one.stream)
                            .eq(bundle.batches().iter().map(|one| one.0))
                    );
                    tickets.iter().map(|ticket| ticket.stream.0[0]).collect()
                }
            });
        }
        parcels
    }

    #[test]
    fn small_batches_go_together_and_all_else_alone() {
        let waiting = || {
            vec![
                batch(1, 9),
                inbox(2),
                batch(3, 9),
                batch(4, MAX_BUNDLED_BYTES + 1),
                batch(5, 9),
            ]
        };
        assert_eq!(parcels(waiting(), true), [vec![1, 3, 5], vec![2], vec![4]]);
        assert_eq!(
            parcels(waiting(), false),
            [vec![1], vec![2], vec![3], vec![4], vec![5]]
        );
        assert_eq!(parcels(vec![batch(1, 9)], true), [vec![1]]);
    }

    #[test]
    fn what_does_not_fit_goes_with_the_next_bundle() {
        let waiting = (0..MAX_BUNDLE_BATCHES as u8 + 2)
            .map(|stream| batch(stream, 9))
            .collect();
        let sizes: Vec<usize> = parcels(waiting, true).iter().map(Vec::len).collect();
        assert_eq!(sizes, [MAX_BUNDLE_BATCHES, 2]);
    }
}

//! Several calls at a time, and no more than a bound.

use futures_util::stream::{StreamExt, iter};

/// Does all of the work, at most so many parts of it at a time. The outcomes are in the order of the parts.
pub(crate) async fn side_by_side<T>(
    work: impl IntoIterator<Item = impl Future<Output = T>>,
    at_once: usize,
) -> Vec<T> {
    iter(work).buffered(at_once).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::cell::Cell;
    use std::future::pending;
    use std::task::Poll;

    #[test]
    fn outcomes_are_in_the_order_of_the_parts() {
        let work = (0..9).map(|part| async move { part * 2 });
        let all = side_by_side(work, 4).now_or_never();
        assert_eq!(all, Some((0..9).map(|part| part * 2).collect()));
    }

    #[test]
    fn no_more_parts_than_the_bound_are_begun() {
        let begun = Cell::new(0);
        let work = (0..9).map(|_| async {
            begun.set(begun.get() + 1);
            pending::<()>().await
        });
        let mut all = Box::pin(side_by_side(work, 4));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert_eq!(all.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(begun.get(), 4);
    }
}

//! The queue of one EC2 action: calls wait here for a token of the action's bucket.
//!
//! One of the waiting calls dispatches: it takes tokens and gives each token to the call that the fair queue names, until its own
//! turn comes. Then another waiting call dispatches. So the queue needs no task of its own: it works only while a waiting call is
//! polled.

use crate::lock::lock;
use crate::rate_limit::bucket::Bucket;
use crate::rate_limit::fair_queue::{FairQueue, Ticket};
use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The calls of one action that wait for a token of its bucket.
#[derive(Debug)]
pub(crate) struct ActionQueue {
    pub bucket: Arc<Mutex<Bucket>>,
    pub queue: Mutex<FairQueue<oneshot::Sender<()>>>,
    /// Held by the one waiting call that dispatches: it takes a token for each turn, until its own turn comes.
    dispatcher: tokio::sync::Mutex<()>,
    /// Notified when a call leaves the queue, with or without a token.
    left: Notify,
    pub throttles: AtomicU64,
}

/// A waiting call's entry in the queue. Dropping the entry removes it from the queue.
struct QueueEntry<'a> {
    action_queue: &'a ActionQueue,
    ticket: &'a Ticket,
    number: u64,
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        lock(&self.action_queue.queue).leave(self.ticket, self.number);
        self.action_queue.left.notify_waiters();
    }
}

impl ActionQueue {
    /// An empty queue before this bucket.
    pub fn before(bucket: Arc<Mutex<Bucket>>) -> Self {
        Self {
            bucket,
            queue: Mutex::default(),
            dispatcher: tokio::sync::Mutex::default(),
            left: Notify::new(),
            throttles: AtomicU64::new(0),
        }
    }

    /// Waits for a turn of the call with this ticket. The dispatcher waits for `ready` before it takes each token.
    pub async fn turn<F: Future<Output = ()>>(&self, ticket: &Ticket, ready: impl Fn() -> F) {
        let (grant, mut granted) = oneshot::channel();
        let number = lock(&self.queue).join(ticket, grant);
        let _entry = QueueEntry { action_queue: self, ticket, number };
        tokio::select! {
            biased;
            _ = &mut granted => {}
            _dispatcher = self.dispatcher.lock() => {
                // Boxed: only one of thousands of waiting calls is here at a time.
                Box::pin(async {
                    // The next call is chosen only when the token is there: by then a younger call may be next.
                    while granted.try_recv().is_err() {
                        ready().await;
                        self.token().await;
                        self.serve();
                    }
                })
                .await;
            }
        }
    }

    async fn token(&self) {
        loop {
            let taken = lock(&self.bucket).take(Instant::now());
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Gives the token to the next call that still waits.
    fn serve(&self) {
        let mut queue = lock(&self.queue);
        while queue.next().is_some_and(|grant| grant.send(()).is_err()) {}
    }

    /// Returns once fewer than `most` calls wait here.
    pub async fn shorter_than(&self, most: usize) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Listens before the length is read, so that no notification in between is missed.
            left.as_mut().enable();
            if lock(&self.queue).len() < most {
                return;
            }
            left.await;
        }
    }
}

//! The resync: one filtered, paginated Describe of all ENIs of this cluster, at start and then at an interval. It applies the
//! ENIs of each page at once, but absences only when all pages were answered.

use crate::cache::page_size::PageSize;
use crate::calls::describe::Weight;
use crate::changed::Changed;
use crate::convert;
use crate::ec2::Ec2;
use crate::lock::lock;
use crate::resync_stats::Resync;
use jiff::SignedDuration;
use multi_eni_api::names;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::observed::ObservedEni;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

impl Ec2 {
    /// Resyncs; never returns. After a failure, waits before the next try, each time longer.
    pub(crate) async fn keep_resyncing(&self) {
        let options = &self.inner.options;
        let mut retry = options.retry_after;
        let mut size = PageSize::new(options.page_size);
        loop {
            let began = Instant::now();
            let resynced = self.resync(size.current()).await;
            size.resync_ended(resynced.as_ref().err());
            self.inner.resync_requested.store(false, Ordering::Release);
            match resynced {
                Ok(()) => {
                    retry = options.retry_after;
                    self.note_failure(None);
                    self.await_next_resync(began).await;
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, retry_in = ?retry, "EC2 resync failed");
                    self.note_failure(Some(&error));
                    self.note_resync_failed();
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(options.resync_every);
                }
            }
        }
    }

    async fn await_next_resync(&self, began: Instant) {
        let due = tokio::time::sleep_until(began + self.inner.options.resync_every);
        tokio::pin!(due);
        loop {
            tokio::select! {
                biased;
                () = self.inner.resync_wake.notified() => {
                    if self.inner.resync_requested.load(Ordering::Acquire) {
                        return;
                    }
                }
                () = &mut due => return,
            }
        }
    }

    /// All ENIs that carry the tag of upstream's controller, of any cluster. Each call describes them; the cache does not keep
    /// them.
    ///
    /// # Errors
    /// [`CallError`] if EC2 did not answer, or answered with an error.
    pub async fn upstreams(&self) -> Result<Vec<ObservedEni>, CallError> {
        let filter = convert::filter(&format!("tag:{}", names::UPSTREAM_TAG_MANAGED_BY), [names::UPSTREAM_MANAGER]);
        self.all_enis(filter, Weight::Heavy).await.map(|page| page.enis)
    }

    /// How long the last whole resync took; zero before the first. With many ENIs or a slow EC2 it may be longer than the interval,
    /// and observations are as old as that.
    pub fn resync_took(&self) -> SignedDuration {
        let took = lock(&self.inner.resyncs).last.map(|last| last.took).unwrap_or_default();
        SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX)
    }

    /// One resync, with pages of this many ENIs at most. ENIs are applied page by page; absences only after the last page.
    async fn resync(&self, page_size: i32) -> Result<(), CallError> {
        let (sent, mut pages, mut unchanged) = (Instant::now(), 0, 0);
        let filter = convert::filter(&format!("tag:{}", names::TAG_CLUSTER), [self.inner.cluster.uid.as_str()]);
        let (mut began, mut shown, mut token) = (None, BTreeSet::new(), None);
        let mut unreadable = Vec::new();
        loop {
            let page = self.repeated_page(filter.clone(), page_size, token.take()).await?;
            let began = *began.get_or_insert(page.started);
            shown.extend(page.enis.iter().map(|seen| seen.id.clone()));
            self.change(|cache| {
                let uids = cache.apply_shown(page.enis);
                cache.note_listed(page.started, page.digests);
                ((), uids)
            });
            unreadable.extend(page.unreadable);
            token = page.next;
            (pages, unchanged) = (pages + 1, unchanged + page.unchanged);
            if token.is_none() {
                let hidden = Self::attachments_among(&unreadable);
                self.note_unreadable(&unreadable);
                self.change(|cache| {
                    shown.extend(cache.shown_unread(&hidden, began));
                    ((), cache.finish_resync(began, &shown))
                });
                self.note_resynced(Resync { began, took: sent.elapsed(), enis: shown.len(), pages, unchanged });
                self.notify(Changed::Resynced);
                return Ok(());
            }
        }
    }
}

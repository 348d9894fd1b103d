//! The batched lookups: ENIs by tag, by ID and by instance, and instance states. Each takes a batch of keys, sends the Describe
//! calls, applies the answer to the cache and reports what changed. It never decides which lookups are needed.

use crate::batcher::Batcher;
use crate::calls::describe::Weight;
use crate::changed::Changed;
use crate::convert::{self, Unreadable};
use crate::ec2::Ec2;
use crate::lock::lock;
use crate::rate_limit::action::Action;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::instance_life::InstanceState;
use multi_eni_plan::lookup_failure::LookupFailure;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

impl Ec2 {
    /// Sends the lookups of one batcher; never returns. After a failure, the batch waits before the next try, each time longer.
    pub(crate) async fn answer<K, F>(&self, batcher: &Batcher<K>, lookup: impl Fn(BTreeSet<K>) -> F)
    where
        K: Ord + Clone,
        F: Future<Output = Result<(), CallError>>,
    {
        let options = &self.inner.options;
        let mut retry = options.retry_after;
        loop {
            let batch = batcher.next(options.gather).await;
            match lookup(batch.clone()).await {
                Ok(()) => {
                    retry = options.retry_after;
                    batcher.answered(&batch);
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, retry_in = ?retry, "EC2 lookup failed");
                    batcher.unanswered(batch);
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(options.resync_every);
                }
            }
        }
    }

    pub(crate) async fn fetch_uids(&self, uids: BTreeSet<String>) -> Result<(), CallError> {
        let name = format!("tag:{}", names::TAG_ATTACHMENT_UID);
        let page = self.all_enis(convert::filter(&name, uids.iter().map(String::as_str)), Weight::Light).await?;
        self.inner.uids.answered(&uids);
        // An ENI that EC2 shows without an ID exists, so it is not recorded as absent.
        let hidden = Self::attachments_among(&page.unreadable);
        let asked = uids.difference(&hidden).cloned().collect();
        self.change(|cache| ((), cache.finish_lookup_by_tag(page.started, &asked, page.enis)));
        Ok(())
    }

    pub(crate) async fn fetch_enis(&self, ids: BTreeSet<EniId>) -> Result<(), CallError> {
        let filter = convert::filter("network-interface-id", ids.iter().map(EniId::as_str));
        let page = self.all_enis(filter, Weight::Light).await?;
        self.inner.enis.answered(&ids);
        let asked = page.answered_ids(&ids);
        self.change(|cache| ((), cache.finish_lookup_by_id(page.started, &asked, page.enis)));
        Ok(())
    }

    pub(crate) async fn fetch_instances(&self, ids: BTreeSet<InstanceId>) -> Result<(), CallError> {
        let filter = convert::filter("attachment.instance-id", ids.iter().map(InstanceId::as_str));
        let mut page = self.all_enis(filter, Weight::of_instances(ids.len())).await?;
        self.inner.instances.answered(&ids);
        // An ENI without an ID occupies its slot as well.
        page.enis.extend(page.unreadable.drain(..).map(Unreadable::occupant));
        self.change(|cache| {
            let uids = cache.finish_instances(page.started, &ids, page.enis);
            cache.note_outposts(page.outposts);
            ((), uids)
        });
        for id in ids {
            self.notify(Changed::Instance(id));
        }
        Ok(())
    }

    pub(crate) async fn fetch_states(&self, ids: BTreeSet<InstanceId>) -> Result<(), CallError> {
        let filter = convert::filter("instance-id", ids.iter().map(InstanceId::as_str));
        let (began, instances) = match self.all_instances(filter).await {
            Ok(answer) => answer,
            Err(error) => {
                self.note_states_failure(&error, &ids);
                return Err(error);
            }
        };
        let read: Vec<(InstanceId, Option<InstanceState>)> = instances.iter().filter_map(convert::instance).collect();
        // An instance without an ID can be any of the instances that are not shown, so none of these counts as missing.
        let unread = instances.len() - read.len();
        let described: BTreeMap<InstanceId, Option<InstanceState>> = read.into_iter().collect();
        self.count_unreadable("Instance", unread);
        let state = |id: &InstanceId| match described.get(id) {
            Some(Some(state)) => *state,
            None if unread == 0 => InstanceState::Missing,
            Some(None) | None => InstanceState::Unnamed,
        };
        let states = ids.iter().map(|id| (id.clone(), state(id))).collect();
        self.inner.states.answered(&ids);
        lock(&self.inner.cache).finish_states(began, states);
        *lock(&self.inner.states_failure) = None;
        for id in ids {
            self.notify(Changed::Instance(id));
        }
        Ok(())
    }

    /// Records that DescribeInstances failed. Reports the instances of the batch if the failure is new or has changed: the
    /// statuses of their ENIAttachments may have to show it.
    fn note_states_failure(&self, error: &CallError, ids: &BTreeSet<InstanceId>) {
        let is_new = {
            let now = self.now();
            let mut failure = lock(&self.inner.states_failure);
            let next = Some(LookupFailure::next(failure.as_ref(), Action::DescribeInstances.name(), error, now));
            let is_new = *failure != next;
            *failure = next;
            is_new
        };
        if is_new {
            ids.iter().cloned().map(Changed::Instance).for_each(|changed| self.notify(changed));
        }
    }
}

//! ENIs of this cluster that no ENIAttachment knows: judged after each whole sweep.

use super::{Outcome, Reconciler};
use crate::queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use multi_eni_plan::errors::{Call, CallError};
use multi_eni_plan::orphans::{self, Detachment};

impl Reconciler {
    pub(super) fn orphans(&mut self, key: &Key) {
        let Some(sweep) = self.means.ec2.last_sweep() else { return };
        // All others are as they should be, and there may be thousands of them.
        let is_known = |uid: &str| self.world.attachment_by_uid(uid).is_some();
        let (all, owned) = self.means.ec2.owned_where(|eni| orphans::is_stranger(eni, is_known));
        if owned.is_empty() {
            self.suspects.clear();
            return;
        }
        let (known, instances) = (self.world.attachment_uids(), self.world.instances());
        let named = self.world.attachments().filter_map(|entry| entry.held.eni()).collect();
        let verdict = orphans::judge(orphans::Input {
            now: self.now(),
            sweep,
            all,
            owned: &owned,
            known: &known,
            named: &named,
            instances: &instances,
            before: &self.suspects,
            called: self.orphans_called,
            settings: &self.means.settings,
        });
        self.suspects = verdict.suspects;
        if let Some(refused) = verdict.refused {
            self.warn_once(refused);
        }
        for eni in verdict.foreign {
            self.warn_once(format!(
                "{eni} is of this cluster and in use by something that is no Node here: not touched"
            ));
        }
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        for Detachment { eni, attachment, force } in verdict.detach {
            tracing::warn!(%eni, force, "no ENIAttachment knows it, in two whole sweeps: it is detached");
            let ec2 = self.means.ec2.clone();
            let detach = async move { ec2.detach(&eni, &attachment, force).await };
            work.push(self.orphan_call(Call::Detach, detach));
        }
        for eni in verdict.delete {
            tracing::warn!(%eni, "no ENIAttachment knows it, in two whole sweeps: it is deleted");
            let ec2 = self.means.ec2.clone();
            work.push(self.orphan_call(Call::Delete, async move { ec2.delete(&eni).await }));
        }
        if !work.is_empty() {
            self.orphans_called = Some(sweep);
            self.call(key, join_all(work));
        }
    }

    fn orphan_call(
        &self,
        call: Call,
        future: impl Future<Output = Result<(), CallError>> + Send + 'static,
    ) -> BoxFuture<'static, Outcome> {
        let sent = self.now();
        async move { Outcome::Called { uid: String::new(), call, sent, result: future.await } }.boxed()
    }

    pub(super) fn warn_once(&mut self, warning: String) {
        if self.warned.insert(warning.clone()) {
            tracing::warn!("{warning}");
        }
    }
}

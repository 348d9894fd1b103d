//! The poll: while anything is attaching or detaching, one look a tick at just those ENIs.

use crate::convert;
use crate::ec2::Ec2;
use crate::lock::lock;
use crate::questions::VALUES_A_FILTER;
use multi_eni_api::ids::EniId;
use multi_eni_plan::errors::CallError;
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Ec2 {
    /// Polls for ever; sleeps while nothing moves.
    pub(crate) async fn keep_polling(&self) {
        let every = self.inner.options.poll_every;
        let mut failed = 0_u32;
        let mut next = Instant::now();
        loop {
            if !lock(&self.inner.view).is_moving() {
                self.inner.motion.notified().await;
                // The first look is one tick after something began to move: EC2 takes that long.
                next = next.max(Instant::now() + every);
                continue;
            }
            tokio::time::sleep_until(next).await;
            let began = Instant::now();
            match self.poll().await {
                Ok(()) => {
                    failed = 0;
                    next = began + every;
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "poll failed");
                    let wait = every.saturating_mul(2_u32.saturating_pow(failed.min(10)));
                    next = Instant::now() + wait.min(self.inner.options.sweep_every);
                    failed = failed.saturating_add(1);
                }
            }
        }
    }

    async fn poll(&self) -> Result<(), CallError> {
        let moving: Vec<EniId> = lock(&self.inner.view).moving().into_iter().collect();
        for chunk in moving.chunks(VALUES_A_FILTER) {
            let filter = convert::filter("network-interface-id", chunk.iter().map(EniId::as_str));
            let (began, shown) = self.all_enis(filter).await?;
            let asked: BTreeSet<EniId> = chunk.iter().cloned().collect();
            self.change(|view| ((), view.finish_poll(began, &asked, shown)));
        }
        Ok(())
    }
}

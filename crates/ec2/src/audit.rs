//! The audit of `multi-eni drain`: all ENIs that EC2 shows with this cluster's ownership tag. It reads EC2 only, and neither reads
//! nor changes the cache.

use crate::calls::describe::Weight;
use crate::convert;
use crate::ec2::Ec2;
use multi_eni_api::names;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::observed::ObservedEni;

/// What EC2 shows of this cluster at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedEnis {
    /// The ENIs with the ownership tag, in any state.
    pub enis: Vec<ObservedEni>,
    /// Number of further ENIs in EC2's answer that have no ID.
    pub without_id: usize,
}

impl Ec2 {
    /// All ENIs with this cluster's ownership tag, in all pages and all states. Each call describes them; the cache does not keep
    /// them.
    ///
    /// # Errors
    /// [`CallError`] if EC2 did not answer, or answered with an error.
    pub async fn describe_owned(&self) -> Result<OwnedEnis, CallError> {
        let filter = convert::filter(&format!("tag:{}", names::TAG_CLUSTER), [self.inner.cluster.uid.as_str()]);
        let all = self.all_enis(filter, Weight::Heavy).await?;
        Ok(OwnedEnis { enis: all.enis, without_id: all.unreadable.len() })
    }
}

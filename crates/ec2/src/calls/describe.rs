//! Describes: always by filter and in pages, so that one unknown value never fails the whole call.

use crate::budgets::Action;
use crate::convert;
use crate::ec2::Ec2;
use aws_sdk_ec2::types::{Filter, Instance, InstanceTypeInfo, SecurityGroup, Subnet};
use jiff::Timestamp;
use multi_eni_plan::errors::CallError;
use multi_eni_plan::facts::EniSeen;

/// Most items that EC2 puts in a page.
const PAGE: i32 = 1000;

/// Most instance types that EC2 puts in a page.
const TYPES_A_PAGE: i32 = 100;

/// One page of ENIs.
pub(crate) struct EniPage {
    /// When it was asked for.
    pub started: Timestamp,
    /// The ENIs; their `shown_at` is `started`.
    pub enis: Vec<EniSeen>,
    /// What to ask the next page with, if there is one.
    pub next: Option<String>,
}

fn following(token: Option<&str>) -> Option<String> {
    token.filter(|token| !token.is_empty()).map(str::to_owned)
}

impl Ec2 {
    /// One page of ENIs, `size` at most.
    pub(crate) async fn eni_page(
        &self,
        filter: Filter,
        size: i32,
        token: Option<String>,
    ) -> Result<EniPage, CallError> {
        let call = self
            .inner
            .client
            .describe_network_interfaces()
            .filters(filter)
            .max_results(size.clamp(5, PAGE))
            .set_next_token(token);
        let (started, answer) =
            self.read(Action::DescribeEnis, || self.now(), |sent| call.customize().interceptor(sent).send()).await?;
        let enis =
            answer.network_interfaces().iter().map(|eni| convert::eni(eni, started)).collect::<Result<Vec<_>, _>>()?;
        Ok(EniPage { started, enis, next: following(answer.next_token()) })
    }

    /// All ENIs that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_enis(&self, filter: Filter) -> Result<(Timestamp, Vec<EniSeen>), CallError> {
        pages(|token| {
            let page = self.eni_page(filter.clone(), PAGE, token);
            async move { page.await.map(|EniPage { started, enis, next }| (started, enis, next)) }
        })
        .await
    }

    /// All instances that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_instances(&self, filter: Filter) -> Result<(Timestamp, Vec<Instance>), CallError> {
        pages(|token| {
            let call =
                self.inner.client.describe_instances().filters(filter.clone()).max_results(PAGE).set_next_token(token);
            async move {
                let (started, answer) = self
                    .read(Action::DescribeInstances, || self.now(), |sent| call.customize().interceptor(sent).send())
                    .await?;
                let next = following(answer.next_token());
                let reservations = answer.reservations.unwrap_or_default().into_iter();
                Ok((started, reservations.flat_map(|r| r.instances.unwrap_or_default()).collect(), next))
            }
        })
        .await
    }

    /// All subnets that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_subnets(&self, filter: Filter) -> Result<(Timestamp, Vec<Subnet>), CallError> {
        pages(|token| {
            let call =
                self.inner.client.describe_subnets().filters(filter.clone()).max_results(PAGE).set_next_token(token);
            async move {
                let (started, answer) = self
                    .read(Action::DescribeSubnets, || self.now(), |sent| call.customize().interceptor(sent).send())
                    .await?;
                let next = following(answer.next_token());
                Ok((started, answer.subnets.unwrap_or_default(), next))
            }
        })
        .await
    }

    /// All instance types that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_types(&self, filter: Filter) -> Result<(Timestamp, Vec<InstanceTypeInfo>), CallError> {
        pages(|token| {
            let call = self
                .inner
                .client
                .describe_instance_types()
                .filters(filter.clone())
                .max_results(TYPES_A_PAGE)
                .set_next_token(token);
            async move {
                let (started, answer) = self
                    .read(Action::DescribeTypes, || self.now(), |sent| call.customize().interceptor(sent).send())
                    .await?;
                let next = following(answer.next_token());
                Ok((started, answer.instance_types.unwrap_or_default(), next))
            }
        })
        .await
    }

    /// All security groups that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_groups(&self, filter: Filter) -> Result<(Timestamp, Vec<SecurityGroup>), CallError> {
        pages(|token| {
            let call = self
                .inner
                .client
                .describe_security_groups()
                .filters(filter.clone())
                .max_results(PAGE)
                .set_next_token(token);
            async move {
                let (started, answer) = self
                    .read(Action::DescribeGroups, || self.now(), |sent| call.customize().interceptor(sent).send())
                    .await?;
                let next = following(answer.next_token());
                Ok((started, answer.security_groups.unwrap_or_default(), next))
            }
        })
        .await
    }
}

/// A page: when it was asked for, what is on it, and what to ask the next one with.
type Page<T> = (Timestamp, Vec<T>, Option<String>);

/// All pages, one after the other, and when the first was asked for. `page` takes the token of the one before.
async fn pages<T, F>(mut page: impl FnMut(Option<String>) -> F) -> Result<(Timestamp, Vec<T>), CallError>
where
    F: Future<Output = Result<Page<T>, CallError>>,
{
    let (began, mut all, mut token) = page(None).await?;
    while token.is_some() {
        let (_, more, next) = page(token).await?;
        all.extend(more);
        token = next;
    }
    Ok((began, all))
}

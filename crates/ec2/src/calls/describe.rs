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
        let mut page = self.eni_page(filter.clone(), PAGE, None).await?;
        let (began, mut enis) = (page.started, page.enis);
        while page.next.is_some() {
            page = self.eni_page(filter.clone(), PAGE, page.next).await?;
            enis.append(&mut page.enis);
        }
        Ok((began, enis))
    }

    /// All instances that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_instances(&self, filter: Filter) -> Result<(Timestamp, Vec<Instance>), CallError> {
        let (mut began, mut instances, mut token) = (None, Vec::new(), None);
        loop {
            let call = self
                .inner
                .client
                .describe_instances()
                .filters(filter.clone())
                .max_results(PAGE)
                .set_next_token(token.take());
            let (started, answer) = self
                .read(Action::DescribeInstances, || self.now(), |sent| call.customize().interceptor(sent).send())
                .await?;
            let began = *began.get_or_insert(started);
            token = following(answer.next_token());
            let reservations = answer.reservations.unwrap_or_default();
            instances.extend(reservations.into_iter().flat_map(|r| r.instances.unwrap_or_default()));
            if token.is_none() {
                return Ok((began, instances));
            }
        }
    }

    /// All subnets that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_subnets(&self, filter: Filter) -> Result<(Timestamp, Vec<Subnet>), CallError> {
        let (mut began, mut subnets, mut token) = (None, Vec::new(), None);
        loop {
            let call = self
                .inner
                .client
                .describe_subnets()
                .filters(filter.clone())
                .max_results(PAGE)
                .set_next_token(token.take());
            let (started, answer) = self
                .read(Action::DescribeSubnets, || self.now(), |sent| call.customize().interceptor(sent).send())
                .await?;
            let began = *began.get_or_insert(started);
            token = following(answer.next_token());
            subnets.extend(answer.subnets.unwrap_or_default());
            if token.is_none() {
                return Ok((began, subnets));
            }
        }
    }

    /// All instance types that the filter matches.
    pub(crate) async fn all_types(&self, filter: Filter) -> Result<Vec<InstanceTypeInfo>, CallError> {
        let (mut types, mut token) = (Vec::new(), None);
        loop {
            let call = self
                .inner
                .client
                .describe_instance_types()
                .filters(filter.clone())
                .max_results(TYPES_A_PAGE)
                .set_next_token(token.take());
            let ((), answer) =
                self.read(Action::DescribeTypes, || (), |sent| call.customize().interceptor(sent).send()).await?;
            token = following(answer.next_token());
            types.extend(answer.instance_types.unwrap_or_default());
            if token.is_none() {
                return Ok(types);
            }
        }
    }

    /// All security groups that the filter matches, and when the first page was asked for.
    pub(crate) async fn all_groups(&self, filter: Filter) -> Result<(Timestamp, Vec<SecurityGroup>), CallError> {
        let (mut began, mut groups, mut token) = (None, Vec::new(), None);
        loop {
            let call = self
                .inner
                .client
                .describe_security_groups()
                .filters(filter.clone())
                .max_results(PAGE)
                .set_next_token(token.take());
            let (started, answer) = self
                .read(Action::DescribeGroups, || self.now(), |sent| call.customize().interceptor(sent).send())
                .await?;
            let began = *began.get_or_insert(started);
            token = following(answer.next_token());
            groups.extend(answer.security_groups.unwrap_or_default());
            if token.is_none() {
                return Ok((began, groups));
            }
        }
    }
}

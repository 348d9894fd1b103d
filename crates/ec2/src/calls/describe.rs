//! The Describe calls, always by filter and in pages: with a filter, one unknown value never fails the whole call. They are given
//! the filter, and return what EC2 shows; they never change the cache.

use crate::cache::listed;
use crate::convert::{self, Unreadable};
use crate::ec2::Ec2;
use crate::rate_limit::action::Action;
use crate::unchanged::items::Digest;
use crate::unchanged::reread::{Reread, Taken};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
use aws_sdk_ec2::types::{Filter, Instance, InstanceTypeInfo, SecurityGroup, Subnet};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::ec2_message_table::Message;
use multi_eni_plan::observed::ObservedEni;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tokio_util::task::AbortOnDropHandle;

/// Maximum number of items in a page of EC2.
const PAGE: i32 = 1000;

/// Instances whose ENIs are few, also with a dozen ENIs each.
const LIGHT_INSTANCES: usize = 10;

/// Maximum number of instance types in a page of EC2.
const TYPES_A_PAGE: i32 = 100;

/// How much an answer with ENIs may be to parse and to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A few ENIs, or ENIs of this cluster by their IDs. Somebody waits for the answer.
    Light,
    /// A thousand ENIs, perhaps with dozens of addresses each.
    Heavy,
}

impl Weight {
    /// The weight of a lookup of this many instances.
    pub fn of_instances(number: usize) -> Self {
        if number > LIGHT_INSTANCES { Self::Heavy } else { Self::Light }
    }
}

/// What is asked for: one page of ENIs.
struct EniRequest {
    filter: Filter,
    size: i32,
    token: Option<String>,
    /// What rereads the answer, if it may repeat what the cache holds.
    reread: Option<Reread>,
}

/// One page of ENIs.
pub(crate) struct EniPage {
    /// When the page was requested.
    pub started: Timestamp,
    /// The ENIs; their `shown_at` is `started`.
    pub enis: Vec<ObservedEni>,
    /// How many of them were not parsed, since the cache holds them as they are.
    pub unchanged: usize,
    /// The digests of their items, if they may be asked for again.
    pub digests: Vec<(EniId, Digest)>,
    /// The ENIs that have no ID.
    pub unreadable: Vec<Unreadable>,
    /// The Outposts of instances whose primary interfaces are in the page.
    pub outposts: Vec<(InstanceId, Box<str>)>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

impl EniPage {
    /// The IDs of `asked` for which this answer to a lookup by ID counts: all, or only those that it shows if it also shows an
    /// ENI without an ID. That ENI can be any of the others.
    pub fn answered_ids(&self, asked: &BTreeSet<EniId>) -> BTreeSet<EniId> {
        if self.unreadable.is_empty() {
            return asked.clone();
        }
        let shown: BTreeSet<&EniId> = self.enis.iter().map(|seen| &seen.id).collect();
        asked.iter().filter(|id| shown.contains(id)).cloned().collect()
    }
}

fn is_unknown_parameter(error: &CallError) -> bool {
    matches!(error, CallError::Answered { code, message }
        if Message::ManagedResourcesUnknown.is(code, message))
}

fn following(token: Option<&str>) -> Option<String> {
    token.filter(|token| !token.is_empty()).map(str::to_owned)
}

impl Ec2 {
    /// One page of ENIs, `size` at most. A [`Weight::Heavy`] page waits until no other one is asked for or parsed, if the options say
    /// that pages are [apart](crate::options::Options::pages_apart).
    pub(crate) async fn eni_page(
        &self,
        filter: Filter,
        weight: Weight,
        size: i32,
        token: Option<String>,
    ) -> Result<EniPage, CallError> {
        self.page(EniRequest { filter, size, token, reread: None }, weight).await
    }

    /// One page of a list of ENIs that is asked for again and again. What it repeats is read from the cache.
    pub(crate) async fn repeated_page(
        &self,
        filter: Filter,
        size: i32,
        token: Option<String>,
    ) -> Result<EniPage, CallError> {
        self.page(EniRequest { filter, size, token, reread: Some(Reread::new(self)) }, Weight::Heavy).await
    }

    async fn page(&self, request: EniRequest, weight: Weight) -> Result<EniPage, CallError> {
        let apart = self.inner.options.pages_apart.as_ref().filter(|_| weight == Weight::Heavy);
        let reread = request.reread.clone();
        let Some(apart) = apart else {
            let (started, answer) = self.ask_for_enis(&self.inner.client, request).await?;
            return Ok(self.read_enis(started, &answer, reread));
        };
        // The semaphore is never closed.
        let turn = self.inner.page_turn.clone().acquire_owned().await.ok();
        let (ec2, client) = (self.clone(), apart.client.clone());
        let asking = apart.runtime.spawn(async move { ec2.ask_for_enis(&client, request).await });
        // It ends early only when the process stops, or by a defect.
        let answered = AbortOnDropHandle::new(asking).await;
        let (started, answer) = answered.unwrap_or_else(|error| Err(CallError::Unknown(error.to_string())))?;
        // What is kept is made here, and what is not kept goes where it was made: then the memory of the parser is free as a whole.
        let page = self.read_enis(started, &answer, reread);
        apart.runtime.spawn(async move {
            drop(answer);
            drop(turn);
        });
        Ok(page)
    }

    async fn ask_for_enis(
        &self,
        client: &Client,
        request: EniRequest,
    ) -> Result<(Timestamp, DescribeNetworkInterfacesOutput), CallError> {
        let EniRequest { filter, size, token, reread } = request;
        let call =
            client.describe_network_interfaces().filters(filter).max_results(size.clamp(5, PAGE)).set_next_token(token);
        let request = |managed| {
            let call = call.clone().set_include_managed_resources(managed);
            let reread = reread.clone();
            self.read(
                Action::DescribeEnis,
                || self.now(),
                |sent| {
                    let call = call.customize().interceptor(sent);
                    match reread {
                        Some(reread) => call.interceptor(reread).send(),
                        None => call.send(),
                    }
                },
            )
        };
        self.with_managed(request).await
    }

    fn read_enis(
        &self,
        started: Timestamp,
        answer: &DescribeNetworkInterfacesOutput,
        reread: Option<Reread>,
    ) -> EniPage {
        let Taken { unchanged, digests } = reread.map(|reread| reread.take()).unwrap_or_default();
        let number = unchanged.len();
        let mut enis = Vec::with_capacity(number + answer.network_interfaces().len());
        enis.extend(unchanged.into_iter().map(|seen| listed::shown_again(seen, started)));
        let mut unreadable = Vec::new();
        for item in answer.network_interfaces() {
            match convert::eni(item, started) {
                Ok(seen) => enis.push(seen),
                Err(item) => unreadable.push(item),
            }
        }
        let outposts = answer.network_interfaces().iter().filter_map(convert::outpost).collect();
        self.count_unreadable("NetworkInterface", unreadable.len());
        EniPage {
            started,
            enis,
            unchanged: number,
            digests,
            unreadable,
            outposts,
            next: following(answer.next_token()),
        }
    }

    /// All ENIs that the filter matches; `started` is when the first page was requested.
    pub(crate) async fn all_enis(&self, filter: Filter, weight: Weight) -> Result<EniPage, CallError> {
        let mut all = self.eni_page(filter.clone(), weight, PAGE, None).await?;
        while let Some(token) = all.next.take() {
            let page = self.eni_page(filter.clone(), weight, PAGE, Some(token)).await?;
            all.enis.extend(page.enis);
            all.unreadable.extend(page.unreadable);
            all.outposts.extend(page.outposts);
            all.next = page.next;
        }
        Ok(all)
    }

    /// All instances that the filter matches, and when the first page was requested.
    pub(crate) async fn all_instances(&self, filter: Filter) -> Result<(Timestamp, Vec<Instance>), CallError> {
        pages(|token| {
            let call =
                self.inner.client.describe_instances().filters(filter.clone()).max_results(PAGE).set_next_token(token);
            async move {
                let request = |managed| {
                    let call = call.clone().set_include_managed_resources(managed);
                    self.read(
                        Action::DescribeInstances,
                        || self.now(),
                        |sent| call.customize().interceptor(sent).send(),
                    )
                };
                let (started, answer) = self.with_managed(request).await?;
                let next = following(answer.next_token());
                let reservations = answer.reservations.unwrap_or_default().into_iter();
                Ok((started, reservations.flat_map(|r| r.instances.unwrap_or_default()).collect(), next))
            }
        })
        .await
    }

    /// Includes the resources that other AWS services manage. Otherwise EC2 may hide them, and a hidden resource looks absent.
    /// Where EC2 does not know the parameter (isolated Regions lag), EC2 hides nothing, and later calls omit the parameter.
    async fn with_managed<T, F>(&self, request: impl Fn(Option<bool>) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let hides = &self.inner.hides_managed;
        if hides.load(Ordering::Acquire) {
            return request(None).await;
        }
        match request(Some(true)).await {
            Err(error) if is_unknown_parameter(&error) => {
                tracing::info!(%error, "EC2 does not know the parameter IncludeManagedResources; omitting it");
                hides.store(true, Ordering::Release);
                request(None).await
            }
            answer => answer,
        }
    }

    /// All subnets that match all filters, and when the first page was requested.
    pub(crate) async fn all_subnets(&self, filters: Vec<Filter>) -> Result<(Timestamp, Vec<Subnet>), CallError> {
        pages(|token| {
            let call = self
                .inner
                .client
                .describe_subnets()
                .set_filters(Some(filters.clone()))
                .max_results(PAGE)
                .set_next_token(token);
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

    /// All instance types that the filter matches, and when the first page was requested.
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

    /// All security groups that match all filters, and when the first page was requested.
    pub(crate) async fn all_groups(&self, filters: Vec<Filter>) -> Result<(Timestamp, Vec<SecurityGroup>), CallError> {
        pages(|token| {
            let call = self
                .inner
                .client
                .describe_security_groups()
                .set_filters(Some(filters.clone()))
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

/// A page: when it was requested, its items, and the token of the next page.
type Page<T> = (Timestamp, Vec<T>, Option<String>);

/// The items of all pages, in order, and when the first page was requested. `page` takes the token that the page before returned.
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

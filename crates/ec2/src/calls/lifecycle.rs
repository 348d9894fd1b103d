//! The calls that create, attach, detach and delete an ENI. Each sends one mutation and writes the answer through to the cache.
//! None decides whether the call is right.

use super::send::About;
use crate::cache::state::{CacheState, Uids};
use crate::convert;
use crate::ec2::Ec2;
use crate::rate_limit::action::Action;
use aws_sdk_ec2::types::{ResourceType, TagSpecification};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::lifecycle::tags;
use multi_eni_plan::observed::{AttachmentState, ObservedAttachment, ObservedEni};
use std::sync::OnceLock;

impl Ec2 {
    /// CreateNetworkInterface as this ENIAttachment requests it, with all tags in the call and `token` (at most 64 characters) as
    /// ClientToken. `may_repeat`: an earlier Create with this token may have made the ENI. Returns the ENI.
    ///
    /// # Errors
    /// [`CallError`]; after `Unknown` the ENI may exist.
    pub async fn create(
        &self,
        token: &str,
        may_repeat: bool,
        eni_attachment: &Attachment,
    ) -> Result<ObservedEni, CallError> {
        // The request is built only at the call's turn, because thousands of calls may wait for their turn.
        let made = &OnceLock::new();
        let send = |sent| {
            let request = &eni_attachment.request;
            let specification = TagSpecification::builder()
                .resource_type(ResourceType::NetworkInterface)
                .set_tags(Some(convert::tags_to_ec2(&tags(&self.inner.cluster, eni_attachment))))
                .build();
            let groups = (!request.security_group_ids.is_empty()).then(|| request.security_group_ids.clone());
            let call = self
                .inner
                .client
                .create_network_interface()
                .client_token(token)
                .subnet_id(&request.subnet_id)
                .set_groups(groups)
                .set_description((!request.description.is_empty()).then(|| request.description.clone()))
                .tag_specifications(specification)
                .set_ipv4_prefix_count(request.ipv4_prefix_count)
                .set_ipv6_address_count(request.ipv6_address_count)
                .set_ipv6_prefix_count(request.ipv6_prefix_count)
                .set_secondary_private_ip_address_count(request.private_ip_count.map(|n| n - 1).filter(|n| *n > 0))
                .set_connection_tracking_specification(
                    request.connection_tracking.map(convert::connection_tracking_to_ec2),
                )
                .customize()
                .interceptor(sent)
                .send();
            // The line in the log names the ENI that EC2 answers.
            async move {
                let answer = call.await;
                let eni = answer.as_ref().ok().and_then(|answer| answer.network_interface());
                if let Some(id) = eni.and_then(|eni| eni.network_interface_id()) {
                    let _ = made.set(id.to_owned());
                }
                answer
            }
        };
        let answer = self.mutate(Action::Create, About::Created(token, made), send).await?;
        let at = self.now();
        let created = answer
            .network_interface()
            .ok_or_else(|| CallError::Unknown("EC2's answer names no network interface".to_owned()))?;
        let seen = convert::eni(created, at)?;
        Ok(self.change(|cache| {
            let seen = cache.apply_created(seen, &tags(&self.inner.cluster, eni_attachment), may_repeat, at);
            let uids = seen.attachment_uid().map(str::to_owned).into_iter().collect();
            (seen, uids)
        }))
    }

    /// AttachNetworkInterface at network card `card` and device index `index`. Returns EC2's attachment ID. From then on the
    /// cache shows `attaching`.
    ///
    /// # Errors
    /// [`CallError`]; after `Unknown` the ENI may be attaching.
    pub async fn attach(&self, eni: &EniId, instance: &InstanceId, card: i32, index: i32) -> Result<String, CallError> {
        let send = |sent| {
            self.inner
                .client
                .attach_network_interface()
                .network_interface_id(eni.as_str())
                .instance_id(instance.as_str())
                .network_card_index(card)
                .device_index(index)
                .customize()
                .interceptor(sent)
                .send()
        };
        let answer = self.mutate(Action::Attach, About::Eni(eni), send).await?;
        let id = answer
            .attachment_id()
            .ok_or_else(|| CallError::Unknown("EC2's answer names no attachment".to_owned()))?
            .to_owned();
        self.written(eni, |cache, at| {
            let attachment = ObservedAttachment {
                id: id.clone(),
                instance: Some(instance.clone()),
                card,
                index,
                state: AttachmentState::Attaching,
                since: at,
                delete_on_termination: false,
            };
            cache.apply_attached(eni, attachment, at)
        });
        Ok(id)
    }

    /// DetachNetworkInterface; `force` is the last resort. From then on the cache shows `detaching`.
    ///
    /// # Errors
    /// [`CallError`]; after `Unknown` the ENI may be detaching.
    pub async fn detach(&self, eni: &EniId, attachment_id: &str, force: bool) -> Result<(), CallError> {
        let send = |sent| {
            let call = self.inner.client.detach_network_interface().attachment_id(attachment_id);
            call.set_force(force.then_some(true)).customize().interceptor(sent).send()
        };
        self.mutate(Action::Detach, About::Eni(eni), send).await?;
        self.written(eni, |cache, at| cache.apply_detached(eni, attachment_id, at));
        Ok(())
    }

    /// DeleteNetworkInterface. From then on the cache holds the ENI as deleted. If EC2 answers NotFound, the cache holds the ENI
    /// as absent, unless this handle created it less than `lag` ago.
    ///
    /// # Errors
    /// [`CallError`], NotFound included; after `Unknown` the ENI may be deleted.
    pub async fn delete(&self, eni: &EniId) -> Result<(), CallError> {
        let send = |sent| {
            let call = self.inner.client.delete_network_interface().network_interface_id(eni.as_str());
            call.customize().interceptor(sent).send()
        };
        match self.mutate(Action::Delete, About::Eni(eni), send).await {
            Ok(_) => {
                self.written(eni, |cache, at| {
                    cache.apply_deleted(eni, at);
                    true
                });
                Ok(())
            }
            Err(error) => {
                if error.code() == "InvalidNetworkInterfaceID.NotFound" {
                    self.written(eni, |cache, at| {
                        cache.apply_delete_not_found(eni, at);
                        true
                    });
                }
                Err(error)
            }
        }
    }

    /// Writes an answer through to the cache. If the cache does not hold the ENI, requests a lookup by its ID.
    pub(super) fn written(&self, eni: &EniId, apply: impl FnOnce(&mut CacheState, Timestamp) -> bool) {
        let at = self.now();
        let known = self.change(|cache| {
            let known = apply(cache, at);
            (known, cache.uid_of(eni).into_iter().collect::<Uids>())
        });
        if !known {
            self.lookup_by_id(eni);
        }
    }
}

//! The calls that change an ENI in place: ModifyNetworkInterfaceAttribute (one attribute in each call), CreateTags and
//! DeleteTags. Each sends one mutation and writes the answer through to the cache.

use super::send::About;
use crate::convert;
use crate::ec2::Ec2;
use crate::rate_limit::action::Action;
use aws_sdk_ec2::operation::modify_network_interface_attribute::builders::ModifyNetworkInterfaceAttributeFluentBuilder;
use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, NetworkInterfaceAttachmentChanges, Tag};
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, SecurityGroupId};
use multi_eni_plan::ec2_errors::CallError;
use std::collections::{BTreeMap, BTreeSet};

impl Ec2 {
    /// Sets deleteOnTermination of an attachment.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn set_delete_on_termination(
        &self,
        eni: &EniId,
        attachment_id: &str,
        value: bool,
    ) -> Result<(), CallError> {
        let changes = NetworkInterfaceAttachmentChanges::builder()
            .attachment_id(attachment_id)
            .delete_on_termination(value)
            .build();
        self.modify(eni, |call| call.attachment(changes)).await?;
        self.written(eni, |cache, at| cache.apply_delete_on_termination(eni, attachment_id, value, at));
        Ok(())
    }

    /// Replaces the security groups. EC2 requires at least one.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn set_groups(&self, eni: &EniId, groups: &[SecurityGroupId]) -> Result<(), CallError> {
        let ids = groups.iter().map(|group| group.as_str().to_owned()).collect();
        self.modify(eni, |call| call.set_groups(Some(ids))).await?;
        self.written(eni, |cache, at| cache.apply_groups(eni, groups.to_vec(), at));
        Ok(())
    }

    /// Sets the description, at most 255 characters.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn set_description(&self, eni: &EniId, description: &str) -> Result<(), CallError> {
        let value = AttributeValue::builder().value(description).build();
        self.modify(eni, |call| call.description(value)).await?;
        self.written(eni, |cache, at| cache.apply_description(eni, description, at));
        Ok(())
    }

    /// Sets the source/destination check.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn set_source_dest_check(&self, eni: &EniId, value: bool) -> Result<(), CallError> {
        let attribute = AttributeBooleanValue::builder().value(value).build();
        self.modify(eni, |call| call.source_dest_check(attribute)).await?;
        self.written(eni, |cache, at| cache.apply_source_dest_check(eni, value, at));
        Ok(())
    }

    /// Sets timeouts of connection tracking.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn set_connection_tracking(&self, eni: &EniId, timeouts: ConnectionTracking) -> Result<(), CallError> {
        let specification = convert::connection_tracking_to_ec2(timeouts);
        self.modify(eni, |call| call.connection_tracking_specification(specification)).await?;
        self.written(eni, |cache, at| cache.apply_connection_tracking(eni, timeouts, at));
        Ok(())
    }

    /// Adds tags, or changes their values. No tag is removed.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn tag(&self, eni: &EniId, tags: &BTreeMap<String, String>) -> Result<(), CallError> {
        let send = |sent| {
            let call = self.inner.client.create_tags().resources(eni.as_str());
            call.set_tags(Some(convert::tags_to_ec2(tags))).customize().interceptor(sent).send()
        };
        self.mutate(Action::Tag, About::Eni(eni), send).await?;
        self.written(eni, |cache, at| cache.apply_tagged(eni, tags, at));
        Ok(())
    }

    /// Removes tags by key, whatever their values.
    ///
    /// # Errors
    /// [`CallError`]; repeating the call is harmless.
    pub async fn untag(&self, eni: &EniId, keys: &BTreeSet<String>) -> Result<(), CallError> {
        let send = |sent| {
            let tags = keys.iter().map(|key| Tag::builder().key(key).build()).collect();
            let call = self.inner.client.delete_tags().resources(eni.as_str());
            call.set_tags(Some(tags)).customize().interceptor(sent).send()
        };
        self.mutate(Action::Untag, About::Eni(eni), send).await?;
        self.written(eni, |cache, at| cache.apply_untagged(eni, keys, at));
        Ok(())
    }

    async fn modify(
        &self,
        eni: &EniId,
        attribute: impl FnOnce(ModifyNetworkInterfaceAttributeFluentBuilder) -> ModifyNetworkInterfaceAttributeFluentBuilder,
    ) -> Result<(), CallError> {
        let send = |sent| {
            let call = self.inner.client.modify_network_interface_attribute().network_interface_id(eni.as_str());
            attribute(call).customize().interceptor(sent).send()
        };
        self.mutate(Action::Modify, About::Eni(eni), send).await?;
        Ok(())
    }
}

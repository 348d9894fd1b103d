//! Interfaces of other AWS services, as recorded answers of the real EC2 show them.

use std::collections::BTreeMap;

use super::account::Ec2;
use super::model::{Attachment, AttachmentStatus, Eni, Shape};
use super::setup_error::WorldError;

/// The AWS service to which an interface belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Foreign {
    /// A NAT gateway. The interface has no groups. Its attachment has no instance, card or time.
    NatGateway,
    /// A VPC endpoint.
    VpcEndpoint,
    /// A Lambda function. The interface is not requester-managed.
    Lambda,
    /// An RDS database.
    Rds,
    /// A transit gateway. The interface has no groups and is not requester-managed.
    TransitGateway,
    /// A Fargate task. The interface has an ordinary attachment, but no instance.
    FargateTask,
    /// A branch interface, which is in use without an attachment.
    Branch,
}

impl Foreign {
    /// All variants.
    pub const ALL: [Self; 7] = [
        Self::NatGateway,
        Self::VpcEndpoint,
        Self::Lambda,
        Self::Rds,
        Self::TransitGateway,
        Self::FargateTask,
        Self::Branch,
    ];

    fn interface_type(self) -> &'static str {
        match self {
            Self::NatGateway => "nat_gateway",
            Self::VpcEndpoint => "vpc_endpoint",
            Self::Lambda => "lambda",
            Self::Rds | Self::FargateTask => "interface",
            Self::TransitGateway => "transit_gateway",
            Self::Branch => "branch",
        }
    }

    fn is_requester_managed(self) -> bool {
        matches!(self, Self::NatGateway | Self::VpcEndpoint | Self::Rds | Self::FargateTask)
    }

    /// Gives an ordinary interface the properties of the service's interfaces.
    fn change(self, eni: &mut Eni) {
        self.interface_type().clone_into(&mut eni.interface_type);
        eni.description = format!("{self:?} (another AWS service)");
        eni.requester_managed = self.is_requester_managed();
        if matches!(self, Self::NatGateway | Self::TransitGateway) {
            eni.groups.clear();
        }
        if self == Self::Branch {
            eni.shape.texts = BTreeMap::from([("status", "in-use".to_owned())]);
            eni.tags.insert("eks:eni:owner".to_owned(), "eks-vpc-resource-controller".to_owned());
            return;
        }
        let own = self == Self::FargateTask;
        let id = eni.id.replacen("eni-", if own { "eni-attach-" } else { "ela-attach-" }, 1);
        let without: &[&'static str] =
            if own { &["instanceId"] } else { &["instanceId", "networkCardIndex", "attachTime"] };
        eni.shape.without = without.iter().copied().collect();
        eni.attachment = Some(Attachment {
            id,
            instance_id: String::new(),
            network_card_index: 0,
            device_index: 1,
            status: AttachmentStatus::Attached,
            delete_on_termination: false,
            attach_time: eni.created,
            stuck: None,
        });
    }
}

impl Ec2 {
    /// Adds an interface of another AWS service in a subnet; returns its ID.
    pub fn add_foreign(&self, kind: Foreign, subnet: &str) -> Result<String, WorldError> {
        let eni = self.hand_create(subnet, &[])?;
        self.hand_change(&eni, |eni| kind.change(eni))?;
        Ok(eni)
    }

    /// Changes how answers show an interface.
    pub fn reshape(&self, eni: &str, shape: Shape) -> Result<(), WorldError> {
        self.hand_change(eni, |eni| eni.shape = shape)
    }
}

//! The least IAM policy of the controller. It is computed from [`Bounds`]: the cluster, the VPC and the IDs that the policy may
//! be limited to. Nothing is looked up. A condition is used only with the actions and resource types that support its key, by
//! AWS's service authorization reference: a key that an action does not support is absent from the request, so the statement
//! would never match.

mod bounds;
mod document;

pub use bounds::{Bounds, ClusterUid, MalformedUid, Partition, UnknownPartition};
pub use document::{Policy, Statement};

use crate::ec2_errors::Call;
use multi_eni_api::names::TAG_CLUSTER;
use std::fmt::Display;

/// The lookups. Of all condition keys IAM supports only the Region for them, and no resource.
const DESCRIBES: [&str; 5] = [
    "DescribeInstances",
    "DescribeInstanceTypes",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
];

/// The length in characters, white space excluded, that IAM allows for a managed policy.
pub const MAX_LENGTH: usize = 6144;

/// The least policy within these bounds.
pub fn policy(bounds: &Bounds) -> Policy {
    let eni = arn(bounds, "network-interface", "*");
    let (create, tag, modify) = (Call::Create.action(), Call::Tag.action(), Call::Modify.action());
    let subnets = arns(bounds, "subnet", bounds.subnets.as_ref());
    let groups = arns(bounds, "security-group", bounds.security_groups.as_ref());
    Policy::of(vec![
        Statement::allow("Look", &DESCRIBES, vec!["*".to_owned()]),
        owner(
            "aws:RequestTag",
            bounds,
            Statement::allow("CreateOnlyWithTheOwnershipTag", &[create], vec![eni.clone()]),
        ),
        in_vpc(
            bounds,
            Statement::allow("CreateInTheseSubnetsAndGroups", &[create], [subnets, groups.clone()].concat()),
        ),
        Statement::allow("TagInTheCreateCall", &[tag], vec![eni.clone()]).when(
            "StringEquals",
            "ec2:CreateAction".to_owned(),
            create,
        ),
        // DeleteTags does not support ec2:Vpc. The ownership tag limits this statement more than the VPC would.
        owner(
            "aws:ResourceTag",
            bounds,
            Statement::allow("RetagOwnedButNeverTheOwner", &[tag, Call::Untag.action()], vec![eni.clone()])
                .when("Null", "aws:TagKeys".to_owned(), "false")
                .when("ForAllValues:StringNotEquals", "aws:TagKeys".to_owned(), TAG_CLUSTER),
        ),
        in_vpc(
            bounds,
            owner(
                "aws:ResourceTag",
                bounds,
                Statement::allow(
                    "ChangeOnlyOwned",
                    &[Call::Attach.action(), Call::Delete.action(), Call::Detach.action(), modify],
                    vec![eni],
                ),
            ),
        ),
        // IAM has no condition key for the VPC of an instance.
        Statement::allow(
            "InstancesOfAttachAndModify",
            &[Call::Attach.action(), Call::Detach.action(), modify],
            vec![arn(bounds, "instance", "*")],
        ),
        in_vpc(bounds, Statement::allow("GroupsOfModify", &[modify], groups)),
    ])
}

/// Limits a statement to ENIs with the ownership tag: of this cluster, if the cluster is known.
fn owner(key: &str, bounds: &Bounds, statement: Statement) -> Statement {
    let key = format!("{key}/{TAG_CLUSTER}");
    match &bounds.cluster_uid {
        Some(uid) => statement.when("StringEquals", key, uid.as_str()),
        None => statement.when("Null", key, "false"),
    }
}

/// Limits a statement to the VPC, if it is known. Account and Region stay open: a shared subnet belongs to another account.
fn in_vpc(bounds: &Bounds, statement: Statement) -> Statement {
    match &bounds.vpc {
        Some(vpc) => statement.when("ArnLike", "ec2:Vpc".to_owned(), &arn(bounds, "vpc", vpc.as_str())),
        None => statement,
    }
}

fn arns<'a, T: Display + 'a>(bounds: &Bounds, kind: &str, ids: Option<impl IntoIterator<Item = &'a T>>) -> Vec<String> {
    match ids {
        Some(ids) => ids.into_iter().map(|id| arn(bounds, kind, &id.to_string())).collect(),
        None => vec![arn(bounds, kind, "*")],
    }
}

fn arn(bounds: &Bounds, kind: &str, id: &str) -> String {
    format!("arn:{}:ec2:*:*:{kind}/{id}", bounds.partition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::ids::{SecurityGroupId, SubnetId, VpcId};
    use std::collections::BTreeSet;

    fn statement<'a>(policy: &'a Policy, sid: &str) -> &'a Statement {
        policy.statements().iter().find(|statement| statement.sid() == sid).unwrap()
    }

    #[test]
    fn bounds_reach_the_statements_that_support_them() {
        let uid = "0b9c0cb1-3a1f-4f5e-9d55-6a5ff4bd6a2b";
        let bounds = Bounds {
            partition: Partition::Aws,
            cluster_uid: Some(ClusterUid::parse(uid).unwrap()),
            vpc: Some(VpcId::parse("vpc-0a1b2c3d4e5f60718").unwrap()),
            subnets: Some(BTreeSet::from([SubnetId::parse("subnet-0f59b4f14737be9ad").unwrap()])),
            security_groups: Some(BTreeSet::from([SecurityGroupId::parse("sg-05da196f3314d4af8").unwrap()])),
        };
        let (least, open) = (policy(&bounds), policy(&Bounds::default()));
        let value = |policy: &Policy, sid: &str, operator: &str, key: &str| {
            statement(policy, sid).condition(operator, key).map(ToOwned::to_owned)
        };
        let tagged = |kind: &str| format!("aws:{kind}Tag/{TAG_CLUSTER}");
        for (sid, kind) in [
            ("CreateOnlyWithTheOwnershipTag", "Request"),
            ("RetagOwnedButNeverTheOwner", "Resource"),
            ("ChangeOnlyOwned", "Resource"),
        ] {
            assert_eq!(value(&least, sid, "StringEquals", &tagged(kind)).as_deref(), Some(uid), "{sid}");
            assert_eq!(value(&least, sid, "Null", &tagged(kind)), None, "{sid}");
            assert_eq!(value(&open, sid, "Null", &tagged(kind)).as_deref(), Some("false"), "{sid}");
        }
        let with_vpc: Vec<&str> = least
            .statements()
            .iter()
            .filter(|statement| statement.condition("ArnLike", "ec2:Vpc").is_some())
            .map(Statement::sid)
            .collect();
        assert_eq!(with_vpc, ["CreateInTheseSubnetsAndGroups", "ChangeOnlyOwned", "GroupsOfModify"]);
        assert_eq!(
            statement(&least, "CreateInTheseSubnetsAndGroups").resources(),
            ["arn:aws:ec2:*:*:subnet/subnet-0f59b4f14737be9ad", "arn:aws:ec2:*:*:security-group/sg-05da196f3314d4af8"]
        );
        assert_eq!(
            statement(&least, "GroupsOfModify").resources(),
            ["arn:aws:ec2:*:*:security-group/sg-05da196f3314d4af8"]
        );
        assert_eq!(least.actions(), open.actions());
    }

    #[test]
    fn every_arn_has_the_partition() {
        let bounds = Bounds {
            partition: Partition::AwsCn,
            vpc: Some(VpcId::parse("vpc-0a1b2c3d4e5f60718").unwrap()),
            ..Bounds::default()
        };
        let policy = policy(&bounds);
        let arns: Vec<&str> = policy
            .statements()
            .iter()
            .flat_map(|one| one.resources().iter().map(String::as_str).chain(one.condition("ArnLike", "ec2:Vpc")))
            .filter(|text| *text != "*")
            .collect();
        assert_eq!(arns.len(), 11, "{arns:?}");
        assert!(arns.iter().all(|arn| arn.starts_with("arn:aws-cn:ec2:")), "{arns:?}");
    }

    #[test]
    fn the_lookups_include_those_of_the_catalog() {
        use crate::observed::CatalogLookup;
        for lookup in [CatalogLookup::SubnetsById, CatalogLookup::Groups, CatalogLookup::InstanceTypes] {
            assert!(DESCRIBES.contains(&lookup.action()), "{}", lookup.action());
        }
        assert!(DESCRIBES.contains(&Call::Describe.action()));
    }
}

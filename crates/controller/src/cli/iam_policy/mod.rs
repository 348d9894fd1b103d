//! The command `multi-eni iam-policy`: prints the least IAM policy of the controller as JSON. It asks neither the cluster nor
//! AWS.

mod named;
mod refusal;

use super::output::print;
use crate::nodeeni_file;
use miette::{IntoDiagnostic, miette};
use multi_eni_api::ids::VpcId;
use multi_eni_plan::iam_policy::{self, Bounds, ClusterUid, Partition, Policy};
use named::Named;
use refusal::NodeEniSchema;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// UID of the cluster: kubectl get namespace kube-system -o jsonpath={.metadata.uid}. Limits the policy to the ENIs of this
    /// cluster [default: the ENIs of every cluster with this controller]
    #[arg(long, value_name = "UID", value_parser = ClusterUid::parse)]
    cluster_uid: Option<ClusterUid>,

    /// ID of a VPC. Limits subnets, security groups and ENIs to this VPC; instances cannot be limited so
    #[arg(long, value_name = "ID", value_parser = VpcId::parse)]
    vpc: Option<VpcId>,

    /// The partition of the account: aws, aws-cn (China) or aws-us-gov (GovCloud)
    #[arg(long, value_name = "NAME", default_value_t, value_parser = Partition::parse)]
    partition: Partition,

    /// A file of NodeENIs (- for standard input). Limits subnets and security groups to the IDs that they name. May be given
    /// several times
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
}

/// Runs `multi-eni iam-policy`. The policy is on standard output; what it could not be limited to is on standard error.
pub(super) fn run(flags: &Flags) -> miette::Result<ExitCode> {
    let mut objects = Vec::new();
    for path in &flags.file {
        objects.extend(nodeeni_file::read(path).map_err(|why| miette!("{why}"))?);
    }
    let (policy, warnings) = policy(flags, &objects).map_err(|why| miette!("{why}"))?;
    let text = text(&policy)?;
    for warning in warnings {
        eprintln!("Warning: {warning}");
    }
    let length = text.chars().filter(|char| !char.is_whitespace()).count();
    if length > iam_policy::MAX_LENGTH {
        eprintln!(
            "Warning: the policy has {length} characters, and IAM allows {} in a managed policy: name fewer NodeENIs, or use \
             --vpc without -f",
            iam_policy::MAX_LENGTH
        );
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(policy: &Policy) -> miette::Result<String> {
    serde_json::to_string_pretty(policy).into_diagnostic().map(|text| text + "\n")
}

/// The policy, and what it could not be limited to.
fn policy(flags: &Flags, objects: &[Value]) -> Result<(Policy, Vec<String>), String> {
    let mut bounds = Bounds {
        partition: flags.partition,
        cluster_uid: flags.cluster_uid.clone(),
        vpc: flags.vpc.clone(),
        ..Bounds::default()
    };
    let mut warnings = Vec::new();
    if bounds.vpc.is_some() {
        warnings.push(
            "instances are not limited to the VPC: IAM has no condition key for the VPC of an instance".to_owned(),
        );
    }
    if !objects.is_empty() {
        refuse(objects)?;
        let Named { subnets, groups } = named::of(objects)?;
        bounds.subnets = subnets.ids(&mut warnings, "subnets");
        bounds.security_groups = groups.ids(&mut warnings, "security groups");
    }
    Ok((iam_policy::policy(&bounds), warnings))
}

/// An error if the API server would refuse one of the NodeENIs: the policy would not be the one for what the user means.
fn refuse(objects: &[Value]) -> Result<(), String> {
    let schema = NodeEniSchema::new()?;
    let refusals = objects.iter().filter_map(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        schema.refusal(object).map(|why| format!("NodeENI {name} would be refused: {why}"))
    });
    let refusals: Vec<String> = refusals.collect();
    if refusals.is_empty() { Ok(()) } else { Err(refusals.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documented_policy_is_the_output_of_the_command() {
        let (policy, warnings) = policy(&Flags::default(), &[]).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let printed = text(&policy).unwrap();
        let documented = include_str!("../../../../../docs/iam-policy.json");
        assert_eq!(printed, documented, "run: multi-eni iam-policy >docs/iam-policy.json");
    }

    #[test]
    fn the_policy_permits_the_calls_of_the_controller_and_no_others() {
        let (policy, _) = policy(&Flags::default(), &[]).unwrap();
        let sent: BTreeSet<String> = multi_eni_ec2::action_names().map(|name| format!("ec2:{name}")).collect();
        let permitted: BTreeSet<String> = policy.actions().into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(permitted, sent);
    }
}

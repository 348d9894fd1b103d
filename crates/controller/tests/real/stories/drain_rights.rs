//! `multi-eni drain` without one of the rights that the chart's hook grants: it deletes nothing, and names the right and what helps.

use super::drain::{INSTANCES, as_hook, nodes};
use super::drain_hook::Hook;
use super::drain_orphans::{ELSEWHERE, failed, orphan};
use super::plan_rights::{role, squeezed};
use crate::harness::account::SUBNET_A;
use crate::harness::rights::{Right, granted_by};
use crate::harness::{Environment, Failure, SOON};

const ROLE: &str = "multi-eni-drain";

/// The right as the command names it, and the flag that does without it.
fn named(right: &Right) -> (String, &'static str) {
    let (verb, resource, group) = (&right.verb, &right.resource, &right.group);
    let resource = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place = right.namespace.as_ref().map(|namespace| format!(" in the namespace {namespace}")).unwrap_or_default();
    let flag = match right.resource.as_str() {
        "namespaces" | "nodes" => "--no-audit",
        "leases" => "--no-leader-check",
        _ => "drain cannot do without it",
    };
    (format!("The missing right: {verb} {resource}{name}{place}. "), flag)
}

/// Gives the hook these rights, in place of those that it has.
fn grant<'a>(environment: &Environment, rights: impl Iterator<Item = &'a Right>) -> Result<(), Failure> {
    let (in_namespace, everywhere): (Vec<&Right>, Vec<&Right>) = rights.partition(|right| right.namespace.is_some());
    environment.apply(&role(ROLE, None, everywhere.into_iter()))?;
    environment.apply(&role(ROLE, Some("multi-eni"), in_namespace.into_iter()))
}

/// Waits until the API server's cache of roles no longer has the right to delete.
fn may_not_delete(environment: &Environment) -> Result<(), Failure> {
    environment.until("the hook may not delete NodeENIs", SOON, || {
        let user = format!("--as=system:serviceaccount:multi-eni:{ROLE}");
        // kubectl ends with 1 if the answer is no.
        match environment.kubectl(&["auth", "can-i", "delete", "nodeenis.networking.k8s.aws", &user]) {
            Ok(yes) => Err(yes.into()),
            Err(_) => Ok(()),
        }
    })
}

#[test]
fn without_one_of_its_rights_the_command_names_the_right_and_what_helps() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let hook = Hook::install(&environment, true)?;
    nodes(&environment, 1)?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    // The Nodes are listed only if an orphan is attached.
    let ec2 = &environment.account.ec2;
    let stray = orphan(&environment)?;
    ec2.run_instance(ELSEWHERE, "m5.xlarge", SUBNET_A).map_err(failed)?;
    ec2.hand_attach(&stray, ELSEWHERE, 0, 1).map_err(failed)?;

    let rights = granted_by(&hook.manifests)?;
    assert!(rights.len() > 5, "{rights:?}");
    for missing in &rights {
        grant(&environment, rights.iter().filter(|right| *right != missing))?;
        let (right, helps) = named(missing);
        let args: &[&str] = if missing.verb == "delete" {
            may_not_delete(&environment)?;
            &["--yes"]
        } else {
            &["--dry-run"]
        };
        environment.until(&format!("drain {args:?} without {missing:?}"), SOON, || {
            let (code, text) = as_hook(&environment, &hook.account, args)?;
            let said = [right.as_str(), helps].iter().all(|words| squeezed(&text).contains(&squeezed(words)));
            if code == 1 && said { Ok(()) } else { Err(format!("exit code {code}: {text}").into()) }
        })?;
        let object = environment.get(&["nodeeni", "one"])?;
        assert!(object["metadata"]["deletionTimestamp"].is_null(), "without {missing:?}: {object:#}");
    }
    environment.passed();
    Ok(())
}

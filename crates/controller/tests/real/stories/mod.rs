//! The stories: each performs a user's operations and checks their results.

mod admission_sample;
mod adopt;
mod again;
mod by_label;
mod changes;
mod crash;
mod crash_late;
mod crd;
mod device_return;
mod drain;
mod drain_hook;
mod drain_orphans;
mod drain_rights;
mod ec2_errors;
mod failover;
mod fifty;
mod highest_free;
mod identity;
mod lost;
mod metrics;
mod nad;
mod node_labels;
mod nodes;
mod occupied;
mod paced;
mod page;
mod places;
mod plan;
mod plan_rights;
mod pods;
mod reconcile_at;
mod refusals;
mod refused;
mod restored;
mod rights;
mod startup_taint;
mod stripped_finalizer;
mod takeover;
mod terms;
mod traces;

use std::fmt::Write as _;

/// A NodeENI as YAML: selector `ng: multi-eni`, with these lines of spec.
fn nodeeni(name: &str, spec: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata:\n  name: {name}\nspec:\n  nodeSelector: {{ng: multi-eni}}\n"
    );
    for line in spec {
        let _ = writeln!(text, "  {line}");
    }
    text
}

//! Flags that decide whether a node that is no longer selected keeps its ENIs for the Pods that use them.

/// The flags about Pods, which `controller`, `plan` and `explain` share.
#[derive(Debug, clap::Args)]
pub(super) struct PodFlags {
    /// A node that is no longer selected keeps its ENIs while Pods on it use them. Needs the right to list and watch pods
    #[arg(long, env = "MULTI_ENI_WAIT_FOR_PODS", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    wait_for_pods: bool,

    /// Annotation in which a Pod names the NodeENIs whose ENIs it uses, separated by commas or in the JSON form of Multus. A
    /// Pod that requests a NodeENI's dpdkResourceName uses them too
    #[arg(long, env = "MULTI_ENI_POD_ANNOTATION", default_value = "networking.k8s.aws/nodeenis", value_parser = key)]
    pod_annotation: String,
}

impl PodFlags {
    /// The annotation. None: ENIs do not wait for Pods.
    pub fn annotation(&self) -> Option<String> {
        self.wait_for_pods.then(|| self.pod_annotation.clone())
    }
}

fn key(text: &str) -> Result<String, String> {
    let name = text.rsplit_once('/').map_or(text, |(_, name)| name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if name.is_empty() || name.len() > 63 || !text.chars().all(is_plain) {
        return Err(format!("{text:?} is not the key of an annotation, such as k8s.v1.cni.cncf.io/networks"));
    }
    Ok(text.to_owned())
}

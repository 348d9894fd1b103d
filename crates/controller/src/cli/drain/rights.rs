//! The rights on the API server that the command needs, and what it says if one is missing: verb, resource, and what helps. It sends
//! nothing.

use crate::cli::api_error::{Command, is_right_missing, said};
use crate::leader_election::elector::LEASE_NAME;
use multi_eni_api::names::GROUP;

/// A request that needs a right of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need<'a> {
    /// The list of a kind of this project, by its plural.
    List(&'a str),
    /// The watch of such a kind.
    Watch(&'a str),
    /// The deletion of the NodeENI with this name.
    Delete(&'a str),
    /// The list of the controller's Lease: in this namespace, or in all.
    ListLease(Option<&'a str>),
    /// The watch of the Lease.
    WatchLease(Option<&'a str>),
    /// The UID of the cluster.
    KubeSystem,
    /// The instances of the Nodes.
    ListNodes,
}

impl Need<'_> {
    /// Why the request failed. If the right is missing: which one, and what helps.
    pub fn failed(self, error: &kube::Error) -> String {
        let said = said(Command::Drain, &self.what(), error);
        if !is_right_missing(error) {
            return said;
        }
        format!("{said}. The missing right: {}. {}", self.right(), self.way_out())
    }

    /// What was to be done, as in "cannot WHAT".
    fn what(self) -> String {
        match self {
            Self::List(plural) => format!("list {plural}"),
            Self::Watch(plural) => format!("watch {plural}"),
            Self::Delete(name) => format!("delete NodeENI {name}"),
            Self::ListLease(namespace) => format!("list leases{}", within(namespace)),
            Self::WatchLease(namespace) => format!("watch leases{}", within(namespace)),
            Self::KubeSystem => "get the namespace kube-system".to_owned(),
            Self::ListNodes => "list nodes".to_owned(),
        }
    }

    /// Verb and resource, as RBAC names them.
    fn right(self) -> String {
        let lease = |namespace| format!("leases.coordination.k8s.io {LEASE_NAME}{}", within(namespace));
        match self {
            Self::List(plural) => format!("list {plural}.{GROUP}"),
            Self::Watch(plural) => format!("watch {plural}.{GROUP}"),
            Self::Delete(_) => format!("delete nodeenis.{GROUP}"),
            Self::ListLease(namespace) => format!("list {}", lease(namespace)),
            Self::WatchLease(namespace) => format!("watch {}", lease(namespace)),
            Self::KubeSystem => "get namespaces kube-system".to_owned(),
            Self::ListNodes => "list nodes".to_owned(),
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::List(_) | Self::Watch(_) => "drain cannot do without it. Nothing was deleted",
            Self::Delete(_) => {
                "drain cannot do without it. This NodeENI was not deleted. If others are named above as deleted, the controller removes them"
            }
            Self::ListLease(None) | Self::WatchLease(None) => {
                "drain looks for the Lease of a controller that leads. Name the controller's namespace with --namespace: then the right in \
                 that namespace is enough. Or use --no-leader-check"
            }
            Self::ListLease(Some(_)) | Self::WatchLease(Some(_)) => {
                "drain looks for the Lease of a controller that leads. To do without it use --no-leader-check"
            }
            Self::KubeSystem => {
                "The audit of EC2 needs it: the namespace's UID is in the tag of this cluster's ENIs. To remove the ENIs without the audit \
                 use --no-audit, and check EC2 by hand"
            }
            Self::ListNodes => {
                "The audit of EC2 needs it, because an ENI without an ENIAttachment is attached to an instance. To remove the ENIs without \
                 the audit use --no-audit, and check EC2 by hand"
            }
        }
    }
}

fn within(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| " in every namespace".to_owned(), |namespace| format!(" in the namespace {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure(message, "").with_code(code)))
    }

    #[test]
    fn a_missing_right_is_named_with_verb_and_resource_and_with_what_helps() {
        let none: &[&str] = &[];
        let rows = [
            (Need::List("nodeenis"), "list nodeenis.networking.k8s.aws", none),
            (Need::Watch("eniattachments"), "watch eniattachments.networking.k8s.aws", none),
            (Need::Delete("storage"), "delete nodeenis.networking.k8s.aws", none),
            (
                Need::ListLease(None),
                "list leases.coordination.k8s.io multi-eni-controller in every namespace",
                &["--namespace", "--no-leader-check"],
            ),
            (
                Need::WatchLease(Some("net")),
                "watch leases.coordination.k8s.io multi-eni-controller in the namespace net",
                &["--no-leader-check"],
            ),
            (Need::KubeSystem, "get namespaces kube-system", &["--no-audit"]),
            (Need::ListNodes, "list nodes", &["--no-audit"]),
        ];
        for (need, right, flags) in rows {
            let text = need.failed(&answer(403, "User \"u\" cannot list resource \"x\""));
            assert!(text.starts_with("not allowed to ") && text.contains(": User \"u\" cannot "), "{text}");
            assert!(text.contains(&format!(". The missing right: {right}. ")), "{right:?} is not in {text}");
            assert!(text.contains("docs/reference/drain.md"), "{text}");
            let all = ["--namespace", "--no-leader-check", "--no-audit"];
            let named: Vec<&str> = all.into_iter().filter(|flag| text.contains(flag)).collect();
            assert_eq!(named, flags, "{text}");
        }
    }

    #[test]
    fn another_failure_names_no_right() {
        for code in [401, 404, 500] {
            let text = Need::KubeSystem.failed(&answer(code, "no"));
            assert!(text.contains("get the namespace kube-system: no") && !text.contains("missing right"), "{text}");
        }
        let text = Need::Delete("a").failed(&answer(403, "admission webhook \"w\" denied the request"));
        assert!(text.contains("delete NodeENI a: admission webhook") && !text.contains("missing right"), "{text}");
    }
}

//! A policy document, and whether it allows a request.

use super::operator::{Of, Operator, holds, parse};
use super::request::Request;
use super::wildcard::{matches, matches_arn};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A policy document of statements that allow or deny.
#[derive(Clone, Debug)]
pub struct Policy(Vec<Statement>);

/// A statement, parsed.
#[derive(Clone, Debug)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: (Of, Operator),
    key: String,
    values: Vec<String>,
}

/// Why a policy document is not evaluated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The document is no JSON, or has an element that is not evaluated, such as `NotAction`.
    #[error("the policy document is not of the form that is evaluated: {0}")]
    Form(String),
    /// A condition has an operator that is not evaluated.
    #[error("the operator {0} is not evaluated")]
    Operator(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    statement: Vec<WrittenStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WrittenStatement {
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMore>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// [`Unsupported`] if it has anything that is not evaluated.
    pub fn parse(json: &str) -> Result<Self, Unsupported> {
        let document: Document = serde_json::from_str(json).map_err(|error| Unsupported::Form(error.to_string()))?;
        if document.version != "2012-10-17" {
            return Err(Unsupported::Form(format!("version {}", document.version)));
        }
        document.statement.into_iter().map(Statement::of).collect::<Result<_, _>>().map(Self)
    }

    /// Adds a statement, as IAM adds the statements of another policy of the same role.
    ///
    /// # Errors
    /// [`Unsupported`] if it has anything that is not evaluated.
    pub fn add(&mut self, statement: &str) -> Result<(), Unsupported> {
        let written = serde_json::from_str(statement).map_err(|error| Unsupported::Form(error.to_string()))?;
        self.0.push(Statement::of(written)?);
        Ok(())
    }

    /// Whether the policy allows the request: a statement allows it, and none denies it.
    pub fn allows(&self, request: &Request) -> bool {
        let mut meant = self.0.iter().filter(|statement| statement.is_about(request)).peekable();
        meant.peek().is_some() && meant.all(|statement| statement.allows)
    }
}

impl Statement {
    fn of(written: WrittenStatement) -> Result<Self, Unsupported> {
        let WrittenStatement { _sid: _, effect, action, resource, condition } = written;
        let mut conditions = Vec::new();
        for (name, keys) in condition {
            let operator = parse(&name).ok_or(Unsupported::Operator(name))?;
            conditions.extend(keys.into_iter().map(|(key, values)| Condition { operator, key, values: values.list() }));
        }
        Ok(Self { allows: effect == Effect::Allow, actions: action.list(), resources: resource.list(), conditions })
    }

    fn is_about(&self, request: &Request) -> bool {
        let has_action =
            |pattern: &String| matches(&pattern.to_ascii_lowercase(), &request.action.to_ascii_lowercase());
        let has_resource = |pattern: &String| pattern == "*" || matches_arn(pattern, &request.resource);
        self.actions.iter().any(has_action)
            && self.resources.iter().any(has_resource)
            && self.conditions.iter().all(|one| holds(one.operator, &one.values, request.values(&one.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = include_str!("../../../../docs/iam-policy.json");
    const OWNER: &str = "multi-eni.networking.k8s.aws/cluster";
    const ENI: &str = "arn:aws:ec2:eu-central-1:123456789012:network-interface/eni-1";

    fn documented() -> Policy {
        Policy::parse(DOCUMENTED).unwrap()
    }

    fn tagged(kind: &str) -> String {
        format!("aws:{kind}Tag/{OWNER}")
    }

    fn delete() -> Request {
        Request::new("ec2:DeleteNetworkInterface", ENI)
    }

    fn retag(key: &str) -> Request {
        Request::new("ec2:CreateTags", ENI).with(&tagged("Resource"), "uid").with("aws:TagKeys", key)
    }

    #[test]
    fn the_documented_policy_allows_what_carries_the_ownership_tag_and_nothing_else() {
        let policy = documented();
        assert!(policy.allows(&Request::new("ec2:DescribeSubnets", "*")));
        assert!(policy.allows(&delete().with(&tagged("Resource"), "uid")));
        assert!(!policy.allows(&delete()), "an ENI of somebody else");
        assert!(!policy.allows(&delete().with("aws:ResourceTag/cluster", "uid")), "another tag");
        assert!(!policy.allows(&delete().with(&tagged("Request"), "uid")), "another condition key");
        assert!(!policy.allows(&Request::new("ec2:TerminateInstances", "*")));
        let volume = Request::new("ec2:CreateTags", "arn:aws:ec2:eu-central-1:123456789012:volume/vol-1");
        assert!(!policy.allows(&volume.with(&tagged("Resource"), "uid").with("aws:TagKeys", "Name")));
    }

    #[test]
    fn the_owner_is_set_in_the_create_call_only() {
        let policy = documented();
        let created = |action: &str| Request::new("ec2:CreateTags", ENI).with("ec2:CreateAction", action);
        assert!(policy.allows(&created("CreateNetworkInterface")));
        assert!(!policy.allows(&created("RunInstances")));
        assert!(policy.allows(&retag("Name")));
        assert!(!policy.allows(&retag("Name").with("aws:TagKeys", OWNER)));
        let create = |key: &str| Request::new("ec2:CreateNetworkInterface", ENI).with(key, "uid");
        assert!(policy.allows(&create(&tagged("Request"))) && !policy.allows(&create("aws:RequestTag/Name")));
    }

    #[test]
    fn a_wrong_key_or_tag_in_the_policy_refuses() {
        let owned = delete().with(&tagged("Resource"), "uid");
        for (right, wrong) in
            [("aws:ResourceTag/", "aws:RequestTag/"), (OWNER, "multi-eni/cluster"), ("\"false\"", "\"true\"")]
        {
            let policy = Policy::parse(&DOCUMENTED.replace(right, wrong)).unwrap();
            assert!(!policy.allows(&owned), "{wrong} in place of {right}");
        }
        let of_cluster = DOCUMENTED
            .replace("\"Null\": {\n          \"aws:ResourceTag", "\"StringEquals\": {\n          \"aws:ResourceTag");
        let policy = |uid: &str| Policy::parse(&of_cluster.replace("\"false\"", &format!("\"{uid}\""))).unwrap();
        assert!(policy("uid").allows(&owned) && !policy("other").allows(&owned), "the UID of another cluster");
    }

    #[test]
    fn a_denial_wins_and_a_statement_of_another_policy_adds() {
        let mut policy = documented();
        let statement = |effect: &str| format!(r#"{{"Effect": "{effect}", "Action": "ec2:Delete*", "Resource": "*"}}"#);
        policy.add(&statement("Allow")).unwrap();
        assert!(policy.allows(&delete()));
        policy.add(&statement("Deny")).unwrap();
        assert!(!policy.allows(&delete()));
    }

    #[test]
    fn what_is_not_evaluated_is_an_error() {
        let with = |part: &str| {
            format!(
                r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "*", "Resource": "*"{part}}}]}}"#
            )
        };
        assert!(Policy::parse(&with("")).is_ok());
        assert!(matches!(Policy::parse(&with(r#", "NotResource": "*""#)), Err(Unsupported::Form(_))));
        let date = r#", "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}"#;
        assert_eq!(Policy::parse(&with(date)).unwrap_err(), Unsupported::Operator("DateLessThan".into()));
    }
}

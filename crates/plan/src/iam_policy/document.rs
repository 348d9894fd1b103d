//! An IAM policy document as IAM writes it in JSON. Single values are lists of one entry, which IAM accepts everywhere.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

/// A statement that allows actions on resources under conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<String>,
    resource: Vec<String>,
    /// Operator → key → values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<String, Vec<String>>>,
}

impl Policy {
    pub(super) fn of(statement: Vec<Statement>) -> Self {
        Self { version: "2012-10-17", statement }
    }

    /// Its statements.
    pub fn statements(&self) -> &[Statement] {
        &self.statement
    }

    /// The actions that it permits, such as `ec2:DescribeSubnets`.
    pub fn actions(&self) -> BTreeSet<&str> {
        self.statement.iter().flat_map(|statement| &statement.action).map(String::as_str).collect()
    }
}

impl Statement {
    /// Allows these actions of EC2 on these resources, without a condition.
    pub(super) fn allow(sid: &'static str, actions: &[&str], resource: Vec<String>) -> Self {
        let action = actions.iter().map(|action| format!("ec2:{action}")).collect();
        Self { sid, effect: "Allow", action, resource, condition: BTreeMap::new() }
    }

    /// Adds a condition. All conditions must hold.
    pub(super) fn when(mut self, operator: &'static str, key: String, value: &str) -> Self {
        self.condition.entry(operator).or_default().entry(key).or_default().push(value.to_owned());
        self
    }

    /// Its name.
    pub fn sid(&self) -> &str {
        self.sid
    }

    /// The ARNs of its resources, or `*`.
    pub fn resources(&self) -> &[String] {
        &self.resource
    }

    /// The first value of a condition.
    pub fn condition(&self, operator: &str, key: &str) -> Option<&str> {
        self.condition.get(operator)?.get(key)?.first().map(String::as_str)
    }
}

//! What the agent's rules and routes look like. A protocol number alone is no proof: another program may use it.

use crate::node::{Route, Rule, TABLE_MAIN};
use crate::wanted::TABLES;

/// The priority of the rules: the one that the AWS VPC CNI and the EKS AMI use for the same purpose.
pub(super) const RULE_PRIORITY: u32 = 32_765;

/// Whether the agent can have written the rule.
pub(super) fn has_shape_of_rule(rule: &Rule) -> bool {
    rule.is_plain && rule.source.is_some() && rule.priority == RULE_PRIORITY && rule.table >= TABLES
}

/// Whether the agent can have written the route. A default route of the table main is never the agent's.
pub(super) fn has_shape_of_route(route: &Route) -> bool {
    let is_in_place = match route.table {
        TABLE_MAIN => !route.is_default() && route.metric >= TABLES,
        table => table >= TABLES,
    };
    is_in_place && route.gateway.is_some()
}

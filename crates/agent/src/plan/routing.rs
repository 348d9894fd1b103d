//! The rules and routes of one ENI in the mode `addresses`: what is in the way, what is missing, and who has set what is there.

use super::author::{Author, RoutedBy};
use super::desired::Desired;
use super::node_network::covered;
use super::own_protocols::OwnProtocols;
use super::report::Obstacle;
use super::settings::PROTOCOL_KERNEL;
use super::shape::RULE_PRIORITY;
use super::step::Step;
use crate::netlink::Change;
use crate::node::{Link, Node, Route, Rule, TABLE_MAIN};
use crate::wanted::WantedEni;
use std::collections::BTreeSet;

/// What is known of one ENI and its link.
pub(super) struct Routing<'a> {
    pub node: &'a Node,
    pub link: &'a Link,
    pub wanted: &'a WantedEni,
    pub desired: &'a Desired,
    pub own: OwnProtocols<'a>,
}

impl Routing<'_> {
    /// Why the agent leaves the ENI as it is.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        let has_no_ipv6 = self.link.accept_ra.is_none() || self.link.is_ipv6_disabled;
        if has_no_ipv6 && self.desired.addresses.iter().any(|address| address.is_ipv6()) {
            return Some(Obstacle::NoIpv6);
        }
        let main = self.desired.routes.iter().filter(|route| route.table == TABLE_MAIN).map(|route| route.destination);
        main.into_iter()
            .find_map(|to| covered(self.node, to).map(|own| Obstacle::RouteCoversNode { to, own }))
            .or_else(|| self.rule_in_the_way())
            .or_else(|| self.route_in_the_way())
    }

    /// A rule of another program that comes before the agent's and takes the ENI's traffic to another table.
    fn rule_in_the_way(&self) -> Option<Obstacle> {
        let is_in_the_way = |rule: &&Rule| {
            !self.own.contains(rule.protocol)
                && rule.is_plain
                && rule.priority <= RULE_PRIORITY
                && rule.table != self.wanted.table()
                && rule.source.is_some_and(|theirs| {
                    self.desired.rules.iter().filter_map(|ours| ours.source).any(|ours| theirs.contains(&ours))
                })
        };
        let rule = self.node.rules.iter().find(is_in_the_way)?;
        Some(Obstacle::ForeignRule { rule: rule.clone(), author: Author::of_rule(rule, self.wanted) })
    }

    /// A route of another program in the ENI's table that goes elsewhere.
    fn route_in_the_way(&self) -> Option<Obstacle> {
        let is_in_the_way = |route: &&Route| {
            route.table == self.wanted.table()
                && !self.own.contains(route.protocol)
                && route.protocol != PROTOCOL_KERNEL
                && (route.link != self.link.index
                    || self.desired.routes.iter().any(|ours| {
                        (ours.table, ours.destination) == (route.table, route.destination)
                            && ours.gateway != route.gateway
                    }))
        };
        let route = self.node.routes.iter().find(is_in_the_way)?;
        Some(Obstacle::ForeignRoute { route: route.clone(), author: Author::of_route(route, &self.routed_by().others) })
    }

    /// The steps that add what neither the agent nor another program has set.
    pub(super) fn steps(&self) -> Vec<Step> {
        let routes = self.desired.routes.iter().filter(|route| self.provider_of_route(route).is_none());
        let rules = self.desired.rules.iter().filter(|rule| self.provider_of_rule(rule).is_none());
        let routes = routes.map(|route| Step::Kernel(Change::AddRoute(route.clone())));
        routes.chain(rules.map(|rule| Step::Kernel(Change::AddRule(rule.clone())))).collect()
    }

    /// Who has set the rules and routes.
    pub(super) fn routed_by(&self) -> RoutedBy {
        let mut agent = false;
        let mut others = BTreeSet::new();
        for wanted in &self.desired.rules {
            match self.provider_of_rule(wanted).filter(|rule| !self.own.contains(rule.protocol)) {
                Some(rule) => {
                    others.insert(Author::of_rule(rule, self.wanted));
                }
                None => agent = true,
            }
        }
        let of_rules = others.clone();
        for wanted in &self.desired.routes {
            match self.provider_of_route(wanted).filter(|route| !self.own.contains(route.protocol)) {
                Some(route) => {
                    others.insert(Author::of_route(route, &of_rules));
                }
                None => agent = true,
            }
        }
        RoutedBy { agent, others }
    }

    /// The route that does what the agent's would do: the agent's own, if there is one. In the table main the source is what makes the
    /// route work.
    fn provider_of_route(&self, wanted: &Route) -> Option<&Route> {
        let is_as_good = |route: &&Route| {
            (route.table, route.destination, route.gateway, route.link)
                == (wanted.table, wanted.destination, wanted.gateway, wanted.link)
                && (wanted.table != TABLE_MAIN || route.source == wanted.source)
        };
        let of_others = |route: &&Route| !self.own.contains(route.protocol) && is_as_good(route);
        let routes = &self.node.routes;
        routes.iter().find(|route| is_own_route(self.own, route, wanted)).or_else(|| routes.iter().find(of_others))
    }

    /// The rule that does what the agent's would do: the agent's own, if there is one. A rule after the table main decides nothing.
    fn provider_of_rule(&self, wanted: &Rule) -> Option<&Rule> {
        let of_others = |rule: &&Rule| {
            !self.own.contains(rule.protocol)
                && rule.is_plain
                && rule.priority <= RULE_PRIORITY
                && (rule.source, rule.table) == (wanted.source, wanted.table)
        };
        let rules = &self.node.rules;
        rules.iter().find(|rule| is_own_rule(self.own, rule, wanted)).or_else(|| rules.iter().find(of_others))
    }
}

/// Whether the route is the wanted one, with one of the agent's protocol numbers.
pub(super) fn is_own_route(own: OwnProtocols<'_>, route: &Route, wanted: &Route) -> bool {
    own.contains(route.protocol) && Route { protocol: wanted.protocol, ..route.clone() } == *wanted
}

/// Whether the rule is the wanted one, with one of the agent's protocol numbers.
pub(super) fn is_own_rule(own: OwnProtocols<'_>, rule: &Rule, wanted: &Rule) -> bool {
    own.contains(rule.protocol) && Rule { protocol: wanted.protocol, ..rule.clone() } == *wanted
}

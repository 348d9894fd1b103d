//! Each behaviour of the plan, by example.

mod kept;
mod modes;
mod other_programs;
mod own_link;

use super::model::{make, node, settings};
use super::report::Outcome;
use super::{Plan, plan};
use crate::ledger::Ledger;
use crate::node::{Node, Rule};
use crate::wanted::WantedEni;

fn look(node: &Node, ledger: &Ledger, wanted: &[WantedEni]) -> Plan {
    plan(node, ledger, wanted, &settings())
}

/// Plans and makes the steps.
fn turn(node: &mut Node, ledger: &mut Ledger, wanted: &[WantedEni]) -> Plan {
    let planned = look(node, ledger, wanted);
    make(node, ledger, &planned.steps);
    planned
}

/// A node on which the ENIs are set up.
fn set_up(wanted: &[WantedEni]) -> (Node, Ledger) {
    let numbers: Vec<u8> = wanted.iter().map(|eni| u8::try_from(eni.index).unwrap()).collect();
    let (mut node, mut ledger) = (node(&numbers), Ledger::default());
    turn(&mut node, &mut ledger, wanted);
    (node, ledger)
}

fn outcome(plan: &Plan) -> &Outcome {
    &plan.reports[0].outcome
}

/// Asserts that the ENI is left as it is, for a reason with these words.
fn blocked(node: &Node, ledger: &Ledger, wanted: &[WantedEni], words: &str) {
    let planned = look(node, ledger, wanted);
    assert_eq!(planned.steps, [], "nothing may be changed");
    let Outcome::Blocked(obstacle) = outcome(&planned) else { panic!("{:?}", planned.reports) };
    assert!(obstacle.to_string().contains(words), "{obstacle}");
}

fn foreign_rule(table: u32, priority: u32) -> Rule {
    let source = Some("10.0.1.11/32".parse().unwrap());
    Rule { source, is_ipv6: false, table, priority, protocol: 0, is_plain: true }
}

//! What a Node is and where it is comes to be in doubt: a host registers under a second name, a person sets a zone label, an answer
//! of EC2 leaves an instance out.

use super::cast::{Cast, labels};
use crate::script::{Act, Millis};
use crate::stage::zone;
use fastrand::Rng;

type Acts = Option<Vec<(Millis, Act)>>;

/// The instance of a Node registers under another name too. One of the two is deleted after a while, or neither is.
pub(super) fn twin(rng: &mut Rng, cast: &mut Cast) -> Acts {
    let node = cast.node(rng, |node| node.runs && !node.draining)?;
    let first = cast.nodes.get(&node)?.clone();
    let name = format!("{node}b");
    let its = if rng.bool() { first.labels.clone() } else { labels(rng) };
    let mut acts = vec![(0, Act::Twin { node: node.clone(), name: name.clone(), labels: its.clone() })];
    let later = rng.u64(1_000..200_000);
    match rng.u32(0..3) {
        0 => {}
        1 => acts.push((later, Act::Leave { node: name, terminate: false })),
        _ => {
            // It has been renamed: the second Node is the one that goes on.
            let mut renamed = cast.nodes.remove(&node)?;
            renamed.labels = its;
            cast.nodes.insert(name, renamed);
            acts.push((later, Act::Leave { node, terminate: false }));
        }
    }
    Some(acts)
}

/// A person sets a wrong zone label, or takes the label away; mostly it is put right soon.
pub(super) fn zone_label(rng: &mut Rng, cast: &Cast) -> Acts {
    let node = cast.node(rng, |node| node.runs)?;
    let own = cast.nodes.get(&node)?.zone.clone();
    let other = if own == "a" { "b" } else { "a" };
    let wrong = (rng.u32(0..4) != 0).then(|| zone(other));
    let mut acts = vec![(0, Act::ZoneLabel { node: node.clone(), zone: wrong })];
    if rng.u32(0..3) != 0 {
        acts.push((rng.u64(200..60_000), Act::ZoneLabel { node, zone: Some(zone(&own)) }));
    }
    Some(acts)
}

/// A few answers of EC2 leave a running instance out.
pub(super) fn left_out(rng: &mut Rng, cast: &Cast) -> Acts {
    let node = cast.node(rng, |node| node.runs)?;
    Some(vec![(0, Act::LeftOut { instance: cast.nodes.get(&node)?.instance.clone(), times: rng.u32(1..5) })])
}

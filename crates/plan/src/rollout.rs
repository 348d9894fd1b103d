//! Decides on which nodes outdated ENIs may be replaced now. The decision is keyed by NodeENI, because `maxUnavailable` belongs
//! to one. It is given the ENIAttachments of the NodeENI and its own last answer; it deletes and creates nothing.

use crate::attachment::{Attachment, by_node};
use multi_eni_api::conditions::{self, types};
use std::collections::{BTreeMap, BTreeSet};

/// For each NodeENI (by UID) the nodes on which `assign` may remove an outdated ENI.
pub type Permits = BTreeMap<String, RolloutTurns>;

/// The nodes (by name) on which replacement may begin or go on, and the nodes that are followed until they have as many ENIs
/// again as they had.
pub type RolloutTurns = BTreeMap<String, Turn>;

/// A node's part in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// How many ENIs were in use on the node when its turn began.
    pub had: usize,
    /// The node may lose its outdated ENIs: if `had` is 0, only those that are still not in use. If false, the node is only
    /// followed: an ENI is removed there for another reason, or by an earlier process.
    pub may_lose: bool,
}

/// The turns of one NodeENI: the nodes on which replacement may begin or go on, and the nodes that are only followed.
///
/// A node is away if an ENI on it is not ready, or is being removed while fewer ENIs are ready than `awaited`. Nodes that are
/// away use up `max_unavailable` first, so replacement never makes more nodes unavailable than that. A replacement that has begun
/// goes on while the node is in `outdated`.
///
/// - `outdated`: nodes with an ENIAttachment that the spec no longer describes.
/// - `coming`: nodes that will get an ENIAttachment that is not created yet. They are away. After a restart this may be the only
///   sign of a replacement that an earlier process began.
/// - `before`: the last answer. A node in it is away while it has fewer ready ENIs than it had, or than are awaited if those are
///   fewer. The new ENI may not be created yet, or EC2 may refuse it.
/// - `awaited`: how many ENIs a node is to have. If an ENI is removed and no new one is expected, nothing is away.
/// - `is_in_use`: whether something may use the ENI, ready or not.
/// - `max_unavailable`: at most this many nodes may be away because of replacement.
pub fn permits(
    attachments: &[&Attachment],
    outdated: &BTreeSet<String>,
    coming: &BTreeSet<String>,
    before: &RolloutTurns,
    awaited: impl Fn(&str) -> usize,
    is_in_use: impl Fn(&Attachment) -> bool,
    max_unavailable: usize,
) -> RolloutTurns {
    // Ignore ENIAttachments that are no longer selected. They may belong to a former instance with the same Node name and say
    // nothing about this one.
    let selected: Vec<&Attachment> =
        attachments.iter().copied().filter(|attachment| attachment.deselected_since.is_none()).collect();
    let (attachments, nodes) = (&selected, by_node(&selected));
    let count_on = |node: &str, counts: &dyn Fn(&Attachment) -> bool| {
        nodes.get(node).map_or(0, |here| here.iter().filter(|attachment| counts(attachment)).count())
    };
    let is_ready = |attachment: &Attachment| {
        attachment.deleting.is_none() && conditions::is_true(&attachment.status.conditions, types::READY)
    };
    let ready_on = |node: &str| count_on(node, &is_ready);
    let lacks = |(node, turn): &(&String, &Turn)| ready_on(node) < awaited(node).min(turn.had);
    let lacking: BTreeSet<&String> = before.iter().filter(lacks).map(|(node, _)| node).collect();
    let is_missed = |attachment: &Attachment| match attachment.deleting {
        None => !is_ready(attachment),
        Some(_) => ready_on(&attachment.node) < awaited(&attachment.node),
    };
    let missed = attachments.iter().filter(|attachment| is_missed(attachment)).map(|attachment| &attachment.node);
    let away: BTreeSet<&String> = missed.chain(lacking.iter().copied()).chain(coming).collect();
    // An outdated node without an ENI in use loses nothing by replacement, and a replacement that has begun is completed. A node
    // that has some ENIs left comes before nodes that have all, but it waits for its turn: the ENIs that are left may carry
    // traffic. An ENI that is in use but not ready, such as one that is being adopted, counts as left.
    let is_left =
        |attachment: &Attachment| attachment.deleting.is_none() && (is_ready(attachment) || is_in_use(attachment));
    let left_on = |node: &str| count_on(node, &is_left);
    let may_lose = |node: &str| before.get(node).is_some_and(|turn| turn.may_lose);
    let had_some = |node: &str| before.get(node).is_some_and(|turn| turn.had > 0);
    let is_begun = |node: &&String| may_lose(node) && had_some(node) || left_on(node) == 0;
    let (begun, partly): (Vec<&String>, Vec<&String>) =
        outdated.iter().filter(|node| away.contains(node)).partition(is_begun);
    let others_away = away.iter().filter(|node| partly.binary_search(node).is_err()).count();
    let partly = partly.into_iter().take(max_unavailable.saturating_sub(others_away));
    let begun = begun.into_iter().chain(partly);
    let free_turns = max_unavailable.saturating_sub(away.len());
    // A node that got its turn before may be starting at this moment, so it keeps the turn.
    let (again, new): (Vec<&String>, Vec<&String>) =
        outdated.iter().filter(|node| !away.contains(node)).partition(|node| may_lose(node));
    let next = again.into_iter().chain(new).take(free_turns);
    // An attached ENI that is being removed counts toward `had`: an earlier process may have started its replacement.
    let is_leaving =
        |attachment: &Attachment| attachment.deleting.is_some() && attachment.status.attachment_id.is_some();
    let leaving = |node: &str| count_on(node, &is_leaving);
    let turn = |node: &String, may_lose: bool| {
        let has = left_on(node) + leaving(node);
        (node.clone(), Turn { had: before.get(node).map_or(has, |turn| has.max(turn.had)), may_lose })
    };
    // A node that is no longer outdated and is losing an ENI is followed as well, until its new ENI is ready.
    let followed = away.iter().copied().filter(|node| leaving(node) > 0);
    // If nothing on the node is outdated any more, its turn is over. ENIs that another edit makes outdated wait for another turn.
    let goes_on = |node: &String| may_lose(node) && outdated.contains(node);
    let followed = lacking.iter().copied().chain(followed).map(|node| turn(node, goes_on(node)));
    followed.chain(begun.chain(next).map(|node| turn(node, true))).collect()
}

/// The nodes to decide again: their turn has begun, has changed or is over.
pub fn changed<'a>(before: &'a RolloutTurns, now: &'a RolloutTurns) -> impl Iterator<Item = &'a String> {
    let over = before.keys().filter(|node| !now.contains_key(*node));
    now.iter().filter(|(node, turn)| before.get(*node) != Some(turn)).map(|(node, _)| node).chain(over)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::new_attachment;

    #[test]
    fn at_most_max_unavailable_nodes_are_away_and_a_begun_replacement_goes_on() {
        let ready: Vec<Attachment> = (0..4).map(|n| new_attachment(&format!("n{n}"), 1, true)).collect();
        let refs: Vec<&Attachment> = ready.iter().collect();
        let outdated: BTreeSet<String> = ready.iter().map(|h| h.node.clone()).collect();
        let permits = |attachment: &[&Attachment], most| {
            nodes(permits(
                attachment,
                &outdated,
                &BTreeSet::new(),
                &RolloutTurns::new(),
                |_| 1,
                Attachment::may_be_in_use,
                most,
            ))
        };
        assert_eq!(permits(&refs, 1), ["n0"]);
        assert_eq!(permits(&refs, 2), ["n0", "n1"]);

        let mut some_away = ready.clone();
        some_away[2] = new_attachment("n2", 1, false);
        let refs: Vec<&Attachment> = some_away.iter().collect();
        assert_eq!(permits(&refs, 1), ["n2"]);
    }

    #[test]
    fn a_node_that_is_partly_away_gets_its_turn_before_nodes_with_all_enis() {
        let mut all: Vec<Attachment> = ["n0", "n1", "n2", "n3"].map(|node| new_attachment(node, 1, true)).into();
        all.extend(["n1", "n2", "n3"].map(|node| new_attachment(node, 2, false)));
        all.retain(|attachment| attachment.node != "n3" || attachment.slot().1 == 2);
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated: BTreeSet<String> = ["n0", "n1", "n2", "n3"].map(str::to_owned).into();
        let let_begin = |before: &RolloutTurns, most| {
            nodes(permits(&refs, &outdated, &BTreeSet::new(), before, |_| 2, Attachment::may_be_in_use, most))
        };
        assert_eq!(let_begin(&RolloutTurns::new(), 1), ["n3"], "the node has no ENI to lose");
        assert_eq!(let_begin(&RolloutTurns::new(), 2), ["n1", "n3"]);
        assert_eq!(let_begin(&begun("n2", 2), 2), ["n2", "n3"], "a replacement that has begun is finished first");
        assert_eq!(let_begin(&RolloutTurns::new(), 4), ["n0", "n1", "n2", "n3"]);
    }

    /// An earlier process may have removed the ENI of n0. This process cannot know.
    #[test]
    fn an_eni_in_use_on_a_node_that_is_partly_away_waits_while_another_node_is_away() {
        let adopted = multi_eni_api::ids::EniId::parse("eni-0123456789abcdef0").ok();
        let all = [new_attachment("n0", 1, false), Attachment { adopted, ..new_attachment("n1", 1, false) }];
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated = ["n1".to_owned()].into();
        let let_begin = |most| {
            nodes(permits(
                &refs,
                &outdated,
                &BTreeSet::new(),
                &RolloutTurns::new(),
                |_| 1,
                Attachment::may_be_in_use,
                most,
            ))
        };
        assert!(let_begin(1).is_empty());
        assert_eq!(let_begin(2), ["n1"]);
    }

    #[test]
    fn an_eni_removed_without_a_successor_gives_the_last_eni_no_turn() {
        let mut all: Vec<Attachment> = ["n0", "n1"].map(|node| new_attachment(node, 1, true)).into();
        all.extend(
            ["n0", "n1"].map(|node| Attachment {
                deleting: Some(jiff::Timestamp::UNIX_EPOCH),
                ..new_attachment(node, 2, true)
            }),
        );
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated = ["n0", "n1"].map(str::to_owned).into();
        let let_begin = |awaited| {
            nodes(permits(
                &refs,
                &outdated,
                &BTreeSet::new(),
                &RolloutTurns::new(),
                |_| awaited,
                Attachment::may_be_in_use,
                1,
            ))
        };
        assert_eq!(let_begin(1), ["n0"], "one is asked for, and it is ready");
        assert_eq!(let_begin(2), ["n0"], "both nodes lack an ENI: their other ENIs are replaced in their turn");
    }

    #[test]
    fn a_node_is_away_until_the_replacement_that_an_earlier_process_began_is_ready() {
        let all: Vec<Attachment> = ["n0", "n1"].map(|node| new_attachment(node, 1, true)).into();
        let mut leaving = all.clone();
        leaving[0].deleting = Some(jiff::Timestamp::UNIX_EPOCH);
        leaving[0].status.attachment_id = Some("eni-attach-1".to_owned());
        let outdated = ["n0", "n1"].map(str::to_owned).into();
        let let_begin = |attachment: &[Attachment], before: &RolloutTurns| {
            permits(
                &attachment.iter().collect::<Vec<_>>(),
                &outdated,
                &BTreeSet::new(),
                before,
                |_| 1,
                Attachment::may_be_in_use,
                1,
            )
        };
        let first = let_begin(&leaving, &RolloutTurns::new());
        assert_eq!(first, begun("n0", 1));
        assert_eq!(let_begin(&leaving[1..], &first), first, "the old ENI is gone, and the new one is not created yet");
        // The same if nothing else of the node is outdated.
        let others = ["n1".to_owned()].into();
        let refs: Vec<&Attachment> = leaving.iter().collect();
        let first =
            permits(&refs, &others, &BTreeSet::new(), &RolloutTurns::new(), |_| 1, Attachment::may_be_in_use, 1);
        assert_eq!(permits(&refs[1..], &others, &BTreeSet::new(), &first, |_| 1, Attachment::may_be_in_use, 1), first);
    }

    #[test]
    fn a_node_with_fewer_enis_than_it_had_is_away() {
        let attachment: Vec<Attachment> =
            [("n0", true), ("n1", true), ("n2", true)].map(|(node, ready)| new_attachment(node, 1, ready)).into();
        let refs: Vec<&Attachment> = attachment.iter().collect();
        let outdated = ["n0", "n2"].map(str::to_owned).into();
        let let_begin = |had, awaited, most| {
            nodes(permits(
                &refs,
                &outdated,
                &BTreeSet::new(),
                &begun("n1", had),
                |_| awaited,
                Attachment::may_be_in_use,
                most,
            ))
        };
        assert!(let_begin(2, 2, 1).is_empty(), "one of n1's two ENIs is not created yet");
        assert_eq!(let_begin(2, 2, 2), ["n0"]);
        assert_eq!(let_begin(2, 1, 1), ["n0"], "no more are asked for");
        assert_eq!(let_begin(1, 2, 1), ["n0"], "the other was not there before");
    }

    #[test]
    fn a_turn_keeps_the_number_of_enis_and_is_not_given_to_another_node() {
        let attachment: Vec<Attachment> = ["n0", "n1"].map(|node| new_attachment(node, 1, true)).into();
        let refs: Vec<&Attachment> = attachment.iter().collect();
        let outdated: BTreeSet<String> = attachment.iter().map(|attachment| attachment.node.clone()).collect();
        let before = begun("n1", 2);
        assert_eq!(
            permits(&refs, &outdated, &BTreeSet::new(), &before, |_| 1, Attachment::may_be_in_use, 1),
            before,
            "n0 became outdated since"
        );
    }

    #[test]
    fn an_eni_being_adopted_waits_for_its_turn_although_it_is_not_ready() {
        let adopted = multi_eni_api::ids::EniId::parse("eni-0123456789abcdef0").ok();
        let all: Vec<Attachment> = ["n0", "n1", "n2"]
            .map(|node| Attachment { adopted: adopted.clone(), ..new_attachment(node, 1, false) })
            .into();
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated = ["n0", "n1", "n2"].map(str::to_owned).into();
        let let_begin = |most| {
            nodes(permits(
                &refs,
                &outdated,
                &BTreeSet::new(),
                &RolloutTurns::new(),
                |_| 1,
                Attachment::may_be_in_use,
                most,
            ))
        };
        assert_eq!(let_begin(1), ["n0"]);
        assert_eq!(let_begin(2), ["n0", "n1"]);
        let unused = permits(&refs, &outdated, &BTreeSet::new(), &RolloutTurns::new(), |_| 1, |_| false, 1);
        assert_eq!(nodes(unused.clone()), ["n0", "n1", "n2"], "an unused ENI causes no loss");
        let now_used = permits(&refs, &outdated, &BTreeSet::new(), &unused, |_| 1, Attachment::may_be_in_use, 1);
        assert_eq!(nodes(now_used), ["n0"], "the ENI came into use before it was removed");
    }

    #[test]
    fn a_new_process_counts_a_node_whose_eniattachment_is_not_created_yet_as_away() {
        let attachment: Vec<Attachment> = [new_attachment("n0", 1, true), new_attachment("n1", 1, true)].into();
        let refs: Vec<&Attachment> = attachment.iter().collect();
        let outdated = ["n1".to_owned()].into();
        let let_begin = |coming: &BTreeSet<String>, most| {
            nodes(permits(&refs, &outdated, coming, &RolloutTurns::new(), |_| 2, Attachment::may_be_in_use, most))
        };
        assert_eq!(let_begin(&BTreeSet::new(), 1), ["n1"]);
        let coming = ["n0".to_owned()].into();
        assert!(let_begin(&coming, 1).is_empty());
        assert_eq!(let_begin(&coming, 2), ["n1"]);
    }

    /// The Node was created again on another instance, and has another ENI there.
    #[test]
    fn an_eniattachment_that_is_no_longer_selected_is_not_counted_for_its_node() {
        let mut all = [new_attachment("n0", 1, true), new_attachment("n0", 2, true), new_attachment("n1", 1, true)];
        all[0].deselected_since = Some(jiff::Timestamp::UNIX_EPOCH);
        all[1].deleting = Some(jiff::Timestamp::UNIX_EPOCH);
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated = ["n1".to_owned()].into();
        let let_begin = |most| {
            nodes(permits(&refs, &outdated, &BTreeSet::new(), &begun("n0", 1), |_| 1, Attachment::may_be_in_use, most))
        };
        assert!(let_begin(1).is_empty(), "n0 has lost the ENI that is asked for");
        assert_eq!(let_begin(2), ["n1"]);
    }

    #[test]
    fn a_removal_for_another_reason_is_followed_and_gives_no_turn() {
        // All former ENIs are removed, and the adopted ENIs are to be replaced.
        let adopted = multi_eni_api::ids::EniId::parse("eni-0123456789abcdef0").ok();
        let mut all: Vec<Attachment> =
            ["n0", "n1"].map(|node| Attachment { adopted: adopted.clone(), ..new_attachment(node, 2, false) }).into();
        all.extend(["n0", "n1"].map(|node| {
            let mut leaving =
                Attachment { deleting: Some(jiff::Timestamp::UNIX_EPOCH), ..new_attachment(node, 1, false) };
            leaving.status.attachment_id = Some("eni-attach-1".to_owned());
            leaving
        }));
        let refs: Vec<&Attachment> = all.iter().collect();
        let outdated = ["n0", "n1"].map(str::to_owned).into();
        let none = BTreeSet::new();
        let first = permits(&refs, &outdated, &none, &RolloutTurns::new(), |_| 1, Attachment::may_be_in_use, 1);
        assert_eq!(nodes(first.clone()), ["n0"]);
        assert!(first.contains_key("n1"), "its replacement is followed");
        let next = permits(&refs, &outdated, &none, &first, |_| 1, Attachment::may_be_in_use, 1);
        assert_eq!(nodes(next), ["n0"]);
    }

    /// Two nodes had no ENI in use when the first edit came, so both were replaced at once. Another edit comes before that is
    /// done.
    #[test]
    fn a_turn_is_over_when_nothing_is_outdated() {
        let all: Vec<Attachment> = [("n0", 1, true), ("n0", 2, false), ("n1", 1, true), ("n1", 2, false)]
            .map(|(n, i, r)| new_attachment(n, i, r))
            .into();
        let refs: Vec<&Attachment> = all.iter().collect();
        let let_begin = |outdated: &BTreeSet<String>, before: &RolloutTurns| {
            permits(&refs, outdated, &BTreeSet::new(), before, |_| 2, Attachment::may_be_in_use, 1)
        };
        let turn = Turn { had: 2, may_lose: true };
        let before: RolloutTurns = ["n0", "n1"].map(|node| (node.to_owned(), turn)).into();
        let between = let_begin(&BTreeSet::new(), &before);
        assert!(nodes(between.clone()).is_empty() && between.len() == 2, "both are followed: {between:?}");
        let both = ["n0", "n1"].map(str::to_owned).into();
        assert_eq!(nodes(let_begin(&both, &between)), ["n0"], "the remaining ENIs are replaced in their turn");
    }

    #[test]
    fn a_followed_node_that_may_lose_enis_now_is_decided_again() {
        let followed: RolloutTurns = [("n0".to_owned(), Turn { had: 1, may_lose: false })].into();
        let of = |before: &RolloutTurns, now: &RolloutTurns| changed(before, now).cloned().collect::<Vec<String>>();
        assert_eq!(of(&followed, &begun("n0", 1)), ["n0"]);
        assert_eq!(of(&RolloutTurns::new(), &followed), ["n0"]);
        assert_eq!(of(&followed, &RolloutTurns::new()), ["n0"]);
        assert!(of(&followed, &followed).is_empty());
    }

    fn begun(node: &str, had: usize) -> RolloutTurns {
        [(node.to_owned(), Turn { had, may_lose: true })].into()
    }

    /// The nodes that may lose ENIs.
    fn nodes(begun: RolloutTurns) -> Vec<String> {
        begun.into_iter().filter(|(_, turn)| turn.may_lose).map(|(node, _)| node).collect()
    }
}

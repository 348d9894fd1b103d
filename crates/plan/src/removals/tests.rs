//! The removal pace of one NodeENI.

use super::*;
use crate::assign::tests::{at, nodeeni};

const WINDOW: SignedDuration = SignedDuration::from_secs(300);

fn nodes(numbers: std::ops::Range<usize>) -> BTreeMap<String, Cause> {
    numbers.map(|n| (format!("n{n:04}"), Cause::Deselected)).collect()
}

fn pace(
    history: &mut RemovalHistory,
    losing: &BTreeMap<String, Cause>,
    nodes: usize,
    max: Option<MaxRemovals>,
    now: i64,
) -> RemovalPace {
    // The status gets the record of the first call. With that record, the second call permits what it counts.
    let count = || nodes;
    let input = |record| Input { losing, nodes: &count, max, is_released: false, record, window: WINDOW, now: at(now) };
    let record = history.pace(&input(None)).record(None);
    history.pace(&input(record.as_ref()))
}

#[test]
fn a_removal_is_not_permitted_before_the_status_counts_it() {
    let mut history = RemovalHistory::default();
    let losing = nodes(0..12);
    let input = |record, now| Input {
        losing: &losing,
        nodes: &|| 12,
        max: None,
        is_released: false,
        record,
        window: WINDOW,
        now: at(now),
    };
    let first = history.pace(&input(None, 0));
    assert_eq!((first.permitted.len(), first.waiting.len()), (0, 2));
    let record = first.record(None);
    assert_eq!(history.pace(&input(record.as_ref(), 1)).permitted.len(), 10);
    // The leader ends before it writes the record, and so does the next leader. The count stays ten, however many leaders there
    // are.
    let mut next = RemovalHistory::read(None);
    assert_eq!(next.pace(&input(None, 2)).permitted.len(), 0);
    // More removals are granted when the window is over. The first ten nodes lose their ENIs meanwhile.
    let later = history.pace(&input(record.as_ref(), 300));
    assert_eq!((later.permitted.len(), later.waiting.len()), (0, 2), "this removal is not counted yet");
    assert_eq!(history.pace(&input(later.record(record.as_ref()).as_ref(), 300)).permitted.len(), 10);
}

#[test]
fn ten_of_thirty_nodes_lose_their_enis_per_window() {
    let mut history = RemovalHistory::default();
    let mut left = nodes(0..30);
    let mut gone = Vec::new();
    for now in 0..1200 {
        let pace = pace(&mut history, &left, left.len(), None, now);
        pace.permitted.iter().for_each(|node| {
            left.remove(node);
            gone.push(now);
        });
    }
    assert_eq!((gone.len(), left.len()), (30, 0));
    assert_eq!([gone[9], gone[10], gone[19], gone[20], gone[29]], [0, 300, 300, 600, 600]);
}

#[test]
fn no_window_has_more_removals_than_the_limit() {
    let mut history = RemovalHistory::default();
    let mut gone: Vec<i64> = Vec::new();
    for now in 0..2000 {
        // One more node loses its label every 20 s, and 30 more lose theirs at once in between.
        let upto = usize::try_from(now / 20).unwrap() + if now > 290 { 30 } else { 0 };
        let losing: BTreeMap<_, _> = nodes(0..upto).into_iter().skip(gone.len()).collect();
        let permitted = pace(&mut history, &losing, 60, None, now).permitted;
        gone.extend(permitted.iter().map(|_| now));
        let within = gone.iter().filter(|then| **then > now - 300).count();
        assert!(within <= 10, "{within} at {now}");
    }
    assert!(gone.len() > 60, "{}", gone.len());
}

#[test]
fn a_thousand_nodes_lose_a_hundred_at_a_time_and_the_base_does_not_shrink() {
    let mut history = RemovalHistory::default();
    let all = nodes(0..1000);
    let first = pace(&mut history, &all, 1000, None, 0);
    assert_eq!((first.permitted.len(), first.waiting.len(), first.limit), (100, 900, 100));
    assert_eq!((first.next, first.last), (Some(at(300)), Some(at(300 * 9))));
    let left: BTreeMap<_, _> = all.into_iter().skip(100).collect();
    let second = pace(&mut history, &left, 900, None, 300);
    assert_eq!((second.permitted.len(), second.of), (100, 1000));
}

#[test]
fn undoing_the_edit_keeps_waiting_nodes_and_still_counts_permitted_ones() {
    let mut history = RemovalHistory::default();
    assert_eq!(pace(&mut history, &nodes(0..30), 30, None, 0).permitted.len(), 10);
    let undone = pace(&mut history, &BTreeMap::new(), 30, None, 60);
    assert_eq!((undone.permitted.len(), undone.waiting.len(), undone.next), (0, 0, None));
    // The same edit is made again: the ten nodes that were permitted before are permitted again.
    assert_eq!(pace(&mut history, &nodes(0..30), 30, None, 120).permitted, nodes(0..10).into_keys().collect());
    assert_eq!(pace(&mut history, &nodes(10..30), 30, None, 120).permitted.len(), 0);
}

#[test]
fn released_removals_are_all_permitted_at_once() {
    let mut history = RemovalHistory::default();
    let losing = nodes(0..30);
    let input = Input {
        losing: &losing,
        nodes: &|| 30,
        max: None,
        is_released: true,
        record: None,
        window: WINDOW,
        now: at(0),
    };
    let pace = history.pace(&input);
    assert_eq!((pace.permitted.len(), pace.waiting.len(), pace.next), (30, 0, None));
}

#[test]
fn the_spec_sets_the_limit() {
    let limit = |max: &str, of| {
        let max = MaxRemovals::parse(max);
        max.map(|max| pace(&mut RemovalHistory::default(), &nodes(0..of), of, Some(max), 0).permitted.len())
    };
    assert_eq!(limit("3", 30), Some(3));
    assert_eq!(limit("25%", 30), Some(7));
    assert_eq!(limit("1%", 30), Some(1), "a percentage is at least one node");
    assert_eq!(limit("100%", 30), Some(30));
    for bad in ["0", "-1", "0%", "101%", "", "%", "ten", "1.5"] {
        assert_eq!(limit(bad, 30), None, "{bad:?}");
    }
}

#[test]
fn a_new_leader_continues_from_the_record() {
    let mut history = RemovalHistory::default();
    let first = pace(&mut history, &nodes(0..30), 30, None, 3);
    let record = first.record(None).unwrap();
    assert_eq!((record.of_nodes, record.recent.len(), record.recent[0].nodes), (30, 1, 10));
    let mut next = RemovalHistory::read(Some(&record));
    assert_eq!(pace(&mut next, &nodes(10..30), 20, None, 100).permitted.len(), 0);
    // The record rounds times up, by less than ten seconds.
    assert_eq!(pace(&mut next, &nodes(10..30), 20, None, 313).permitted.len(), 10);
}

/// `multi-eni plan` and the next leader know the removals by the record alone.
#[test]
fn those_that_read_the_record_name_the_same_times() {
    let mut history = RemovalHistory::default();
    let granting = pace(&mut history, &nodes(0..30), 30, None, 33);
    let record = granting.record(None);
    let mut reader = RemovalHistory::read(record.as_ref());
    let reading = pace(&mut reader, &nodes(10..30), 30, None, 50);
    let same = pace(&mut history, &nodes(10..30), 30, None, 50);
    assert_eq!((reading.next, reading.last), (Some(at(340)), Some(at(640))));
    assert_eq!((same.next, same.last), (reading.next, reading.last));
    // The removals are granted at that time and not before.
    assert_eq!(pace(&mut history, &nodes(10..30), 30, None, 339).permitted.len(), 0);
    assert_eq!(pace(&mut history, &nodes(10..30), 30, None, 340).permitted.len(), 10);
}

#[test]
fn expired_entries_are_no_reason_to_write() {
    let mut history = RemovalHistory::default();
    assert_eq!(pace(&mut history, &BTreeMap::new(), 30, None, 0).record(None), None);
    let record = pace(&mut history, &nodes(0..2), 30, None, 0).record(None);
    assert!(record.is_some());
    for now in [1, 100, 299, 300, 1000] {
        assert_eq!(pace(&mut history, &BTreeMap::new(), 28, None, now).record(record.as_ref()), record, "{now}");
    }
    let next = pace(&mut history, &nodes(2..3), 28, None, 1000).record(record.as_ref()).unwrap();
    assert_eq!((next.recent.len(), next.of_nodes), (1, 28), "expired entries are omitted when the record changes");
}

#[test]
fn the_condition_names_the_number_the_cause_the_time_and_the_remedy() {
    let mut history = RemovalHistory::default();
    let mut losing = nodes(0..30);
    losing.insert("n0029".to_owned(), Cause::Edited);
    let condition = pace(&mut history, &losing, 30, None, 0).condition(&nodeeni("a", 1, &[]), at(0));
    assert_eq!((condition.status, condition.reason.as_str()), (Some(true), "TooManyAtOnce"));
    for words in [
        "20 nodes wait for the removal of ENIs",
        "19 no longer match nodeSelector, 1 has ENIs that the spec no longer asks for",
        "at most 10 of 30 may lose ENIs within 5m",
        "undo the change",
        "kubectl annotate nodeeni a --overwrite multi-eni.networking.k8s.aws/allow-removals=0",
    ] {
        assert!(condition.message.contains(words), "{words:?} is not in {:?}", condition.message);
    }
    let times = format!("The next removal is at {}, the last one at {}. To stop", at(300), at(600));
    assert!(condition.message.contains(&times), "{}", condition.message);
    // The status is written late.
    let late = pace(&mut history, &losing, 30, None, 299).condition(&nodeeni("a", 1, &[]), at(300));
    let times = format!("The next removal is due now, the last one at {}. To stop", at(600));
    assert!(late.message.contains(&times), "{}", late.message);
    let over = pace(&mut history, &BTreeMap::new(), 30, None, 1).condition(&nodeeni("a", 1, &[]), at(1));
    assert_eq!(over.status, Some(false));
}

#[test]
fn a_node_that_loses_its_enis_again_counts_from_the_second_removal() {
    let mut history = RemovalHistory::default();
    let max = Some(MaxRemovals::Nodes(3));
    assert_eq!(pace(&mut history, &nodes(0..1), 6, max, 0).permitted.len(), 1);
    assert_eq!(pace(&mut history, &nodes(0..0), 6, max, 60).permitted.len(), 0);
    assert_eq!(pace(&mut history, &nodes(0..4), 6, max, 250).permitted.len(), 3);
    assert_eq!(pace(&mut history, &nodes(3..4), 6, max, 310).permitted.len(), 0, "three nodes lost ENIs 60 s ago");
    assert_eq!(pace(&mut history, &nodes(3..4), 6, max, 550).permitted.len(), 1);
}

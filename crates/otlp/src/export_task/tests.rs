use super::*;
use crate::queue::SpanQueue;
use jiff::{SignedDuration, Timestamp};
use multi_eni_plan::attach_trace::{Kind, SpanId, TraceId};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// An exporter that keeps what it takes, and takes nothing while it is away.
#[derive(Debug, Clone, Default)]
struct Stub(Arc<StubState>);

#[derive(Debug, Default)]
struct StubState {
    taken: Mutex<Vec<usize>>,
    tries: Mutex<Vec<Instant>>,
    is_away: AtomicBool,
}

impl SpanExporter for Stub {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.tries.lock().unwrap().push(Instant::now());
        if self.0.is_away.load(Ordering::Relaxed) {
            return Err(OTelSdkError::InternalFailure("away".to_owned()));
        }
        self.0.taken.lock().unwrap().push(batch.len());
        Ok(())
    }
}

struct Running {
    queue: SpanQueue,
    stub: Stub,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn running(capacity: usize) -> Running {
    let (queue, spans) = SpanQueue::with_capacity(capacity);
    let (stub, stop) = (Stub::default(), CancellationToken::new());
    let task = ExportTask {
        exporter: stub.clone(),
        queue: spans,
        counts: queue.counts().clone(),
        stop: stop.clone(),
        url: "http://collector".to_owned(),
        failures: 0,
        log: OutageLog::default(),
    };
    Running { queue, stub, stop, task: tokio::spawn(task.run()) }
}

impl Running {
    fn counts(&self) -> (u64, u64) {
        (self.queue.counts().exported(), self.queue.counts().dropped())
    }

    fn set_away(&self, is_away: bool) {
        self.stub.0.is_away.store(is_away, Ordering::Relaxed);
    }

    fn taken(&self) -> Vec<usize> {
        self.stub.0.taken.lock().unwrap().clone()
    }
}

fn spans(n: i64) -> Vec<Span> {
    let start = |n| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n);
    let span = |n| Span {
        trace: TraceId::of("a"),
        id: SpanId::child("a", "wait", start(n)),
        parent: Some(SpanId::root("a")),
        kind: Kind::Internal,
        name: "wait".to_owned(),
        start: start(n),
        end: start(n),
        attributes: Vec::new(),
        error: None,
    };
    (0..n).map(span).collect()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn spans_of_one_second_are_one_batch_and_a_batch_is_bounded() {
    let run = running(2_000);
    run.queue.push(spans(3));
    tokio::time::sleep(Duration::from_millis(500)).await;
    run.queue.push(spans(4));
    pass(2).await;
    assert_eq!((run.taken(), run.counts()), (vec![7], (7, 0)));
    run.queue.push(spans(1_000));
    pass(3).await;
    assert_eq!((run.taken(), run.counts()), (vec![7, 512, 488], (1_007, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_back_within_a_minute_has_missed_nothing() {
    let run = running(100);
    run.set_away(true);
    run.queue.push(spans(5));
    pass(20).await;
    run.queue.push(spans(6));
    assert_eq!((run.taken(), run.counts()), (vec![], (0, 0)));
    run.set_away(false);
    pass(40).await;
    assert_eq!((run.taken(), run.counts()), (vec![5, 6], (11, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_costs_few_tries_and_the_spans_that_find_no_room_are_counted() {
    let run = running(100);
    run.set_away(true);
    for _ in 0..60 {
        run.queue.push(spans(10));
        pass(60).await;
    }
    let tries = run.stub.0.tries.lock().unwrap().clone();
    assert!((60..=70).contains(&tries.len()), "{} tries in an hour", tries.len());
    let waits: Vec<u64> = tries.windows(2).take(7).map(|two| (two[1] - two[0]).as_secs()).collect();
    assert_eq!(waits[..5], [1, 2, 4, 8, 16], "{waits:?}");
    let (exported, dropped) = run.counts();
    assert!(exported == 0 && (300..=590).contains(&dropped), "{dropped} dropped");
    run.set_away(false);
    pass(120).await;
    let (exported, dropped_now) = run.counts();
    assert_eq!(exported + dropped_now, 600);
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_is_queued_at_once() {
    let run = running(2_000);
    run.queue.push(spans(700));
    run.stop.cancel();
    let started = Instant::now();
    run.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(run.stub.0.taken.lock().unwrap().iter().sum::<usize>(), 700);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_back_off_and_gives_up_after_one_more_try() {
    let run = running(2_000);
    run.set_away(true);
    run.queue.push(spans(5));
    pass(3).await;
    let tries = run.stub.0.tries.lock().unwrap().len();
    run.stop.cancel();
    let started = Instant::now();
    run.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(run.stub.0.tries.lock().unwrap().len(), tries + 1);
    assert_eq!(run.queue.counts().dropped(), 5);
}

#[test]
fn the_wait_doubles_up_to_a_minute() {
    assert_eq!([1, 2, 3, 7, 40].map(|failures| wait_after(failures).as_secs()), [1, 2, 4, 60, 60]);
}

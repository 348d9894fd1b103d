//! boto3, whose parsers come from AWS's own service model, over TCP. Each part has a script in `tests/boto3`.
//!
//! What the scripts covered is read from the simulator's own record of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use multi_eni_sim::ec2::{Buckets, Ec2, Fault, FaultRule, InstanceState, Loss, Outcome, Settings, Stuck};
use regex::Regex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{CARDS, FOREIGN_GROUP, GROUP, NODE, OTHER_VPC, OTHER_ZONE, SUBNET, TINY, world};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ec2");
/// No request leads to it: an instance type that is not in the catalog cannot be run. Only a fault answers it.
const ONLY_AS_A_FAULT: [&str; 1] = ["InternalError"];

#[tokio::test(flavor = "multi_thread")]
async fn boto3_sees_every_action_succeed() {
    let ec2 = world(Settings::instant());
    ec2.set_ipv6_cidr(SUBNET, "2001:db8::/64").unwrap();
    run("life.py", &[("main", &ec2, usual())]).await;
    let counts = ec2.counts();
    let never: Vec<String> = actions()
        .into_iter()
        .filter(|action| !counts.get(action).is_some_and(|of| of.contains_key(&Outcome::Done)))
        .collect();
    assert!(never.is_empty(), "tests/boto3/life.py saw none of these succeed: {never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_every_refusal() {
    let (main, places) = refusing();
    let one = Buckets {
        actions: Buckets::default().actions.into_keys().map(|action| (action, (1, 0))).collect(),
        filtered: (1, 0),
        unfiltered: (1, 0),
    };
    let (door, denied, broken) = (world(Settings::instant()), world(Settings::instant()), world(Settings::instant()));
    let quota = world(Settings { eni_quota: Some(2), ..Settings::instant() });
    let crowded = world(Settings { unpaginated_limit: 1, ..Settings::instant() });
    let busy = world(Settings { buckets: Some(one), ..Settings::instant() });
    let expiring = world(Settings { page_expiry: Duration::ZERO, ..Settings::instant() });
    ["CreateTags", "DetachNetworkInterface", "DescribeInstances"].iter().for_each(|action| denied.deny(action));
    broken.inject(FaultRule::on_every_call(fail("InternalError")));

    run("refused_actions.py", &[("main", &main, places)]).await;
    let worlds = [
        ("main", &door),
        ("quota", &quota),
        ("crowded", &crowded),
        ("busy", &busy),
        ("denied", &denied),
        ("expiring", &expiring),
        ("broken", &broken),
    ];
    run("refusals.py", &worlds.map(|(name, ec2)| (name, ec2, usual()))).await;

    let mut answered = BTreeSet::new();
    for call in worlds.iter().flat_map(|(_, ec2)| ec2.calls()).chain(main.calls()) {
        assert!(call.user_agent.starts_with("Boto3/"), "{call:?}");
        if let Outcome::Refused(code) = call.outcome
            && (call.fault.is_none() || ONLY_AS_A_FAULT.contains(&code.as_str()))
        {
            answered.insert(code);
        }
    }
    let listed: BTreeSet<String> = Ec2::codes().iter().map(|code| (*code).to_owned()).collect();
    let never: Vec<_> = listed.difference(&answered).collect();
    assert!(never.is_empty(), "no script of tests/boto3 provoked these codes: {never:?}");
    let unlisted: Vec<_> = answered.union(&codes_in_source()).filter(|code| !listed.contains(*code)).cloned().collect();
    assert!(unlisted.is_empty(), "src/ec2/refusal.rs does not list these codes: {unlisted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_turns_every_page() {
    let whole = full(Settings::instant());
    let short = full(Settings { short_pages: true, ..Settings::instant() });
    let expiring = full(Settings { page_expiry: Duration::ZERO, ..Settings::instant() });
    let worlds = [("full", &whole), ("short", &short), ("expiring", &expiring)];
    run("pages.py", &worlds.map(|(name, ec2)| (name, ec2, usual()))).await;
    let paginated = actions().into_iter().filter(|action| action.starts_with("Describe"));
    for action in paginated {
        let refused = |ec2: &Ec2, code: &str| ec2.counts()[&action].contains_key(&Outcome::Refused(code.into()));
        assert!(refused(&whole, "InvalidNextToken") && refused(&expiring, "InvalidPaginationToken"), "{action}");
        assert!(short.counts()[&action][&Outcome::Done] >= 3, "{action}: pages.py does not turn its pages");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_meets_every_fault() {
    let (create, instant) = ("CreateNetworkInterface", || world(Settings::instant()));
    let told: Vec<&str> = Ec2::codes().iter().chain(&FAULT_CODES).copied().collect();
    let codes = instant();
    for code in &told {
        codes.inject(FaultRule::on("DescribeNetworkInterfaces", fail(code)).with("Filter.1.Value.1", code));
    }
    let once = [
        ("throttled", Fault::Throttle),
        ("internal", fail("InternalError")),
        ("unavailable", fail("Unavailable")),
        ("unreachable", Fault::Unreachable),
        ("lost", Fault::LoseAnswer(Loss::Broken)),
        ("garbled", Fault::GarbleAnswer),
    ]
    .map(|(name, fault)| {
        let ec2 = instant();
        ec2.inject(FaultRule::on(create, fault).once());
        (name, ec2)
    });
    let silent = instant();
    for (description, fault) in [
        ("hung", Fault::LoseAnswer(Loss::Hang(Duration::from_secs(60)))),
        ("broken", Fault::LoseAnswer(Loss::Broken)),
        ("garbled", Fault::GarbleAnswer),
    ] {
        silent.inject(FaultRule::on(create, fault).with("Description", description));
    }
    let stuck = world(Settings { force_spoils_slot: true, ..Settings::instant() });
    stuck.inject(FaultRule::on("AttachNetworkInterface", Fault::StuckAttaching(Stuck::UntilForced)).once());
    stuck.inject(FaultRule::on("DeleteNetworkInterface", Fault::LeakOnDelete));
    let lagging = world(Settings { lag: Duration::from_secs(6), seed: 7, ..Settings::instant() });

    let mut worlds: Vec<Started<'_>> = once.iter().map(|(name, ec2)| (*name, ec2, usual())).collect();
    worlds.extend([("silent", &silent), ("stuck", &stuck), ("lagging", &lagging)].map(|(n, ec2)| (n, ec2, usual())));
    worlds.push(("codes", &codes, json!({ "codes": told.join(" ") })));
    run("faults.py", &worlds).await;
    let answered = &codes.counts()["DescribeNetworkInterfaces"];
    let missed: Vec<_> =
        told.iter().filter(|code| !answered.contains_key(&Outcome::Refused((**code).into()))).collect();
    assert!(missed.is_empty(), "faults.py never met {missed:?}");
}

/// Codes of `facts/ec2.md` that the simulator answers only when told to, and each that has an HTTP status of its own.
const FAULT_CODES: [&str; 12] = [
    "AuthFailure",
    "DependencyViolation",
    "ExpiredToken",
    "IncorrectInstanceState",
    "InternalFailure",
    "InvalidClientTokenId",
    "InvalidSecurityGroupID.NotFound",
    "RequestExpired",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "Unavailable",
];

fn fail(code: &str) -> Fault {
    Fault::Fail { code: code.to_owned(), status: None }
}

/// The actions that the simulator has, read from where it finds them.
fn actions() -> BTreeSet<String> {
    let source = fs::read_to_string(Path::new(SOURCES).join("actions/mod.rs")).unwrap();
    let found = matches(r#"(?m)^\s+"([A-Z][A-Za-z]+)" => [({]"#, &source);
    assert!(found.len() >= 12, "src/ec2/actions/mod.rs lists its actions in another way now: {found:?}");
    found
}

/// The codes that the sources name: one that is not in the list would otherwise show only when it is answered.
fn codes_in_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in [SOURCES.to_owned(), format!("{SOURCES}/actions")] {
        for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let source = fs::read_to_string(file).unwrap();
            found.extend(matches(r#"(?:Refusal|Self)::new\(\s*"([A-Za-z.]+)""#, &source));
            found.extend(matches(r#""(Invalid[A-Za-z]+\.[A-Za-z]+)""#, &source));
        }
    }
    assert!(found.len() > 30, "the sources name their codes in another way now: {found:?}");
    found
}

fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The IDs of [`world`], for Python.
fn usual() -> Value {
    json!({
        "subnet": SUBNET, "other_zone": OTHER_ZONE, "other_vpc": OTHER_VPC, "tiny": TINY,
        "group": GROUP, "foreign_group": FOREIGN_GROUP, "node": NODE, "cards": CARDS,
    })
}

/// A world in which an instance is in each state, an interface is another service's, and a detach takes long.
fn refusing() -> (Ec2, Value) {
    let long = Duration::from_secs(3);
    let ec2 = world(Settings { detach_delay: long..=long, ..Settings::instant() });
    let mut places = usual();
    for (state, name) in [
        (InstanceState::Pending, "pending"),
        (InstanceState::Stopping, "stopping"),
        (InstanceState::ShuttingDown, "shutting-down"),
        (InstanceState::Terminated, "terminated"),
    ] {
        let id = format!("i-000000000000000{:02x}", state.code());
        ec2.run_instance(&id, "m5.large", SUBNET).unwrap();
        match state {
            InstanceState::Terminated => ec2.terminate_instance(&id).unwrap(),
            _ => ec2.set_instance_state(&id, state).unwrap(),
        }
        places[name] = id.into();
    }
    let managed = ec2.hand_create(SUBNET, &[]).unwrap();
    ec2.hand_attach(&managed, CARDS, 0, 1).unwrap();
    ec2.hand_change(&managed, |eni| eni.requester_managed = true).unwrap();
    let attachment = |card, index| ec2.snapshot().attached_to(CARDS)[&(card, index)].attachment.clone().unwrap().id;
    places["managed_attachment"] = attachment(0, 1).into();
    places["primary_attachment"] = attachment(0, 0).into();
    places["managed"] = managed.into();
    (ec2, places)
}

/// A world with more of everything than two pages of five hold.
fn full(settings: Settings) -> Ec2 {
    let ec2 = world(settings);
    for n in 1..=12 {
        ec2.add_subnet(
            &format!("subnet-000000{n:02}"),
            "vpc-0000000a",
            "eu-west-1a",
            &format!("10.0.{}.0/24", n + 10),
            None,
        )
        .unwrap();
        ec2.add_security_group(&format!("sg-000000{n:02}"), "vpc-0000000a", &format!("group-{n}"));
        ec2.run_instance(&format!("i-000000{n:02}"), "t3.micro", SUBNET).unwrap();
    }
    ec2
}

/// A world that Python is to see: its name there, and what is in it.
type Started<'a> = (&'a str, &'a Ec2, Value);

/// Serves the worlds, runs a script of `tests/boto3` against them, and wants it to succeed.
async fn run(script: &str, worlds: &[Started<'_>]) {
    let mut told = BTreeMap::new();
    let mut servers = tokio::task::JoinSet::new();
    for (name, ec2, places) in worlds {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        told.insert(*name, json!({ "endpoint": endpoint, "places": places }));
        let ec2 = (*ec2).clone();
        servers.spawn(async move { ec2.serve(listener, std::future::pending()).await });
    }
    let path = format!("{}/tests/boto3/{script}", env!("CARGO_MANIFEST_DIR"));
    let told = serde_json::to_string(&told).unwrap();
    let driven = tokio::task::spawn_blocking(move || {
        let python = python();
        // -B: no __pycache__ in the checkout. What the machine has configured for AWS is not to matter.
        let mut command = Command::new(&python);
        command.args(["-B", &path, &told]).env("AWS_CONFIG_FILE", "/dev/null").env_remove("AWS_PROFILE");
        command.output().unwrap_or_else(|error| panic!("cannot run {python}: {error}"))
    })
    .await
    .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&driven.stdout), String::from_utf8_lossy(&driven.stderr));
    assert!(driven.status.success(), "{script}: {said}");
}

/// `MULTI_ENI_PYTHON`, or what `tools/python-venv` makes. Without either the test fails, and says so.
fn python() -> String {
    std::env::var("MULTI_ENI_PYTHON").unwrap_or_else(|_| {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/python-venv");
        let made = Command::new(tool).output().unwrap_or_else(|error| panic!("cannot run {tool}: {error}"));
        assert!(made.status.success(), "no Python with boto3: {}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    })
}

//! Tests with boto3 over TCP, whose parsers come from AWS's own service model. Each test runs a script of `tests/boto3`.
//!
//! The simulator's log of calls shows which actions, codes and faults the scripts cover.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use multi_eni_sim::ec2::{Buckets, Ec2, Fault, FaultRule, InstanceState, Loss, Outcome, Settings, Stuck};
use regex::Regex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{CARDS, FOREIGN_GROUP, GROUP, NODE, OTHER_VPC, OTHER_ZONE, SUBNET, TINY, account};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ec2");
/// Codes that only a fault answers. InternalError stands for an instance type outside the catalog, which no instance can have.
const ONLY_AS_A_FAULT: [&str; 1] = ["InternalError"];

#[tokio::test(flavor = "multi_thread")]
async fn boto3_calls_every_action_with_success() {
    let ec2 = account(Settings::instant());
    ec2.set_ipv6_cidr(SUBNET, "2001:db8::/64").unwrap();
    run("lifecycle.py", &[("main", &ec2, usual())]).await;
    let counts = ec2.counts();
    let never: Vec<String> = actions()
        .into_iter()
        .filter(|action| !counts.get(action).is_some_and(|of| of.contains_key(&Outcome::Done)))
        .collect();
    assert!(never.is_empty(), "in tests/boto3/lifecycle.py none of these succeeds: {never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_every_refusal() {
    let (main, ids) = refusing();
    let one = Buckets {
        actions: Buckets::default().actions.into_keys().map(|action| (action, (1, 0))).collect(),
        filtered: (1, 0),
        unfiltered: (1, 0),
    };
    let (general, denied, broken) =
        (account(Settings::instant()), account(Settings::instant()), account(Settings::instant()));
    let quota = account(Settings { eni_quota: Some(2), ..Settings::instant() });
    let crowded = account(Settings { unpaginated_limit: 1, ..Settings::instant() });
    let busy = account(Settings { buckets: Some(one), ..Settings::instant() });
    let expiring = account(Settings { page_expiry: Duration::ZERO, ..Settings::instant() });
    ["CreateTags", "DetachNetworkInterface", "DescribeInstances"].iter().for_each(|action| denied.deny(action));
    broken.inject(FaultRule::on_every_call(fail("InternalError")));

    run("refused_actions.py", &[("main", &main, ids)]).await;
    let accounts = [
        ("main", &general),
        ("quota", &quota),
        ("crowded", &crowded),
        ("busy", &busy),
        ("denied", &denied),
        ("expiring", &expiring),
        ("broken", &broken),
    ];
    run("refusals.py", &accounts.map(|(name, ec2)| (name, ec2, usual()))).await;

    let mut answered = BTreeSet::new();
    for call in accounts.iter().flat_map(|(_, ec2)| ec2.calls()).chain(main.calls()) {
        assert!(call.user_agent.starts_with("Boto3/"), "{call:?}");
        if let Outcome::Refused(code) = call.outcome
            && (call.fault.is_none() || ONLY_AS_A_FAULT.contains(&code.as_str()))
        {
            answered.insert(code);
        }
    }
    let listed: BTreeSet<String> = Ec2::codes().iter().map(|code| (*code).to_owned()).collect();
    let never: Vec<_> = listed.difference(&answered).collect();
    assert!(never.is_empty(), "no script of tests/boto3 causes these codes: {never:?}");
    let unlisted: Vec<_> = answered.union(&codes_in_source()).filter(|code| !listed.contains(*code)).cloned().collect();
    assert!(unlisted.is_empty(), "src/ec2/api_error.rs does not list these codes: {unlisted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_every_page() {
    let whole = full(Settings::instant());
    let short = full(Settings { short_pages: true, ..Settings::instant() });
    let expiring = full(Settings { page_expiry: Duration::ZERO, ..Settings::instant() });
    let accounts = [("full", &whole), ("short", &short), ("expiring", &expiring)];
    run("pages.py", &accounts.map(|(name, ec2)| (name, ec2, usual()))).await;
    let paginated = actions().into_iter().filter(|action| action.starts_with("Describe"));
    for action in paginated {
        let refused = |ec2: &Ec2, code: &str| ec2.counts()[&action].contains_key(&Outcome::Refused(code.into()));
        assert!(refused(&whole, "InvalidNextToken") && refused(&expiring, "InvalidPaginationToken"), "{action}");
        assert!(short.counts()[&action][&Outcome::Done] >= 3, "{action}: pages.py does not read its pages");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_meets_every_fault() {
    let (create, instant) = ("CreateNetworkInterface", || account(Settings::instant()));
    let listed: Vec<&str> = Ec2::codes().iter().chain(&FAULT_CODES).copied().collect();
    let codes = instant();
    for code in &listed {
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
    let stuck = account(Settings { force_spoils_slot: true, ..Settings::instant() });
    stuck.inject(FaultRule::on("AttachNetworkInterface", Fault::StuckAttaching(Stuck::UntilForced)).once());
    stuck.inject(FaultRule::on("DeleteNetworkInterface", Fault::LeakOnDelete));
    let lagging = account(Settings { lag: Duration::from_secs(6), seed: 7, ..Settings::instant() });

    let mut accounts: Vec<ServedAccount<'_>> = once.iter().map(|(name, ec2)| (*name, ec2, usual())).collect();
    accounts.extend([("silent", &silent), ("stuck", &stuck), ("lagging", &lagging)].map(|(n, ec2)| (n, ec2, usual())));
    accounts.push(("codes", &codes, json!({ "codes": listed.join(" ") })));
    run("faults.py", &accounts).await;
    let answered = &codes.counts()["DescribeNetworkInterfaces"];
    let missed: Vec<_> =
        listed.iter().filter(|code| !answered.contains_key(&Outcome::Refused((**code).into()))).collect();
    assert!(missed.is_empty(), "faults.py does not cover {missed:?}");
}

/// Codes of `facts/ec2.md` that the simulator answers only by a fault. They include each code with an unusual HTTP status.
const FAULT_CODES: [&str; 11] = [
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

/// The simulator's actions, read from the source of its table.
fn actions() -> BTreeSet<String> {
    let source = fs::read_to_string(Path::new(SOURCES).join("actions/mod.rs")).unwrap();
    let found = matches(r#"(?m)^\s+"([A-Z][A-Za-z]+)" => [({]"#, &source);
    assert!(found.len() >= 12, "src/ec2/actions/mod.rs lists its actions in another way now: {found:?}");
    found
}

/// The codes in the sources. A code that `Ec2::codes` does not list would otherwise be noticed only when it is answered.
fn codes_in_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in [SOURCES.to_owned(), format!("{SOURCES}/actions")] {
        for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let source = fs::read_to_string(file).unwrap();
            found.extend(matches(r#"(?:ApiError|Self)::new\(\s*"([A-Za-z.]+)""#, &source));
            found.extend(matches(r#""(Invalid[A-Za-z]+\.[A-Za-z]+)""#, &source));
        }
    }
    assert!(found.len() > 30, "the sources name their codes in another way now: {found:?}");
    found
}

fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The IDs of the resources of [`account`], for the scripts.
fn usual() -> Value {
    json!({
        "subnet": SUBNET, "other_zone": OTHER_ZONE, "other_vpc": OTHER_VPC, "tiny": TINY,
        "group": GROUP, "foreign_group": FOREIGN_GROUP, "node": NODE, "cards": CARDS,
    })
}

/// An account with an instance in each state, an interface of another service, and slow detaches.
fn refusing() -> (Ec2, Value) {
    let long = Duration::from_secs(3);
    let ec2 = account(Settings { detach_delay: long..=long, ..Settings::instant() });
    let mut ids = usual();
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
        ids[name] = id.into();
    }
    let managed = ec2.hand_create(SUBNET, &[]).unwrap();
    ec2.hand_attach(&managed, CARDS, 0, 1).unwrap();
    ec2.hand_change(&managed, |eni| eni.requester_managed = true).unwrap();
    let attachment = |card, index| ec2.snapshot().attached_to(CARDS)[&(card, index)].attachment.clone().unwrap().id;
    ids["managed_attachment"] = attachment(0, 1).into();
    ids["primary_attachment"] = attachment(0, 0).into();
    ids["managed"] = managed.into();
    let others = ec2.hand_create(SUBNET, &[]).unwrap();
    ec2.hand_change(&others, |eni| eni.other_owner = Some("210987654321".to_owned())).unwrap();
    ids["others"] = others.into();
    (ec2, ids)
}

/// An account with more resources of each kind than two pages of five hold.
fn full(settings: Settings) -> Ec2 {
    let ec2 = account(settings);
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

/// An account that a script uses: its name in the script, the account, and the IDs of its resources.
type ServedAccount<'a> = (&'a str, &'a Ec2, Value);

/// Serves the accounts and runs a script of `tests/boto3` against them. The script must succeed.
async fn run(script: &str, accounts: &[ServedAccount<'_>]) {
    let mut endpoints = BTreeMap::new();
    let mut servers = tokio::task::JoinSet::new();
    for (name, ec2, ids) in accounts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        endpoints.insert(*name, json!({ "endpoint": endpoint, "ids": ids }));
        let ec2 = (*ec2).clone();
        servers.spawn(async move { ec2.serve(listener, std::future::pending()).await });
    }
    let path = format!("{}/tests/boto3/{script}", env!("CARGO_MANIFEST_DIR"));
    let argument = serde_json::to_string(&endpoints).unwrap();
    let driven = tokio::task::spawn_blocking(move || {
        let python = python();
        // -B keeps __pycache__ out of the checkout. The AWS configuration of the machine must not matter.
        let mut command = Command::new(&python);
        command.args(["-B", &path, &argument]).env("AWS_CONFIG_FILE", "/dev/null").env_remove("AWS_PROFILE");
        command.output().unwrap_or_else(|error| panic!("cannot run {python}: {error}"))
    })
    .await
    .unwrap();
    let output = format!("{}{}", String::from_utf8_lossy(&driven.stdout), String::from_utf8_lossy(&driven.stderr));
    assert!(driven.status.success(), "{script}: {output}");
}

/// The Python interpreter: `MULTI_ENI_PYTHON`, or the one of `tools/python-venv`. Without either, the test fails with a message.
fn python() -> String {
    std::env::var("MULTI_ENI_PYTHON").unwrap_or_else(|_| {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/python-venv");
        let made = Command::new(tool).output().unwrap_or_else(|error| panic!("cannot run {tool}: {error}"));
        assert!(made.status.success(), "no Python with boto3: {}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    })
}

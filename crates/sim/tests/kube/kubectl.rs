//! Tests with the real kubectl over TCP.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use multi_eni_sim::kube::{ApiServer, GroupResource};
use serde_json::json;

use super::{CRD, eni, server};

struct Kubectl {
    program: PathBuf,
    home: PathBuf,
}

/// The path of kubectl: `$KUBEBUILDER_ASSETS/kubectl`, or the one in PATH.
fn program() -> PathBuf {
    let in_assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|dir| PathBuf::from(dir).join("kubectl"));
    let in_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("kubectl"))
        .collect::<Vec<_>>();
    let found = in_assets.into_iter().chain(in_path).find(|path| path.is_file());
    found.expect("this test needs kubectl in $KUBEBUILDER_ASSETS or in PATH, and there is none")
}

impl Kubectl {
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments.split_whitespace()).env("HOME", &self.home);
        command.env("KUBECONFIG", self.home.join("config")).stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; returns its stdout.
    #[track_caller]
    fn run(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments}\n{out}\n{err}");
        out.into_owned()
    }

    /// Runs a command that must fail; returns its stderr.
    #[track_caller]
    fn fail(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "kubectl {arguments} should have failed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn kubectl_works() {
    let server = server();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let home = std::env::temp_dir().join(format!("multi-eni-sim-kubectl-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("config"), server.kubeconfig(&url)).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener, async { drop(stopped.await) }).await }
    });
    let kubectl = Kubectl { program: program(), home: home.clone() };
    tokio::task::spawn_blocking(move || {
        read_and_write(&kubectl, &server);
        watch_and_wait(&kubectl, &server);
        describe(&kubectl, &server);
        definitions(&kubectl);
    })
    .await
    .unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    std::fs::remove_dir_all(home).unwrap();
}

fn read_and_write(kubectl: &Kubectl, server: &ApiServer) {
    let node = json!({ "metadata": { "name": "n1", "labels": { "node-role.kubernetes.io/worker": "" } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": { "kubeletVersion": "v1.34.1" } } });
    server.create(&GroupResource::new("", "nodes"), "", node).unwrap();
    has(&kubectl.run("get nodes"), &["NAME", "STATUS", "ROLES", "n1", "Ready", "worker", "v1.34.1"]);
    has(&kubectl.run("get no -o wide"), &["INTERNAL-IP", "<none>"]);
    has(&kubectl.run("label node n1 zone=a"), &["labeled"]);
    has(&kubectl.run("get nodes -l zone=a -o name"), &["node/n1"]);
    has(&kubectl.run("annotate node n1 x=y"), &["annotated"]);
    kubectl.run("taint node n1 k=v:NoSchedule");
    kubectl.run("cordon n1");
    has(&kubectl.run("get nodes"), &["SchedulingDisabled"]);

    let file = kubectl.file("eni.json", &eni("a").to_string());
    has(&kubectl.run(&format!("apply -f {file}")), &["nodeeni.networking.k8s.aws/a created"]);
    has(&kubectl.run(&format!("apply -f {file}")), &["unchanged"]);
    let mut changed = eni("a");
    changed["spec"]["deviceIndex"] = json!(3);
    let file = kubectl.file("eni.json", &changed.to_string());
    has(&kubectl.run(&format!("apply -f {file}")), &["configured"]);
    has(&kubectl.run("get neni"), &["NAME", "INDEX", "READY", "AGE", "a", "3"]);
    has(&kubectl.run("get neni -o wide"), &["SUBNET", "subnet-0123456789abcdef0"]);
    has(&kubectl.run("get neni a -o yaml"), &["last-applied-configuration", "deviceIndex: 3"]);
    has(&kubectl.run(&format!("diff -f {file}")), &[]);
    has(&kubectl.run(&format!("apply --server-side --force-conflicts -f {file}")), &["serverside-applied"]);
    let mut wrong = eni("b");
    wrong["spec"]["subnetID"] = json!("x");
    let file = kubectl.file("wrong.json", &wrong.to_string());
    has(&kubectl.fail(&format!("apply -f {file}")), &["is invalid", "spec.subnetID: Invalid value: \"x\""]);
    wrong["spec"]["typo"] = json!("x");
    let file = kubectl.file("wrong.json", &wrong.to_string());
    has(&kubectl.fail(&format!("apply -f {file}")), &["unknown field \"spec.typo\""]);
    has(&kubectl.run("patch neni a --type=merge -p {\"spec\":{\"deviceIndex\":4}}"), &["patched"]);
    has(&kubectl.run("get neni a -o jsonpath={.spec.deviceIndex}"), &["4"]);
    let file = kubectl.file("c.json", &eni("c").to_string());
    has(&kubectl.run(&format!("create -f {file}")), &["created"]);
    has(&kubectl.fail(&format!("create -f {file}")), &["AlreadyExists"]);
    has(&kubectl.run("delete neni c"), &["deleted"]);
    has(&kubectl.fail("get neni c"), &["NotFound"]);
}

fn watch_and_wait(kubectl: &Kubectl, server: &ApiServer) {
    let enis = GroupResource::new("networking.k8s.aws", "nodeenis");
    let watching = kubectl.command("get neni -w --request-timeout=4s").stdout(Stdio::piped()).spawn().unwrap();
    let waiting =
        kubectl.command("wait --for=condition=Ready neni/a --timeout=20s").stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    server.patch_status(&enis, "", "a", ready).unwrap();
    let waited = waiting.wait_with_output().unwrap();
    has(&String::from_utf8_lossy(&waited.stdout), &["condition met"]);
    let watched = watching.wait_with_output().unwrap();
    let lines = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert_eq!(lines.lines().count(), 3, "heading, before, after:\n{lines}");
    has(&lines, &["True"]);

    server.patch(&enis, "", "a", json!({ "metadata": { "finalizers": ["x.io/a"] } })).unwrap();
    let deleting = kubectl.command("delete neni a").stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1000));
    server.patch(&enis, "", "a", json!({ "metadata": { "finalizers": null } })).unwrap();
    assert!(deleting.wait_with_output().unwrap().status.success());
}

fn describe(kubectl: &Kubectl, server: &ApiServer) {
    let enis = GroupResource::new("networking.k8s.aws", "nodeenis");
    let made = server.create(&enis, "", eni("d")).unwrap();
    let event = json!({ "metadata": { "name": "d.1" }, "type": "Warning", "reason": "Stuck", "message": "it sticks",
        "involvedObject": { "kind": "NodeENI", "name": "d", "uid": made["metadata"]["uid"],
            "apiVersion": "networking.k8s.aws/v1alpha1" },
        "source": { "component": "multi-eni" }, "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z" });
    server.create(&GroupResource::new("", "events"), "default", event).unwrap();
    has(&kubectl.run("describe neni d"), &["Name:         d", "Node Selector", "Stuck", "it sticks"]);
    has(&kubectl.run("describe node n1"), &["Name:               n1", "zone=a", "k=v:NoSchedule"]);
    has(&kubectl.run("get events"), &["LAST SEEN", "Stuck", "nodeeni/d", "it sticks"]);
    has(&kubectl.run("get events -A --field-selector involvedObject.name=d"), &["Stuck"]);
    has(&kubectl.run("events --for nodeeni/d"), &["it sticks"]);
}

fn definitions(kubectl: &Kubectl) {
    let explained = kubectl.run("explain neni.spec.deviceIndex");
    has(&explained, &["deviceIndex", "<integer>"]);
    has(&kubectl.run("explain neni"), &["A test resource."]);
    has(&kubectl.run("api-resources"), &["nodeenis", "neni", "networking.k8s.aws/v1alpha1"]);
    has(&kubectl.run("api-versions"), &["networking.k8s.aws/v1alpha1"]);
    has(&kubectl.run("get crd"), &["nodeenis.networking.k8s.aws"]);
    let file = kubectl.file("crd.yaml", CRD);
    has(&kubectl.run(&format!("apply --server-side --force-conflicts -f {file}")), &["serverside-applied"]);
    kubectl.run("wait --for=condition=Established crd/nodeenis.networking.k8s.aws --timeout=5s");
    has(&kubectl.run("auth can-i create neni"), &["yes"]);
    has(&kubectl.run("get ns"), &["kube-system", "Active"]);
    has(&kubectl.run("version"), &["Server Version: v1.34.3"]);
    has(&kubectl.run("delete crd nodeenis.networking.k8s.aws"), &["deleted"]);
}

//! etcd and kube-apiserver of one test, and kubectl and helm against them.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use pem::Pem;
use serde_json::json;

use super::binaries;
use super::process::Process;

/// Ready in about 4 s alone; the machine may be busy with the tests beside this one.
const READY_WITHIN: Duration = Duration::from_secs(90);
const ADMIN_TOKEN: &str = "admin-token-of-a-test";
const ISSUER: &str = "https://kubernetes.default.svc";

/// An API server of this test's own, with nothing in it. Stopped when dropped.
///
/// A test ends with [`ControlPlane::passed`]; without it a drop takes the test for failed, prints the ends of the logs
/// and keeps the directory.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the API server before its store.
    apiserver: Process,
    etcd: Process,
    binaries: PathBuf,
    dir: PathBuf,
    address: SocketAddr,
    without: String,
    passed: bool,
}

/// What a command printed, and whether it exited 0.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whether it exited 0.
    pub ok: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Its stdout, or an error that shows the command and all it printed.
    pub fn success(self) -> Result<String, String> {
        if self.ok { Ok(self.stdout) } else { Err(format!("{}: failed\n{}{}", self.command, self.stdout, self.stderr)) }
    }

    /// Its stderr if it was refused as it should have been; an error if it went through.
    pub fn refusal(self) -> Result<String, String> {
        if self.ok { Err(format!("{}: not refused\n{}", self.command, self.stdout)) } else { Ok(self.stderr) }
    }
}

impl ControlPlane {
    /// Starts both and waits until the API server is ready.
    pub fn start() -> Result<Self, String> {
        Self::start_without(&[])
    }

    /// The same with these admission plugins off.
    pub fn start_without(plugins: &[&str]) -> Result<Self, String> {
        // Pods would wait for a ServiceAccount that the absent controller-manager makes.
        let without = [&["ServiceAccount"], plugins].concat().join(",");
        let binaries = binaries::control_plane()?;
        let dir = new_dir()?;
        write_secrets(&dir)?;
        let etcd = start_etcd(&binaries, &dir)?;
        // The port is free when asked for and may be taken when used: by a test beside this one.
        let mut tries = 3;
        let (apiserver, address) = loop {
            let address = free_address()?;
            match start_apiserver(&binaries, &dir, address, &without) {
                Ok(apiserver) => break (apiserver, address),
                Err(reason) if tries > 1 && reason.contains("address already in use") => tries -= 1,
                Err(reason) => return Err(format!("{reason}{}", etcd.tail())),
            }
        };
        Ok(Self { apiserver, etcd, binaries, dir, address, without, passed: false })
    }

    /// The test is over and all was well: the directory and its logs go.
    pub fn passed(mut self) {
        self.passed = true;
    }

    /// This test's directory: its logs, kubeconfigs, and whatever the test puts there.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kubeconfig of a person in `system:masters`.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// kubectl as admin.
    pub fn kubectl(&self, args: &[&str]) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), args, "")
    }

    /// A line of documentation, in a shell that finds this test's kubectl, as admin.
    pub fn shell(&self, line: &str) -> Result<Output, String> {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.binaries.display());
        command.args(["-ec", line]).env("PATH", path).env("KUBECONFIG", self.admin_kubeconfig());
        command.env("KUBECACHEDIR", self.dir.join("kubectl-cache")).env("KUBERC", "off");
        run(command, "")
    }

    /// `kubectl apply -f -` as admin.
    pub fn apply(&self, manifests: &str) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), &["apply", "-f", "-"], manifests)
    }

    /// kubectl as whom `kubeconfig` says, with `stdin`.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: &str) -> Result<Output, String> {
        kubectl(&self.binaries, &self.dir, kubeconfig, args, stdin)
    }

    /// A kubeconfig with a token of this ServiceAccount (TokenRequest), which RBAC holds to its rights.
    pub fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, String> {
        let token =
            self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration", "1h"])?.success()?;
        let path = self.dir.join(format!("{namespace}.{name}.kubeconfig"));
        write_kubeconfig(&path, &self.dir, self.address, token.trim(), namespace)?;
        Ok(path)
    }

    /// Whether RBAC lets this kubeconfig's owner do it; `attributes` is a SelfSubjectAccessReview's `resourceAttributes`.
    /// (`kubectl auth can-i` needs the resource's CRD to be there.)
    pub fn allowed(&self, kubeconfig: &Path, attributes: &serde_json::Value) -> Result<bool, String> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let args = ["create", "--validate=false", "-f", "-", "-o", "jsonpath={.status.allowed}"];
        Ok(self.kubectl_as(kubeconfig, &args, &review.to_string())?.success()? == "true")
    }

    /// `helm template` of `charts/multi-eni`, CRDs included; `args` as `--set` and `--values`.
    pub fn helm_template(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["template", release, &chart(), "--namespace", namespace, "--include-crds"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// `helm install` of `charts/multi-eni`, its namespace made if need be: its notes. It waits for no pod.
    pub fn helm_install(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["install", release, &chart(), "--namespace", namespace, "--create-namespace"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// helm as admin, with nothing of this person's own helm settings.
    pub fn helm(&self, args: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(binaries::helm()?);
        command.args(args).env("KUBECONFIG", self.admin_kubeconfig());
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, self.dir.join("helm"));
        }
        run(command, "")
    }

    /// SIGKILL to the API server, and a new one at the same address over the same data: watches break, objects stay.
    pub fn restart_apiserver(&mut self) -> Result<(), String> {
        self.apiserver.kill();
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.without)?;
        Ok(())
    }

    /// Copies etcd's data aside, as a backup does; the API server is away meanwhile.
    pub fn save_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| copy_dir(&dir.join("etcd"), &dir.join("saved")))
    }

    /// Puts back what was saved: the API server shows the objects of that time, and its revisions count on from there.
    pub fn restore_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| {
            fs::remove_dir_all(dir.join("etcd")).map_err(|e| format!("etcd's data: {e}"))?;
            copy_dir(&dir.join("saved"), &dir.join("etcd"))
        })
    }

    /// Does that while neither etcd nor the API server runs.
    fn without_store(&mut self, work: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        self.apiserver.kill();
        self.etcd.terminate()?;
        self.etcd.wait_end(READY_WITHIN)?;
        work(&self.dir)?;
        // A socket that nobody listens on any more would pass for a ready etcd.
        let _ = fs::remove_file(self.dir.join("etcd.sock"));
        self.etcd = start_etcd(&self.binaries, &self.dir)?;
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.without)?;
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.apiserver.kill();
        self.etcd.kill();
        if self.passed && !std::thread::panicking() {
            // What stays behind in the temporary directory is no reason to fail a test that passed.
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("{}{}all logs: {}", self.apiserver.tail(), self.etcd.tail(), self.dir.display());
        }
    }
}

/// A loopback address that nobody listens on now.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| format!("no free port: {e}"))
}

fn new_dir() -> Result<PathBuf, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("multi-eni-real-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    // Of an earlier process with the same pid.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |e| format!("{} to {}: {e}", from.display(), to.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(failed)?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    fs::write(path, content).map_err(|e| format!("{}: {e}", path.display()))
}

/// The admin's token, and the key that signs and checks tokens of ServiceAccounts. The serving certificate is
/// kube-apiserver's own doing.
fn write_secrets(dir: &Path) -> Result<(), String> {
    let failed = |e| format!("service-account key: {e}");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
    let private = Pem::new("PRIVATE KEY", key.to_pkcs8v1().map_err(failed)?.as_ref());
    let public = Pem::new("PUBLIC KEY", key.public_key().as_der().map_err(failed)?.as_ref());
    write(&dir.join("service-accounts.key"), &pem::encode(&private))?;
    write(&dir.join("service-accounts.pub"), &pem::encode(&public))?;
    write(&dir.join("tokens.csv"), &format!("{ADMIN_TOKEN},admin,1,system:masters\n"))
}

/// etcd on sockets in `dir`: no port to collide with another test's.
fn start_etcd(binaries: &Path, dir: &Path) -> Result<Process, String> {
    let mut etcd = Process::start("etcd", &binaries.join("etcd"), &dir.join("etcd.log"), |command| {
        command.current_dir(dir).args([
            "--data-dir=etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            &format!("--listen-client-urls={}", etcd_url(dir)),
            // For other members, of which there are none; and a socket is refused here.
            "--advertise-client-urls=http://localhost:2379",
            &format!("--listen-peer-urls=unix://{}/peer.sock", dir.display()),
        ]);
    })?;
    etcd.wait_until(READY_WITHIN, || UnixStream::connect(dir.join("etcd.sock")).is_ok())?;
    Ok(etcd)
}

fn etcd_url(dir: &Path) -> String {
    format!("unix://{}/etcd.sock", dir.display())
}

fn start_apiserver(binaries: &Path, dir: &Path, address: SocketAddr, without: &str) -> Result<Process, String> {
    let log = dir.join("kube-apiserver.log");
    let mut apiserver = Process::start("kube-apiserver", &binaries.join("kube-apiserver"), &log, |command| {
        command.current_dir(dir).args([
            &format!("--etcd-servers={}", etcd_url(dir)),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={}", address.port()),
            // A self-signed certificate of its own making.
            "--cert-dir=certs",
            "--authorization-mode=RBAC",
            "--token-auth-file=tokens.csv",
            &format!("--service-account-issuer={ISSUER}"),
            "--service-account-signing-key-file=service-accounts.key",
            "--service-account-key-file=service-accounts.pub",
            &format!("--disable-admission-plugins={without}"),
            "--service-cluster-ip-range=10.0.0.0/24",
            // Nothing is to be reached through the Service kubernetes, and loopback is refused as its endpoint.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        ]);
    })?;
    let kubeconfig = dir.join("admin.kubeconfig");
    write_kubeconfig(&kubeconfig, dir, address, ADMIN_TOKEN, "default")?;
    let answers = |args: &[&str]| kubectl(binaries, dir, &kubeconfig, args, "").is_ok_and(|output| output.ok);
    apiserver.wait_until(READY_WITHIN, || {
        // Listening is cheap to ask; a kubectl costs a tenth of a second of a core.
        TcpStream::connect(address).is_ok() && answers(&["get", "--raw", "/readyz"])
    })?;
    // Made in the background, a little after /readyz. The UID of kube-system is the cluster's identity.
    apiserver.wait_until(READY_WITHIN, || answers(&["get", "namespace", "default", "kube-system"]))?;
    Ok(apiserver)
}

/// JSON is YAML: no serialiser needed beyond what is here.
fn write_kubeconfig(path: &Path, dir: &Path, address: SocketAddr, token: &str, namespace: &str) -> Result<(), String> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": namespace } }],
        "clusters": [{ "name": "test", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority": dir.join("certs/apiserver.crt"),
        } }],
        "users": [{ "name": "test", "user": { "token": token } }],
    });
    write(path, &config.to_string())
}

fn kubectl(binaries: &Path, dir: &Path, kubeconfig: &Path, args: &[&str], stdin: &str) -> Result<Output, String> {
    let mut command = Command::new(binaries.join("kubectl"));
    command.args(args).env("KUBECONFIG", kubeconfig);
    // Ports come back, with other API servers behind them: no discovery cache may outlive this test.
    command.env("KUBECACHEDIR", dir.join("kubectl-cache")).env("KUBERC", "off");
    run(command, stdin)
}

/// Where the chart is.
pub fn chart() -> String {
    binaries::repository().join("charts/multi-eni").display().to_string()
}

fn run(mut command: Command, stdin: &str) -> Result<Output, String> {
    let shown = format!("{command:?}");
    let failed = |e: std::io::Error| format!("{shown}: {e}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // Manifests are read whole before anything is printed, so this cannot fill both pipes. One that does not read its
    // input has said why by its exit.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    Ok(Output {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        command: shown,
    })
}

//! The control plane of one test: etcd and kube-apiserver as processes, and kubectl and helm as its clients. It never touches
//! another cluster: all kubeconfigs are its own.

use std::collections::BTreeSet;
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

use super::audit::{self, ApiRequest};
use super::binaries;
use super::process::Process;

/// Alone it is ready in about 4 s; tests beside this one may slow it down.
const READY_WITHIN: Duration = Duration::from_secs(90);
const ADMIN_TOKEN: &str = "admin-token-of-a-test";
const ISSUER: &str = "https://kubernetes.default.svc";

/// A new API server without objects. Its processes end when it is dropped.
///
/// A test ends with [`ControlPlane::passed`]. Without that call a drop counts as a failure: it prints the ends of the logs and
/// keeps the directory.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the API server before etcd.
    apiserver: Process,
    etcd: Process,
    binaries: PathBuf,
    dir: PathBuf,
    address: SocketAddr,
    plugins: AdmissionPlugins,
    passed: bool,
}

/// The admission plugins that differ from kube-apiserver's defaults, as its flags take them.
#[derive(Debug, Clone)]
struct AdmissionPlugins {
    without: String,
    with: String,
}

/// The output of a command, and whether it exited with 0.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Its stdout. An error, with the command and its whole output, if the command failed.
    pub fn success(self) -> Result<String, String> {
        if self.ok { Ok(self.stdout) } else { Err(format!("{}: failed\n{}{}", self.command, self.stdout, self.stderr)) }
    }

    /// Its stderr, if the command failed as it should. An error if it succeeded.
    pub fn refusal(self) -> Result<String, String> {
        if self.ok { Err(format!("{}: not refused\n{}", self.command, self.stdout)) } else { Ok(self.stderr) }
    }
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and waits until the API server is ready.
    pub fn start() -> Result<Self, String> {
        Self::start_without(&[])
    }

    /// The same without these admission plugins.
    pub fn start_without(plugins: &[&str]) -> Result<Self, String> {
        Self::start_with_plugins(plugins, &[])
    }

    /// The same with these admission plugins, which are off by default.
    pub fn start_with(plugins: &[&str]) -> Result<Self, String> {
        Self::start_with_plugins(&[], plugins)
    }

    fn start_with_plugins(without: &[&str], with: &[&str]) -> Result<Self, String> {
        // This plugin makes Pods wait for a ServiceAccount, which only the controller-manager would create.
        let without = [&["ServiceAccount"], without].concat().join(",");
        let plugins = AdmissionPlugins { without, with: with.join(",") };
        let binaries = binaries::control_plane()?;
        let dir = new_dir()?;
        write_secrets(&dir)?;
        audit::write_policy(&dir)?;
        let etcd = start_etcd(&binaries, &dir)?;
        // The port is free at this moment, but a test beside this one may take it first.
        let mut tries = 3;
        let (apiserver, address) = loop {
            let address = free_address()?;
            match start_apiserver(&binaries, &dir, address, &plugins) {
                Ok(apiserver) => break (apiserver, address),
                Err(reason) if tries > 1 && reason.contains("address already in use") => tries -= 1,
                Err(reason) => return Err(format!("{reason}{}", etcd.tail())),
            }
        };
        Ok(Self { apiserver, etcd, binaries, dir, address, plugins, passed: false })
    }

    /// Marks the test as passed: its directory and logs are removed.
    pub fn passed(mut self) {
        self.passed = true;
    }

    /// The directory of this test, with its logs and kubeconfigs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kubeconfig of a user in `system:masters`.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// Runs kubectl as admin.
    pub fn kubectl(&self, args: &[&str]) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), args, "")
    }

    /// Runs a command line of the documentation as admin, in a shell that finds this test's kubectl.
    pub fn shell(&self, line: &str) -> Result<Output, String> {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.binaries.display());
        command.args(["-ec", line]).env("PATH", path).env("KUBECONFIG", self.admin_kubeconfig());
        command.env("KUBECACHEDIR", self.dir.join("kubectl-cache")).env("KUBERC", "off");
        run(command, "")
    }

    /// Runs `kubectl apply -f -` as admin.
    pub fn apply(&self, manifests: &str) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), &["apply", "-f", "-"], manifests)
    }

    /// Runs kubectl as the user of `kubeconfig`, with `stdin`.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: &str) -> Result<Output, String> {
        kubectl(&self.binaries, &self.dir, kubeconfig, args, stdin)
    }

    /// A kubeconfig with a token of this ServiceAccount (TokenRequest). RBAC limits it to the ServiceAccount's rights.
    pub fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, String> {
        let token =
            self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration", "1h"])?.success()?;
        let path = self.dir.join(format!("{namespace}.{name}.kubeconfig"));
        write_kubeconfig(&path, &self.dir, self.address, token.trim(), namespace)?;
        Ok(path)
    }

    /// A token as the kubelet mounts it into a Pod: it is bound to the Pod, and it names the Pod's node.
    pub fn token_of_pod(&self, namespace: &str, service_account: &str, pod: &str) -> Result<String, String> {
        let pod = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
        let args = ["create", "token", service_account, "--namespace", namespace, "--duration", "1h"];
        Ok(self.kubectl(&[&args[..], &pod[..]].concat())?.success()?.trim().to_owned())
    }

    /// A kubeconfig with this token, in a file of this name.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str, namespace: &str) -> Result<PathBuf, String> {
        let path = self.dir.join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, &self.dir, self.address, token, namespace)?;
        Ok(path)
    }

    /// The address of the API server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the API server, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("certs/apiserver.crt")
    }

    /// Whether RBAC allows a request to the user of this kubeconfig; `attributes` are a SelfSubjectAccessReview's
    /// `resourceAttributes`. (`kubectl auth can-i` needs the CRD of the resource.)
    pub fn allowed(&self, kubeconfig: &Path, attributes: &serde_json::Value) -> Result<bool, String> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let args = ["create", "--validate=false", "-f", "-", "-o", "jsonpath={.status.allowed}"];
        Ok(self.kubectl_as(kubeconfig, &args, &review.to_string())?.success()? == "true")
    }

    /// The distinct requests of a ServiceAccount so far, by the API server's audit log. A watch counts from its start.
    pub fn requests_of(&self, namespace: &str, name: &str) -> Result<BTreeSet<ApiRequest>, String> {
        audit::requests_of(&self.dir, &format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Runs `helm template` of `charts/multi-eni`, CRDs included, with `args` such as `--set` and `--values`.
    pub fn helm_template(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["template", release, &chart(), "--namespace", namespace, "--include-crds"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// Runs `helm install` of `charts/multi-eni` and returns the notes. It creates the namespace and waits for no Pod.
    pub fn helm_install(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["install", release, &chart(), "--namespace", namespace, "--create-namespace"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// Runs helm as admin, without the helm settings of the developer.
    pub fn helm(&self, args: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(binaries::helm()?);
        command.args(args).env("KUBECONFIG", self.admin_kubeconfig());
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, self.dir.join("helm"));
        }
        run(command, "")
    }

    /// Kills the API server and starts a new one at the same address with the same data: watches break, objects stay.
    pub fn restart_apiserver(&mut self) -> Result<(), String> {
        self.apiserver.kill();
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.plugins)?;
        Ok(())
    }

    /// Copies etcd's data, as a backup does. The API server is down meanwhile.
    pub fn save_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| copy_dir(&dir.join("etcd"), &dir.join("saved")))
    }

    /// Restores the copy: the API server has the objects of that time, and its revisions count on from there.
    pub fn restore_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| {
            fs::remove_dir_all(dir.join("etcd")).map_err(|e| format!("etcd's data: {e}"))?;
            copy_dir(&dir.join("saved"), &dir.join("etcd"))
        })
    }

    /// Runs `work` while neither etcd nor the API server runs.
    fn without_store(&mut self, work: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        self.apiserver.kill();
        self.etcd.terminate()?;
        self.etcd.wait_end(READY_WITHIN)?;
        work(&self.dir)?;
        // A socket that a former etcd left would look like a ready etcd.
        let _ = fs::remove_file(self.dir.join("etcd.sock"));
        self.etcd = start_etcd(&self.binaries, &self.dir)?;
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.plugins)?;
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.apiserver.kill();
        self.etcd.kill();
        if self.passed && !std::thread::panicking() {
            // A directory that cannot be removed is no reason to fail a test that passed.
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("{}{}all logs: {}", self.apiserver.tail(), self.etcd.tail(), self.dir.display());
        }
    }
}

/// A free address on loopback.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| format!("no free port: {e}"))
}

fn new_dir() -> Result<PathBuf, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("multi-eni-real-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    // An earlier process with the same pid may have left this directory.
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

/// Writes the token of the admin, and the keys for tokens of ServiceAccounts. kube-apiserver makes its serving certificate
/// itself.
fn write_secrets(dir: &Path) -> Result<(), String> {
    let failed = |e| format!("service-account key: {e}");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
    let private = Pem::new("PRIVATE KEY", key.to_pkcs8v1().map_err(failed)?.as_ref());
    let public = Pem::new("PUBLIC KEY", key.public_key().as_der().map_err(failed)?.as_ref());
    write(&dir.join("service-accounts.key"), &pem::encode(&private))?;
    write(&dir.join("service-accounts.pub"), &pem::encode(&public))?;
    write(&dir.join("tokens.csv"), &format!("{ADMIN_TOKEN},admin,1,system:masters\n"))
}

/// Starts etcd on sockets in `dir`, which cannot collide with the ports of another test.
fn start_etcd(binaries: &Path, dir: &Path) -> Result<Process, String> {
    let mut etcd = Process::start("etcd", &binaries.join("etcd"), &dir.join("etcd.log"), |command| {
        command.current_dir(dir).args([
            "--data-dir=etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            &format!("--listen-client-urls={}", etcd_url(dir)),
            // For other members, of which there are none. etcd refuses a socket here.
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

fn start_apiserver(
    binaries: &Path,
    dir: &Path,
    address: SocketAddr,
    plugins: &AdmissionPlugins,
) -> Result<Process, String> {
    let log = dir.join("kube-apiserver.log");
    let mut apiserver = Process::start("kube-apiserver", &binaries.join("kube-apiserver"), &log, |command| {
        command.current_dir(dir).args([
            &format!("--etcd-servers={}", etcd_url(dir)),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={}", address.port()),
            // The directory of kube-apiserver's self-signed certificate.
            "--cert-dir=certs",
            "--authorization-mode=RBAC",
            "--token-auth-file=tokens.csv",
            &format!("--service-account-issuer={ISSUER}"),
            "--service-account-signing-key-file=service-accounts.key",
            "--service-account-key-file=service-accounts.pub",
            &format!("--disable-admission-plugins={}", plugins.without),
            &format!("--enable-admission-plugins={}", plugins.with),
            "--service-cluster-ip-range=10.0.0.0/24",
            // The Service `kubernetes` is not used, and loopback is refused as its endpoint.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        ]);
        command.args(audit::FLAGS);
    })?;
    let kubeconfig = dir.join("admin.kubeconfig");
    write_kubeconfig(&kubeconfig, dir, address, ADMIN_TOKEN, "default")?;
    let answers = |args: &[&str]| kubectl(binaries, dir, &kubeconfig, args, "").is_ok_and(|output| output.ok);
    apiserver.wait_until(READY_WITHIN, || {
        // A connect is cheap; kubectl costs a tenth of a second of CPU.
        TcpStream::connect(address).is_ok() && answers(&["get", "--raw", "/readyz"])
    })?;
    // These namespaces are created a little after /readyz. The UID of kube-system is the identity of the cluster.
    apiserver.wait_until(READY_WITHIN, || answers(&["get", "namespace", "default", "kube-system"]))?;
    Ok(apiserver)
}

/// Writes a kubeconfig as JSON, which is YAML, too.
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
    // A port may be used again by another API server, so the discovery cache must not outlive this test.
    command.env("KUBECACHEDIR", dir.join("kubectl-cache")).env("KUBERC", "off");
    run(command, stdin)
}

/// The directory of the chart.
pub fn chart() -> String {
    binaries::repository().join("charts/multi-eni").display().to_string()
}

fn run(mut command: Command, stdin: &str) -> Result<Output, String> {
    let shown = format!("{command:?}");
    let failed = |e: std::io::Error| format!("{shown}: {e}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // The command reads its input before it prints, so the pipes cannot block each other. If it does not read its input, its exit
    // says why.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    Ok(Output {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        command: shown,
    })
}

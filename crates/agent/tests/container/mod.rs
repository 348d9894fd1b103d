//! The container of the chart's DaemonSet, without a kubelet: the arguments, the environment, the mounts, the capabilities and the
//! read-only root file system are those that `helm template` renders. The token of the ServiceAccount is bound to a Pod.
//!
//! Not as in a container: there is no seccomp profile, no limit of memory, and the libraries are those of this machine. The PID namespace
//! is this machine's, unless a test asks for one of its own.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod attachments;
pub mod rights;

use multi_eni_control_plane::{ControlPlane, Failure, Process};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// The namespace of the release.
pub const NAMESPACE: &str = "eni";
/// The ServiceAccount of the agent.
pub const ACCOUNT: &str = "multi-eni-agent";

/// Renders the chart with the node agent. Links of the tests are veths.
pub fn render(plane: &ControlPlane) -> Result<String, Failure> {
    render_with(plane, &[])
}

/// The same with further values of the chart.
pub fn render_with(plane: &ControlPlane, values: &[&str]) -> Result<String, Failure> {
    let fixed = "nodeAgent.enabled=true,nodeAgent.env[0].name=LINK_KINDS,nodeAgent.env[0].value=veth";
    let set = [&[fixed], values].concat().join(",");
    Ok(plane.helm_template("multi-eni", NAMESPACE, &["--set", &set])?)
}

/// The objects of a kind in rendered manifests.
pub fn objects(manifests: &str, kind: &str) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifests) {
        let object = Value::deserialize(document).map_err(|e| e.to_string())?;
        if object["kind"] == kind {
            found.push(object);
        }
    }
    Ok(found)
}

/// Installs the chart. No Pod runs: there is no kubelet.
pub fn install(plane: &ControlPlane) -> Result<Value, Failure> {
    install_with(plane, &[])
}

/// The same with further values of the chart.
pub fn install_with(plane: &ControlPlane, values: &[&str]) -> Result<Value, Failure> {
    let rendered = render_with(plane, values)?;
    plane.kubectl(&["create", "namespace", NAMESPACE])?.success()?;
    plane.apply(&rendered)?.success()?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?.success()?;
    let sets = objects(&rendered, "DaemonSet")?;
    let [set] = <[Value; 1]>::try_from(sets).map_err(|sets| format!("one DaemonSet, not {}", sets.len()))?;
    Ok(set)
}

/// Creates the Pod that the DaemonSet would have on this node, and returns its token.
pub fn token(plane: &ControlPlane, set: &Value, node: &str) -> Result<String, Failure> {
    let mut spec = set["spec"]["template"]["spec"].clone();
    spec["nodeName"] = json!(node);
    let name = format!("agent-{node}");
    let metadata = json!({ "name": name, "namespace": NAMESPACE });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
    plane.apply(&pod.to_string())?.success()?;
    Ok(plane.token_of_pod(NAMESPACE, ACCOUNT, &name)?)
}

/// Directories of the host, but for those of the kernel, are below this one.
pub fn host(plane: &ControlPlane) -> PathBuf {
    plane.dir().join("host")
}

/// What a container runs on.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// The name of the node.
    pub node: &'a str,
    /// The token of the Pod.
    pub token: &'a str,
    /// What is mounted for `/sys` of the node.
    pub sysfs: &'a Path,
    /// Whether the container has a PID namespace of its own. Its first process cannot be ended by a signal then.
    pub has_own_pids: bool,
    /// The name of the file for what the container prints.
    pub log: &'a str,
}

/// Runs a binary as the container on this node.
pub fn start(plane: &ControlPlane, set: &Value, node: &str, token: &str, binary: &Path) -> Result<Process, Failure> {
    start_on(
        plane,
        set,
        &Machine { node, token, sysfs: Path::new("/sys"), has_own_pids: false, log: "agent.log" },
        binary,
    )
}

/// The same with the details of the machine.
pub fn start_on(plane: &ControlPlane, set: &Value, machine: &Machine, binary: &Path) -> Result<Process, Failure> {
    let (root, host) = (plane.dir().join("root"), host(plane));
    let secrets = root.join("var/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(&secrets).map_err(|e| e.to_string())?;
    for (name, content) in [("token", machine.token.as_bytes()), ("namespace", NAMESPACE.as_bytes())] {
        fs::write(secrets.join(name), content).map_err(|e| e.to_string())?;
    }
    fs::copy(plane.certificate(), secrets.join("ca.crt")).map_err(|e| e.to_string())?;
    let spec = &set["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let mut script = Script { root: &root, lines: Vec::new() };
    script.mount(spec, &host, machine, binary)?;
    script.run(container);
    let script = script.lines.join("\n");
    let namespaces: &[&str] =
        if machine.has_own_pids { &["--mount", "--pid", "--fork", "--kill-child"] } else { &["--mount"] };
    let log = plane.dir().join(machine.log);
    let process = Process::start("multi-eni-agent", Path::new("unshare"), &log, |command| {
        command.args(namespaces).args(["sh", "-euc", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("KUBERNETES_SERVICE_HOST", plane.address().ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", plane.address().port().to_string());
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap();
            match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("spec.nodeName") => command.env(name, machine.node),
                Some("metadata.name") => command.env(name, "multi-eni-agent-0"),
                Some(other) => panic!("the field {other} is unknown here"),
                None => command.env(name, variable["value"].as_str().unwrap()),
            };
        }
    })?;
    Ok(process)
}

/// What a container runtime does, in a mount namespace of its own.
struct Script<'a> {
    root: &'a Path,
    lines: Vec<String>,
}

impl Script<'_> {
    fn bind(&mut self, from: &Path, to: &str, is_read_only: bool) {
        let to = self.root.join(to.trim_start_matches('/'));
        let (from, to) = (from.display(), to.display());
        self.lines.push(format!("if [ -d {from} ]; then mkdir -p {to}; else mkdir -p $(dirname {to}); touch {to}; fi"));
        self.lines.push(format!("mount --bind {from} {to}"));
        if is_read_only {
            self.lines.push(format!("mount -o remount,bind,ro {to}"));
        }
    }

    fn mount(&mut self, spec: &Value, host: &Path, machine: &Machine, binary: &Path) -> Result<(), Failure> {
        let container = &spec["containers"][0];
        self.bind(self.root, "/", false);
        for libraries in ["/usr", "/bin", "/lib", "/lib64"].map(Path::new).into_iter().filter(|path| path.exists()) {
            self.bind(libraries, &libraries.display().to_string(), true);
        }
        self.bind(binary, "/multi-eni-agent", true);
        if machine.has_own_pids {
            let proc = self.root.join("proc");
            self.lines.push(format!("mkdir -p {0}; mount -t proc proc {0}", proc.display()));
        } else {
            self.bind(Path::new("/proc"), "/proc", false);
        }
        self.bind(Path::new("/proc/sys"), "/proc/sys", true);
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let volumes = spec["volumes"].as_array().into_iter().flatten();
            let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]);
            let path =
                volume.and_then(|volume| volume["hostPath"]["path"].as_str()).ok_or("a mount without a hostPath")?;
            let from = match path {
                "/sys" => machine.sysfs.to_owned(),
                _ if path.starts_with("/proc") => PathBuf::from(path),
                _ => host.join(path.trim_start_matches('/')),
            };
            if !path.starts_with("/proc") {
                fs::create_dir_all(&from).map_err(|e| e.to_string())?;
            }
            self.bind(&from, mount["mountPath"].as_str().unwrap(), mount["readOnly"] == true);
        }
        if container["securityContext"]["readOnlyRootFilesystem"] == true {
            self.lines.push(format!("mount -o remount,bind,ro {}", self.root.display()));
        }
        Ok(())
    }

    fn run(&mut self, container: &Value) {
        let security = &container["securityContext"];
        let capabilities: Vec<String> = security["capabilities"]["add"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| format!("+{}", name.as_str().unwrap().to_lowercase()))
            .collect();
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        let capabilities = format!("-all,{}", capabilities.join(","));
        let privileges = if security["allowPrivilegeEscalation"] == false { "--no-new-privs" } else { "" };
        let arguments: Vec<String> = container["args"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|argument| format!("'{}'", argument.as_str().unwrap()))
            .collect();
        self.lines.push(format!(
            "exec chroot {} setpriv --bounding-set={capabilities} --inh-caps=-all {privileges} /multi-eni-agent {}",
            self.root.display(),
            arguments.join(" ")
        ));
    }
}

/// Asks the agent over HTTP. Empty if nothing listens.
pub fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let mut text = String::new();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    stream.read_to_string(&mut text).unwrap();
    text
}

//! The container of the chart's DaemonSet, without a kubelet: the arguments, the environment, the mounts, the capabilities and the
//! read-only root file system are those that `helm template` renders. The token of the ServiceAccount is bound to a Pod.
//!
//! Not as in a container: there is no seccomp profile, no limit of memory, and the libraries are those of this machine.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod attachments;

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
    let values = "nodeAgent.enabled=true,nodeAgent.env[0].name=LINK_KINDS,nodeAgent.env[0].value=veth";
    Ok(plane.helm_template("multi-eni", NAMESPACE, &["--set", values])?)
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
    let rendered = render(plane)?;
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

/// Runs a binary as the container on this node. Directories of the host, but for those of the kernel, are below `host`.
pub fn start(plane: &ControlPlane, set: &Value, node: &str, token: &str, binary: &Path) -> Result<Process, Failure> {
    let (root, host) = (plane.dir().join("root"), plane.dir().join("host"));
    let secrets = root.join("var/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(&secrets).map_err(|e| e.to_string())?;
    for (name, content) in [("token", token.as_bytes()), ("namespace", NAMESPACE.as_bytes())] {
        fs::write(secrets.join(name), content).map_err(|e| e.to_string())?;
    }
    fs::copy(plane.certificate(), secrets.join("ca.crt")).map_err(|e| e.to_string())?;
    let spec = &set["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let script = script(spec, container, &root, &host, binary)?;
    let log = plane.dir().join("agent.log");
    let process = Process::start("multi-eni-agent", Path::new("unshare"), &log, |command| {
        command.args(["--mount", "sh", "-euc", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("KUBERNETES_SERVICE_HOST", plane.address().ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", plane.address().port().to_string());
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap();
            match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("spec.nodeName") => command.env(name, node),
                Some(other) => panic!("the field {other} is unknown here"),
                None => command.env(name, variable["value"].as_str().unwrap()),
            };
        }
    })?;
    Ok(process)
}

/// What a container runtime does, in a mount namespace of its own.
fn script(spec: &Value, container: &Value, root: &Path, host: &Path, binary: &Path) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let mut bind = |from: &Path, to: &str, is_read_only: bool| {
        let to = root.join(to.trim_start_matches('/'));
        let (from, to) = (from.display(), to.display());
        lines.push(format!("if [ -d {from} ]; then mkdir -p {to}; else mkdir -p $(dirname {to}); touch {to}; fi"));
        lines.push(format!("mount --bind {from} {to}"));
        if is_read_only {
            lines.push(format!("mount -o remount,bind,ro {to}"));
        }
    };
    bind(root, "/", false);
    for libraries in ["/usr", "/bin", "/lib", "/lib64"].map(Path::new).into_iter().filter(|path| path.exists()) {
        bind(libraries, &libraries.display().to_string(), true);
    }
    bind(binary, "/multi-eni-agent", true);
    bind(Path::new("/proc"), "/proc", false);
    bind(Path::new("/proc/sys"), "/proc/sys", true);
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let volumes = spec["volumes"].as_array().into_iter().flatten();
        let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]);
        let path = volume.and_then(|volume| volume["hostPath"]["path"].as_str()).ok_or("a mount without a hostPath")?;
        let is_of_the_kernel = path.starts_with("/sys") || path.starts_with("/proc");
        let from = if is_of_the_kernel { PathBuf::from(path) } else { host.join(path.trim_start_matches('/')) };
        if !is_of_the_kernel {
            fs::create_dir_all(&from).map_err(|e| e.to_string())?;
        }
        bind(&from, mount["mountPath"].as_str().unwrap(), mount["readOnly"] == true);
    }
    let security = &container["securityContext"];
    if security["readOnlyRootFilesystem"] == true {
        lines.push(format!("mount -o remount,bind,ro {}", root.display()));
    }
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
    lines.push(format!(
        "exec chroot {} setpriv --bounding-set={capabilities} --inh-caps=-all {privileges} /multi-eni-agent {}",
        root.display(),
        arguments.join(" ")
    ));
    Ok(lines.join("\n"))
}

/// Asks the agent over HTTP. Empty if nothing listens.
pub fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let mut text = String::new();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    stream.read_to_string(&mut text).unwrap();
    text
}

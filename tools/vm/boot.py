"""Boots the guest of tools/node-vm in QEMU, plugs and unplugs NICs when the guest asks, and counts its checks.

The guest writes lines to its second serial port:
  plug NIC, unplug NIC       NIC is a name in NICS
  ok CHECK, FAILED CHECK     the result of one check; further lines up to the next one explain a failure
  done NUMBER                the end, with the number of checks
"""

import argparse
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# All checks take 105 s beside other work on 2 cores. A failed check takes 30 s more. The guest is killed after this time.
TIME_LIMIT_S = 600
PR_SET_PDEATHSIG = 1

# One subnet for each NIC. QEMU answers for its gateway, as the VPC does. There is no way out of the guest.
NICS = {
    "primary": ("02:00:00:00:00:00", "10.0.0.0/24", "10.0.0.1", "pcie.0"),
    "eni1": ("02:00:00:00:00:01", "10.0.1.0/24", "10.0.1.1", "port1"),
    "eni2": ("02:00:00:00:00:02", "10.0.2.0/24", "10.0.2.1", "port2"),
}


def device(nic):
    mac, _, _, bus = NICS[nic]
    return {"driver": "e1000e", "id": nic, "bus": bus, "netdev": f"net-{nic}", "mac": mac, "romfile": ""}


def command(root, initramfs, checks, directory):
    kernels = sorted(root.glob("boot/vmlinuz-*"))
    if len(kernels) != 1:
        sys.exit(f"node-vm: there must be one kernel in {root}/boot, and there are {len(kernels)}")
    library_path = f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"
    loader = root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    # QEMU runs with the libraries of its own distribution. An emulated processor works without /dev/kvm, and is the same everywhere.
    words = [loader, "--library-path", library_path, root / "usr/bin/qemu-system-x86_64"]
    words += ["-L", root / "usr/share/qemu", "-L", root / "usr/share/seabios"]
    words += ["-machine", "q35,accel=tcg,kernel-irqchip=split", "-cpu", "max", "-m", "512", "-smp", "1"]
    words += ["-nodefaults", "-nographic", "-no-reboot", "-no-user-config"]
    words += ["-device", "intel-iommu,intremap=on"]
    for number in (1, 2):
        words += ["-device", f"pcie-root-port,id=port{number},chassis={number},slot={number}"]
    for nic, (_, subnet, gateway, _) in NICS.items():
        words += ["-netdev", f"user,id=net-{nic},net={subnet},host={gateway},restrict=on,ipv6=off"]
    words += ["-device", ",".join(f"{key}={value}" for key, value in device("primary").items())]
    words += ["-serial", f"file:{directory}/console", "-serial", "stdio"]
    words += ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
    words += ["-kernel", kernels[0], "-initrd", initramfs]
    words += ["-append", f"console=ttyS0 quiet intel_iommu=on panic=-1 CHECKS={','.join(checks)}"]
    return [str(word) for word in words]


def qmp(directory, execute, **arguments):
    """One command to QEMU. Events of QEMU come between its answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(f"{directory}/qmp")
        stream = connection.makefile("rw")
        stream.readline()
        for message in ({"execute": "qmp_capabilities"}, {"execute": execute, "arguments": arguments}):
            stream.write(json.dumps(message) + "\n")
            stream.flush()
            answer = {}
            while not {"return", "error"} & answer.keys():
                answer = json.loads(stream.readline())
            if "error" in answer:
                raise RuntimeError(f"QEMU refuses {execute}: {answer['error'].get('desc')}")


def plug(directory, nic):
    """Plugs a NIC in. QEMU ends an unplug a moment after the guest has lost the device, and refuses a second one until then."""
    last = time.monotonic() + 20
    while True:
        try:
            return qmp(directory, "device_add", **device(nic))
        except RuntimeError:
            if time.monotonic() > last:
                raise
        time.sleep(0.2)


def follow(guest, directory):
    """Does what the guest asks, and prints its checks. Returns the number of checks, of failures, and the guest's own number."""
    checks = failures = 0
    for line in guest.stdout:
        line = line.rstrip()
        word, _, rest = line.partition(" ")
        if word == "plug":
            plug(directory, rest)
        elif word == "unplug":
            qmp(directory, "device_del", id=rest)
        elif word == "done":
            return checks, failures, int(rest)
        else:
            checks += word in ("ok", "FAILED")
            failures += word == "FAILED"
            print(line, flush=True)
    return checks, failures, None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the unpacked packages")
    parser.add_argument("--initramfs", type=pathlib.Path, required=True)
    parser.add_argument("--console", action="store_true", help="print what the kernel and the agent print")
    parser.add_argument("checks", nargs="+", metavar="CHECKS", help="the files of checks, in their order")
    arguments = parser.parse_args()
    began = time.monotonic()
    # A signal ends this program as an error does, so that the guest ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        guest = subprocess.Popen(
            command(arguments.root, arguments.initramfs, arguments.checks, directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            # The emulator of the processor is a module of QEMU.
            # It ends with this program, even if this program is killed.
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            env={**os.environ, "QEMU_MODULE_DIR": f"{arguments.root}/usr/lib/x86_64-linux-gnu/qemu"},
        )
        timer = threading.Timer(TIME_LIMIT_S, guest.kill)
        timer.start()
        try:
            checks, failures, announced = follow(guest, directory)
        except (OSError, RuntimeError) as error:
            sys.exit(f"node-vm: {error}")
        finally:
            timer.cancel()
            guest.kill()
            guest.wait()
            console = pathlib.Path(directory, "console")
            text = console.read_text(errors="replace") if console.exists() else ""
        is_whole = announced is not None and announced == checks and checks > 0
        if arguments.console or failures or not is_whole:
            print("--- the guest's console (its last 200 lines):", *text.splitlines()[-200:], sep="\n")
        seconds = time.monotonic() - began
        if announced is None:
            limit = f", at the time limit of {TIME_LIMIT_S} s" if seconds >= TIME_LIMIT_S else ""
            print(f"node-vm: the guest ended before its last check, after {seconds:.0f} s{limit}")
        elif not is_whole:
            print(f"node-vm: the guest made {announced} checks, and {checks} arrived")
        print(f"node-vm: {checks - failures} ok, {failures} FAILED, {seconds:.0f} s")
        sys.exit(0 if is_whole and not failures else 1)


main()

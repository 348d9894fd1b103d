"""Writes the initramfs of tools/node-vm: busybox, ip, modprobe, the kernel modules, the node agent and the guest's scripts.

The agent brings the libraries of this machine, and the others those of their own distribution. So each has a directory of its own.
"""

import argparse
import gzip
import os
import pathlib
import shutil
import stat
import subprocess

LOADER = "ld-linux-x86-64.so.2"


def libraries(listing):
    """The paths in what the dynamic loader lists: "NAME => PATH (ADDRESS)", and the loader itself."""
    for line in listing.splitlines():
        words = line.split()
        path = words[2] if "=>" in words else words[0]
        if path.startswith("/") or os.path.exists(path):
            yield pathlib.Path(path)


def copy(source, target, mode=0o755):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def add_command(tree, name, start):
    script = tree / "usr/bin" / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
    script.chmod(0o755)


def add_debian_program(tree, root, program, names):
    """A program of the packages, under these names, with its libraries in a directory of its own."""
    home = pathlib.Path("opt", program.name)
    path = ":".join(str(root / lib) for lib in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    loader = root / "lib/x86_64-linux-gnu" / LOADER
    listed = subprocess.run(
        [loader, "--library-path", path, "--list", root / program], capture_output=True, text=True, check=True
    )
    for file in (root / program, loader, *libraries(listed.stdout)):
        copy(file, tree / home / file.name)
    for name in names:
        add_command(tree, name, f"/{home}/{LOADER} --argv0 {name} --library-path /{home} /{home}/{program.name}")


def add_agent(tree, agent, work):
    # Without its symbols it is a sixth of the size, and all of the initramfs is memory of the guest.
    stripped = work / "multi-eni-agent"
    subprocess.run(["strip", "-o", stripped, agent], check=True)
    home = pathlib.Path("opt/agent")
    copy(stripped, tree / home / stripped.name)
    listed = subprocess.run(["ldd", agent], capture_output=True, text=True, check=False)
    if listed.returncode != 0 or "statically linked" in listed.stdout:
        add_command(tree, stripped.name, f"/{home}/{stripped.name}")
        return
    for library in libraries(listed.stdout):
        copy(library, tree / home / library.name)
    add_command(tree, stripped.name, f"/{home}/{LOADER} --library-path /{home} /{home}/{stripped.name}")


def add_own_program(tree, name):
    program, source = tree / "opt" / name, pathlib.Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)


def write_archive(tree, target):
    """A cpio archive in the format newc, compressed. All files belong to root."""
    with gzip.open(target, "wb", 1) as out:
        inode = 0

        def entry(name, mode, data=b""):
            nonlocal inode
            inode += 1
            name = name.encode() + b"\0"
            numbers = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
            for part in (b"070701" + b"".join(b"%08X" % number for number in numbers) + name, data):
                out.write(part + b"\0" * (-len(part) % 4))

        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                entry(name, stat.S_IFDIR | 0o755)
            else:
                entry(name, stat.S_IFREG | stat.S_IMODE(mode), path.read_bytes())
        entry("TRAILER!!!", 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=pathlib.Path, required=True, help="what tools/node-vm has unpacked")
    parser.add_argument("--guest", type=pathlib.Path, required=True, help="the scripts of the guest")
    parser.add_argument("--agent", type=pathlib.Path, required=True, help="the binary of the node agent")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a directory for what is made on the way")
    parser.add_argument("target", type=pathlib.Path)
    arguments = parser.parse_args()
    root, tree = arguments.parts / "root", arguments.work / "tree"
    for directory in ("bin", "dev", "proc", "sys", "run", "tmp", "var/lib", "etc"):
        (tree / directory).mkdir(parents=True)
    copy(root / "bin/busybox", tree / "bin/busybox")
    copy(root / "bin/busybox", tree / "bin/sh")
    shutil.copytree(arguments.parts / "modules", tree / "lib/modules")
    add_debian_program(tree, root, pathlib.Path("bin/ip"), ["ip"])
    add_debian_program(tree, root, pathlib.Path("bin/kmod"), ["depmod", "modprobe"])
    add_agent(tree, arguments.agent, arguments.work)
    for name in ("hold-device", "limit-capabilities"):
        add_own_program(tree, name)
    for script in arguments.guest.iterdir():
        copy(script, tree / ("init" if script.name == "init" else f"guest/{script.name}"))
    write_archive(tree, arguments.target)


main()

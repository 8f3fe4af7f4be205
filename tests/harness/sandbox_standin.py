"""A stand-in for the worker: locks itself down, then does what the test tells it, the worst included.

Runs inside the sandbox with nothing but the standard library and the trusted files. Each request is a JSON line
`[name, arguments…]`, each answer `{"value": …}` or `{"refused": errno name}`.
"""

import contextlib
import ctypes
import errno
import itertools
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from harness import lockdown
from harness.protocol import Policy

MIB = 2**20


def read(path):
    return Path(path).read_bytes()[:1000].decode("latin-1")


def listing(path):
    return sorted(os.listdir(path))


def write(path):
    Path(path).write_text("written by the entry")


def append(path):
    with open(path, "a") as file:
        file.write("more")


def read_through_link(path):
    link = Path(os.environ["TMPDIR"]) / "link"
    link.symlink_to(path)
    try:
        return read(link)
    finally:
        link.unlink()


def open_socket(family, kind=socket.SOCK_STREAM):
    socket.socket(family, kind).close()


def connect(address):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(address.replace("@", "\0", 1))


def exchange_over_loopback():
    """What ranks do: one listens, the other connects, over TCP on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5) as near:
        far, _ = server.accept()
        with far:
            near.sendall(b"hello")
            return far.recv(5).decode()


def interfaces():
    return [name for _, name in socket.if_nameindex()]


def connect_tcp(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect((address, port))


def call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    answer = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


def ptrace(pid):
    call(101 if os.uname().machine == "x86_64" else 117, 16, pid)


def limit(pid):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (10, 10))


def kill(pid):
    os.kill(pid, 0)


def thread_signal(pid):
    call(234 if os.uname().machine == "x86_64" else 131, pid, pid, 0)


def pidfd(pid):
    signal.pidfd_send_signal(os.pidfd_open(pid), 0)


def spread(pid):
    os.sched_setaffinity(pid, range(os.cpu_count()))


def slow_down(pid):
    os.setpriority(os.PRIO_PROCESS, pid, 19)


def new_session():
    before = os.getpgid(0), os.getsid(0)
    os.setsid()
    return before == (os.getpgid(0), os.getsid(0))


def environment():
    return dict(os.environ)


def host_name():
    return socket.gethostname()


def cores():
    return len(os.sched_getaffinity(0))


def limits():
    names = ("NPROC", "NOFILE", "FSIZE", "CORE", "DATA")
    return {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}


def raise_limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))


def capabilities():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines) if key.startswith("Cap")}


def identity():
    return os.getresuid()


def descriptors():
    """What each open descriptor is; the listing's own is closed again by then."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def processes():
    return sum(name.isdecimal() for name in os.listdir("/proc"))


def shared_lock_between_processes():
    """What data loaders live on: a named semaphore, a socket pair, a child, memory in /dev/shm."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=queue.put, args=("from the child",))
    child.start()
    answer = queue.get(timeout=20)
    child.join()
    return answer


def session_of_its_own():
    return subprocess.run(["/bin/echo", "fine"], start_new_session=True, capture_output=True, text=True).stdout


def train_a_little():
    """What a submission does with torch; the loss before and after."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(2)
    torch.manual_seed(1)
    wide = torch.randn(256, 256)
    assert torch.isfinite(wide @ wide).all()
    rows = torch.randn(64, 16)
    loader = DataLoader(TensorDataset(rows, rows.sum(1, keepdim=True)), batch_size=16, num_workers=2)
    model = torch.nn.Linear(16, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, fused=True)
    losses = []
    for _ in range(3):
        for inputs, targets in loader:
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return [losses[0], losses[-1]]


def compile_and_load():
    folder = Path(os.environ["TMPDIR"])
    source, library = folder / "answer.cpp", folder / "answer.so"
    source.write_text('#include <vector>\nextern "C" int answer() { return std::vector<int>{40, 2}.size() * 21; }')
    done = subprocess.run(
        ["g++", "-shared", "-fPIC", "-o", library, source], capture_output=True, text=True, check=False
    )
    return ctypes.CDLL(str(library)).answer() if done.returncode == 0 else done.stderr


def hard_link_out(path):
    os.link(path, Path(os.environ["TMPDIR"]) / "taken")


def close_scratch():
    folder = Path(os.environ["TMPDIR"]) / "closed"
    folder.mkdir()
    (folder / "hidden").write_bytes(b"x")
    folder.chmod(0o300)


def nest(depth):
    os.chdir(os.environ["TMPDIR"])
    for _ in range(depth):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)


# ------------------------------------------------------------------------------------------------ destructive


def fork_bomb(most):
    """How many children could be made; they wait."""
    made = 0
    try:
        while made < most:
            if os.fork() == 0:
                signal.pause()
            made += 1
    except OSError:
        pass
    return made


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def _touch(size_bytes):
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, size_bytes, 4096):
        memory[offset] = 1
    return memory


def hold(size_bytes):
    global _held
    _held = _touch(size_bytes)


def memory_bomb():
    """Mappings without end, in this process."""
    kept = []
    while True:
        kept.append(_touch(8 * MIB))


def memory_bomb_by_processes(each_bytes, count):
    """Each child stays below the limit of one process."""
    for _ in range(count):
        if os.fork() == 0:
            _kept = _touch(each_bytes)
            signal.pause()
    signal.pause()


def memory_bomb_by_files():
    """Memory that nobody maps."""
    while True:
        fd = os.memfd_create("m")
        for _ in range(8):
            os.write(fd, bytes(MIB))


def fill():
    """Fill scratch with files; the number of bytes that went in."""
    total = 0
    with contextlib.suppress(OSError):
        for count in itertools.count():
            with open(Path(os.environ["TMPDIR"]) / f"f{count}", "wb") as file:
                total += file.write(bytes(MIB))
    return total


def fill_file(path, size_bytes):
    with open(path, "wb", buffering=0) as file:
        for _ in range(0, size_bytes, MIB):
            if file.write(bytes(MIB)) < MIB:
                file.write(bytes(MIB))


def fill_unlinked():
    """The same with files that have no name any more, and stay open."""
    global _held
    _held = []
    path = Path(os.environ["TMPDIR"]) / "gone"
    with contextlib.suppress(OSError):
        while True:
            _held.append(path.open("wb", buffering=0))
            path.unlink()
            _held[-1].write(bytes(MIB))
    return sum(file.tell() for file in _held)


def flood():
    line = b"x" * 8191 + b"\n"
    while True:
        os.write(1, line)


def print_lines(text, count):
    for number in range(count):
        print(text, number, flush=True)


def daemon():
    """A child that left the process group, lost its parent, and goes on; it keeps the socket open."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()
        os._exit(0)
    os.wait()


def fork_runner():
    """Forks without end, each parent dying at once: a sweep that looks and kills never catches up."""
    if os.fork() == 0:
        while True:
            try:
                if os.fork() != 0:
                    os._exit(0)
            except OSError:
                pass


def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)


def leave(code):
    os._exit(code)


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def run(parent, lines):
    for line in lines:
        name, *arguments = json.loads(line)
        try:
            answer = {"value": globals()[name](*arguments)}
        except OSError as error:
            answer = {"refused": errno.errorcode.get(error.errno, str(error))}
        except (MemoryError, ValueError) as error:
            answer = {"refused": type(error).__name__}
        parent.sendall(json.dumps(answer).encode() + b"\n")


def main():
    parent = socket.socket(fileno=int(sys.argv[1]))
    lines = parent.makefile("rb")
    policy = msgspec.json.decode(lines.readline(), type=Policy)
    report = lockdown.apply(policy)
    parent.sendall(json.dumps({"value": list(report)}).encode() + b"\n")
    run(parent, lines)


if __name__ == "__main__":
    main()

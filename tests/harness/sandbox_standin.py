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


def send_datagram(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", (address, port))


def call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    answer = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


def number_of(x86_64, aarch64):
    """A system call's number here."""
    return x86_64 if os.uname().machine == "x86_64" else aarch64


def in_a_child(attempt):
    """What it does to a process ends with the child. Raises the OSError that the child met."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, "refused")


def ptrace(pid):
    """Without stopping it, and only as long as the child lives."""
    in_a_child(lambda: call(number_of(101, 117), 0x4206, pid, 0, 0))  # PTRACE_SEIZE


def ptrace_sibling():
    other = os.fork()
    if other == 0:
        while True:
            signal.pause()
    try:
        ptrace(other)
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)


def limit(pid):
    """Sets a limit to what it is."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))


def peek(pid, address, size_bytes):
    """Another process's memory; this one's where `pid` is 0."""
    with open(f"/proc/{pid or 'self'}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size_bytes).decode("latin-1")


def peek_at_itself():
    text = ctypes.create_string_buffer(b"its own")
    return peek(0, ctypes.addressof(text), 7)


def kill(pid):
    os.kill(pid, 0)


def thread_signal(pid):
    call(number_of(234, 131), pid, pid, 0)


def pidfd(pid):
    signal.pidfd_send_signal(os.pidfd_open(pid), 0)


def spread(pid):
    os.sched_setaffinity(pid, range(os.cpu_count()))


def slow_down(pid):
    os.setpriority(os.PRIO_PROCESS, pid, 19)


def ask_for_ring():
    """io_uring_setup: a second door to most system calls."""
    parameters = ctypes.create_string_buffer(120)
    os.close(call(425, 1, ctypes.addressof(parameters)))


def ask_for_keys():
    call(number_of(250, 219), 0, -3, 1)  # KEYCTL_GET_KEYRING_ID of the session's


def ask_for_segment():
    """System V shared memory outlives who makes it; this one is taken away again."""
    made = call(number_of(29, 194), 0, 4096, 0o1600)  # shmget, IPC_CREAT
    call(number_of(31, 195), made, 0, 0)  # shmctl, IPC_RMID


def ask_for_users():
    in_a_child(lambda: call(number_of(272, 97), 0x10000000))  # unshare(CLONE_NEWUSER)


def ask_for_file_system():
    """fsopen: the first step of a mount."""
    name = ctypes.create_string_buffer(b"tmpfs")
    os.close(call(430, ctypes.addressof(name), 0))


def set_clock():
    """Sets the length of the clock's tick to what it is: allowed to whoever may set the clock."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = ctypes.create_string_buffer(256)  # struct timex; `modes` comes first
    for modes in (0, 0x4000):  # look, ADJ_TICK
        ctypes.c_uint.from_buffer(timex).value = modes
        if libc.adjtimex(timex) < 0:
            raise OSError(ctypes.get_errno(), "refused")


def dump_core():
    for value in (0, MIB):
        resource.setrlimit(resource.RLIMIT_CORE, (value, value))
    child = os.fork()
    if child == 0:
        os.abort()
    if not os.WCOREDUMP(os.waitpid(child, 0)[1]):
        raise PermissionError(errno.EPERM, "no core was dumped")


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
    names = ("NPROC", "NOFILE", "FSIZE", "CORE", "DATA", "MEMLOCK")
    return {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}


def raise_limit():
    """Lower, then back up: that alone shows whether any limit can be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for value in (hard - 1, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (value, value))


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
    folder.mkdir(0o300)  # chmod does nothing at level landlock
    (folder / "hidden").write_bytes(b"x")


def nest(depth):
    os.chdir(os.environ["TMPDIR"])
    for _ in range(depth):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)


def size_of(path):
    return os.stat(path).st_size


def mark(path):
    """Notes in a file's metadata: mode, times, an attribute; whoever looks sees which of them came through."""
    with contextlib.suppress(OSError):
        os.chmod(path, 0o711)
    with contextlib.suppress(OSError):
        os.utime(path, (12345, 12345))
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.note", b"1")


def read_pages(path, numbers):
    """Brings single pages of a file into memory."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for number in numbers:
            os.pread(file.fileno(), 1, number * mmap.PAGESIZE)


def pages_in_memory(path, count):
    """Asking brings them in, so that it can be asked once."""
    found = []
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for number in range(count):
            with contextlib.suppress(BlockingIOError):
                os.preadv(file.fileno(), [bytearray(1)], number * mmap.PAGESIZE, os.RWF_NOWAIT)
                found.append(number)
    return found


def lay_traps(path):
    """For a parent that reads scratch: a link out of it, and a pipe that nobody writes to."""
    os.symlink(path, Path(os.environ["TMPDIR"]) / "link")
    with contextlib.suppress(OSError):
        os.mkfifo(Path(os.environ["TMPDIR"]) / "pipe")


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


def hold_for_a_moment(size_bytes):
    """Memory that is given back before the parent looks again; no limit of a process sees it."""
    files = [os.memfd_create("m") for _ in range(0, size_bytes, 8 * MIB)]
    for fd in files:
        for _ in range(8):
            os.write(fd, bytes(MIB))
    for fd in files:
        os.close(fd)


def fill():
    """Fill scratch with files; the number of bytes that went in."""
    total = 0
    with contextlib.suppress(OSError):
        for count in itertools.count():
            with open(Path(os.environ["TMPDIR"]) / f"f{count}", "wb") as file:
                total += file.write(bytes(MIB))
    return total


def fill_file(path, size_bytes):
    """The file stays open: what nobody holds in /dev/shm goes away with any other sandbox of the same user."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for _ in range(0, size_bytes, MIB):
        if os.write(fd, bytes(MIB)) < MIB:
            os.write(fd, bytes(MIB))


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


def outlive(end):
    """A daemon: it leaves the process group, loses its parent and forks on, each parent dying at once, so that who
    looks and kills never catches up. When `end` exists it says that it is still there; after half a minute it stops."""
    begun, begin = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.closerange(1, 3)  # the parent waits for the end of the output
        os.write(begin, b"1")
        latest_s = time.monotonic() + 30
        while not os.path.exists(end) and time.monotonic() < latest_s:
            with contextlib.suppress(OSError):
                if os.fork() != 0:
                    os._exit(0)
        _parent.sendall(b'{"value": "still here"}\n')
        os._exit(0)
    os.wait()
    os.read(begun, 1)


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
    global _parent
    _parent = parent = socket.socket(fileno=int(sys.argv[1]))
    lines = parent.makefile("rb")
    policy = msgspec.json.decode(lines.readline(), type=Policy)
    report = lockdown.apply(policy)
    parent.sendall(json.dumps({"value": list(report)}).encode() + b"\n")
    run(parent, lines)


if __name__ == "__main__":
    main()

"""Has a look at a file done by `looking.py`, and ends as it did; needs a hundredth of a second."""

import _socket
import posix
import sys

place, *words = sys.argv[1:]
numbers = []
for name in posix.listdir("/proc/self/fd"):
    try:
        posix.fstat(int(name))
        numbers.append(int(name))
    except OSError:
        pass  # that by which they were listed
asked = _socket.socket(_socket.AF_UNIX)
asked.connect(place)
told = [",".join(map(str, numbers)), *words]
message = "\0".join(told).encode("utf-8", "surrogateescape")
files = b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)
asked.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
for number in numbers:
    posix.close(number)  # else who reads them waits for this process, too
code = int(asked.recv(16))
if code < 0:
    posix.kill(posix.getpid(), -code)
posix._exit(code)

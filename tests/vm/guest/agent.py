#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in the guest for the harness outside.

A request is a line of JSON on the serial port. An answer is a JSON text that
is compressed, encoded and sent in numbered pieces, so that a long answer does
not keep a short one waiting:

    {"id": 7, "op": "start", "command": "…", "input": BASE64}
    #7 LAST PIECE\n

Every request runs in a thread of its own. Output goes to files and not to
pipes: a process left behind that still holds them cannot delay an answer.
"""

import base64
import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import termios
import threading
import tty
import zlib

PIECE = 4096


class Job:
    """A command that was started."""

    def __init__(self, command, data):
        # Appending, so that all who write keep off each other's output.
        self.out, self.err = (open_anonymous('out', os.O_APPEND),
                              open_anonymous('err', os.O_APPEND))
        source = open_anonymous('in')
        write_all(source, data)
        os.lseek(source, 0, os.SEEK_SET)
        self.process = subprocess.Popen(
            ['/bin/bash', '-c', command], stdin=source, stdout=self.out,
            stderr=self.err, cwd='/root', start_new_session=True)
        os.close(source)

    def state(self, wait):
        """Exit status (None while it runs) and all output so far."""
        try:
            code = self.process.wait(wait)
        except subprocess.TimeoutExpired:
            code = None
        return {'exit': code, 'out': text(self.out), 'err': text(self.err)}

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def close(self):
        os.close(self.out)
        os.close(self.err)


def open_anonymous(name, flags=0):
    """A file in memory (tempfile is slow to import at boot)."""
    handle = os.memfd_create(name)
    fcntl.fcntl(handle, fcntl.F_SETFL,
                fcntl.fcntl(handle, fcntl.F_GETFL) | flags)
    return handle


def write_all(handle, data):
    while data:
        data = data[os.write(handle, data):]


def text(handle):
    """A file's whole content, without moving the writers' position."""
    return base64.b64encode(os.pread(
        handle, os.fstat(handle).st_size, 0)).decode()


class Agent:
    def __init__(self, port):
        self.port = port
        self.jobs = {}
        self.outgoing = queue.Queue()

    def answer(self, number, message):
        blob = base64.b64encode(zlib.compress(
            json.dumps(message).encode(), 1)).decode()
        for start in range(0, len(blob), PIECE):
            last = start + PIECE >= len(blob)
            self.outgoing.put(f'#{number} {int(last)} '
                              f'{blob[start:start + PIECE]}\n'.encode())

    def send(self):
        while True:
            write_all(self.port, self.outgoing.get())

    def op_hello(self, request):
        with open('/proc/sys/kernel/random/boot_id') as handle:
            return {'boot': handle.read().strip()}

    def op_start(self, request):
        job = Job(request['command'], base64.b64decode(request['input']))
        self.jobs[request['id']] = job
        return {'job': request['id'], 'pid': job.process.pid}

    def op_run(self, request):
        job = Job(request['command'], base64.b64decode(request['input']))
        state = job.state(request['timeout'])
        if state['exit'] is None:
            job.signal(signal.SIGKILL)
            state = dict(job.state(5), exit=None)
        job.close()
        return state

    def op_poll(self, request):
        return self.jobs[request['job']].state(request['timeout'])

    def op_kill(self, request):
        self.jobs[request['job']].signal(request['signal'])
        return {}

    def op_drop(self, request):
        job = self.jobs.pop(request['job'])
        job.close()
        return {}

    def op_write(self, request):
        """A file's content comes in pieces; the first one makes the file."""
        flags = os.O_WRONLY | os.O_CREAT
        flags |= os.O_TRUNC if request['first'] else os.O_APPEND
        if request['first']:
            os.makedirs(os.path.dirname(request['path']), exist_ok=True)
        handle = os.open(request['path'], flags, request['mode'])
        try:
            if request['first']:
                os.fchmod(handle, request['mode'])
            write_all(handle, base64.b64decode(request['data']))
        finally:
            os.close(handle)
        return {}

    def op_read(self, request):
        with open(request['path'], 'rb') as handle:
            return {'data': base64.b64encode(handle.read()).decode()}

    def handle(self, line):
        request = json.loads(line)
        try:
            result = getattr(self, 'op_' + request['op'])(request)
        except OSError as error:
            result = {'errno': error.errno, 'error': str(error)}
        except Exception as error:
            result = {'errno': 0, 'error': repr(error)}
        self.answer(request['id'], result)

    def serve(self):
        threading.Thread(target=self.send, daemon=True).start()
        self.answer(0, self.op_hello({}))
        buffer = b''
        while True:
            data = os.read(self.port, 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b'\n')
            for line in lines:
                # A line that is not JSON is noise from before the port was
                # made raw: the harness asks again.
                if line.startswith(b'{'):
                    threading.Thread(target=self.handle, args=(line,),
                                     daemon=True).start()


def main():
    os.makedirs('/run/vm-agent', exist_ok=True)
    os.environ.update(HOME='/root', LC_ALL='C.UTF-8', SYSTEMD_PAGER='',
                      PATH='/usr/local/sbin:/usr/local/bin:/usr/sbin:'
                           '/usr/bin:/sbin:/bin', SYSTEMD_COLORS='0')
    port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port, termios.TCSANOW)
    Agent(port).serve()


if __name__ == '__main__':
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the daemon that behaves badly.

bus-flood ask N       calls Reload N times at once, and tells what comes back
bus-flood read        calls methods that read, as fast as they are answered
bus-flood deaf ADDR N C
                      listens to everything, calls Explain N times on each of
                      C connections, and never reads anything

Lines on standard output tell how far it is."""

import collections
import ctypes
import json
import sys
import time

SERVICE, ROOT = b'org.iommupolicy1', b'/org/iommupolicy1'
MANAGER = b'org.iommupolicy1.Manager'
# So many calls are on their way at once; dbus-daemon lets no more than 128.
WINDOW = 100

sd = ctypes.CDLL('libsystemd.so.0')
pointer = ctypes.c_void_p
sd.sd_bus_message_get_error.restype = ctypes.POINTER(ctypes.c_char_p)
handler = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, pointer)


def check(result):
    if result < 0:
        sys.exit(f'sd-bus: error {-result}')
    return result


def say(text):
    print(text, flush=True)


class Client:
    def __init__(self):
        self.bus = pointer()
        self.open = 0
        self.answered = 0
        self.errors = collections.Counter()
        self.on_answer = handler(self.answer)
        check(sd.sd_bus_open_system(ctypes.byref(self.bus)))

    def answer(self, message, _data, _error):
        error = sd.sd_bus_message_get_error(message)
        if error:
            self.errors[error[0].decode()] += 1
        self.open -= 1
        self.answered += 1
        return 0

    def make(self, member, path=ROOT, interface=MANAGER, text=None):
        message = pointer()
        check(sd.sd_bus_message_new_method_call(
            self.bus, ctypes.byref(message), SERVICE, path, interface,
            member))
        if text is not None:
            check(sd.sd_bus_message_append_basic(
                message, ctypes.c_char(b's'), ctypes.c_char_p(text)))
        return message

    def call(self, *words, **more):
        message = self.make(*words, **more)
        check(sd.sd_bus_call_async(self.bus, None, message, self.on_answer,
                                   None, ctypes.c_uint64(2 ** 64 - 1)))
        sd.sd_bus_message_unref(message)
        self.open += 1

    def process(self):
        if check(sd.sd_bus_process(self.bus, None)) == 0:
            check(sd.sd_bus_wait(self.bus, ctypes.c_uint64(1000 * 1000)))

    def tell(self):
        say(f'answered {self.answered} {json.dumps(self.errors)}')


def ask(count):
    client = Client()
    for _ in range(count):
        client.call(b'Reload')
    check(sd.sd_bus_flush(client.bus))
    say('sent')
    told = 0
    while True:
        client.process()
        if client.answered != told:
            told = client.answered
            client.tell()


def read():
    client, last = Client(), time.monotonic()
    say('sent')
    while True:
        while client.open < WINDOW:
            client.call(b'Plan')
            client.call(b'GetManagedObjects',
                        interface=b'org.freedesktop.DBus.ObjectManager')
            # Refused, after the bus has been asked who this is.
            client.call(b'Reload')
        client.process()
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            client.tell()


def deaf(address, count, connections):
    clients = [Client() for _ in range(connections)]
    for client in clients:
        check(sd.sd_bus_add_match(client.bus, None, b"type='signal'", None,
                                  None))
    for number in range(count):
        for client in clients:
            message = client.make(b'Explain', text=address.encode())
            check(sd.sd_bus_send(client.bus, message,
                                 ctypes.byref(ctypes.c_uint64())))
            sd.sd_bus_message_unref(message)
            # What does not fit is written as the bus takes it.
            check(sd.sd_bus_flush(client.bus))
        if number % 20 == 0:
            say(f'called {number}')
    say('sent')
    while True:
        time.sleep(3600)


def main():
    mode, *words = sys.argv[1:]
    if mode == 'ask':
        ask(int(words[0]))
    elif mode == 'read':
        read()
    else:
        deaf(words[0], int(words[1]), int(words[2]))


main()

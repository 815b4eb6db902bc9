#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls D-Bus methods and prints their errors' names, which busctl keeps to
itself: bus-call.py SERVICE PATH INTERFACE JSON, which is a list of
[MEMBER, SIGNATURE, [ARGUMENT, ...]]"""

import ctypes
import json
import re
import sys

sd = ctypes.CDLL('libsystemd.so.0')
pointer = ctypes.c_void_p
MINUTE = ctypes.c_uint64(60 * 1000 * 1000)
NUMBERS = {'y': ctypes.c_uint8, 'b': ctypes.c_int, 'u': ctypes.c_uint32,
           'i': ctypes.c_int32, 't': ctypes.c_uint64}


class Error(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('message', ctypes.c_char_p),
                ('need_free', ctypes.c_int)]


def check(result):
    if result < 0:
        sys.exit(f'sd-bus: error {-result}')


def add(message, kind, value):
    if kind in NUMBERS:
        check(sd.sd_bus_message_append_basic(
            message, ctypes.c_char(kind.encode()),
            ctypes.byref(NUMBERS[kind](value))))
    elif kind in 'so':
        check(sd.sd_bus_message_append_basic(
            message, ctypes.c_char(kind.encode()),
            ctypes.c_char_p(value.encode())))
    elif kind == 'v':
        inner, value = value
        check(sd.sd_bus_message_open_container(
            message, ctypes.c_char(b'v'), inner.encode()))
        add(message, inner, value)
        check(sd.sd_bus_message_close_container(message))
    elif kind == 'a{sv}':
        check(sd.sd_bus_message_open_container(
            message, ctypes.c_char(b'a'), b'{sv}'))
        for key, item in value.items():
            check(sd.sd_bus_message_open_container(
                message, ctypes.c_char(b'e'), b'sv'))
            add(message, 's', key)
            add(message, 'v', item)
            check(sd.sd_bus_message_close_container(message))
        check(sd.sd_bus_message_close_container(message))
    else:
        sys.exit(f'no signature that is known here: {kind}')


def call(bus, service, path, interface, member, signature, arguments):
    message, reply, error = pointer(), pointer(), Error()
    check(sd.sd_bus_message_new_method_call(
        bus, ctypes.byref(message), service.encode(), path.encode(),
        interface.encode(), member.encode()))
    kinds = re.findall(r'a\{sv\}|.', signature)
    for kind, value in zip(kinds, arguments, strict=True):
        add(message, kind, value)
    sd.sd_bus_call(bus, message, MINUTE, ctypes.byref(error),
                   ctypes.byref(reply))
    return (error.name or b'').decode(), (error.message or b'').decode()


def main():
    service, path, interface, calls = sys.argv[1:]
    bus = pointer()
    check(sd.sd_bus_open_system(ctypes.byref(bus)))
    print(json.dumps([call(bus, service, path, interface, *words)
                      for words in json.loads(calls)]))
    sd.sd_bus_flush_close_unref(bus)


main()

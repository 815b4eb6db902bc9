#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has changes of many groups cut off at once, each at a place of its own, and
tells what they came to.

What to do comes as JSON on standard input:

    {"whom": "worker" or "daemon",
     "module": whether the kernel module is there,
     "always": failpoints that are set all the time,
     "groups": {NUMBER: {"devices": [ADDRESS, ...], "drivers": [A, B],
                         "blocked": whether its legs lead into quarantine and out,
                         "kills": {LEG: [[N, M], ...]}}}}

A leg is a change: "change" from one type (and, of two drivers, driver) to the
other, or "in" and "out" of quarantine. For each pair its worker is killed at
the Nth failpoint that it meets, or with N of 0 not at all; and the one that
recovers from that at its Mth, with M of 0 not at all. What a round came to is
a line of JSON for each group. Whether that is right is for others to say.

The daemon is in audit mode whenever it comes back, so that what is seen is
what the recovery has left.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

RUN = '/run/iommu-policyd'
SPECS, TRACE = f'{RUN}/failpoints', f'{RUN}/failpoints.trace'
SETTINGS = f'{RUN}/iommu-policyd.conf.d/50-crash.conf'
POLICY = '/etc/iommu-policyd/policy.d/50-crash.conf'
CGROUP = '/sys/fs/cgroup/system.slice/iommu-policyd.service/cgroup.procs'
DEVICES = '/sys/bus/pci/devices'
SERVICE = 'org.iommupolicy1'
QUARANTINE = {'to=blocked', 'step=verify'}   # of a record: it is in force
PATIENCE = 120

always = ''


def read(path):
    with open(path) as handle:
        return handle.read().rstrip('\n')


def replace(path, text):
    with open(path + '~', 'w') as handle:
        handle.write(text)
    os.rename(path + '~', path)


def wait(condition, what):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            sys.exit(f'waited for {what}: {processes()} {traced()} {bus()}')
        time.sleep(0.03)


# -- processes ------------------------------------------------------------------

def processes():
    """The service's: {pid: (parent, state)}."""
    found = {}
    try:
        pids = read(CGROUP).split()
    except OSError:
        return found
    for pid in pids:
        try:
            words = read(f'/proc/{pid}/stat').rsplit(')', 1)[1].split()
        except OSError:
            continue
        found[int(pid)] = (int(words[1]), words[0])
    return found


def daemon():
    return next((pid for pid, (parent, _) in processes().items()
                 if parent == 1), None)


def workers():
    return {pid: state for pid, (parent, state) in processes().items()
            if parent != 1 and state != 'Z'}


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# -- failpoints -----------------------------------------------------------------

def traced():
    """{group: {phase: [name, ...]}} since clear()."""
    found = {}
    with open(TRACE) as handle:
        # A line over the end of a page of the file is written in two parts.
        whole, _, _ = handle.read().rpartition('\n')
    for line in whole.splitlines():
        group, phase, name = line.split()
        found.setdefault(group, {}).setdefault(phase, []).append(name)
    return found


def clear():
    with open(TRACE, 'w'):
        pass


def stop_at(phase, places):
    replace(SPECS, always + ''.join(f'{phase}:*#{number}@{group}=stop\n'
                           for group, number in places.items() if number))


def stopped(phase, places):
    """Whether all workers are where they shall be, or have ended."""
    names = traced()
    if any(state != 'T' for state in workers().values()):
        return False
    for group, number in places.items():
        met = names.get(group, {}).get(phase, [])
        if not (number and len(met) >= number) and met[-1:] != ['tell']:
            return False
    return True


# -- what there is --------------------------------------------------------------

def link(path):
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def override(address):
    text = read(f'{DEVICES}/{address}/driver_override')
    return None if text in ('', '(null)') else text


def record(number):
    try:
        return read(f'{RUN}/transaction/{number}').splitlines()
    except OSError:
        return None


def module_groups():
    """What the module has beside the gate: {group: [hold, claim, bracket]}."""
    text = subprocess.run(['policy-client'], input='dump\n', text=True,
                          capture_output=True, check=True).stdout
    found = {}
    for answer in map(json.loads, text.splitlines()):
        had = {'holder', 'claim', 'bracket'} & set(answer)
        if had:
            found[str(answer['group'])] = sorted(had)
    return found


def bus():
    done = subprocess.run(
        ['busctl', '--json=short', 'call', SERVICE, '/org/iommupolicy1',
         'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects'],
        capture_output=True, text=True)
    if done.returncode:
        return None
    groups, devices = {}, {}
    for interfaces in json.loads(done.stdout)['data'][0].values():
        for name, properties in interfaces.items():
            values = {key: value['data'] for key, value in properties.items()}
            if name == f'{SERVICE}.Group':
                groups[str(values['Id'])] = {
                    key: values[key] for key in ('Type', 'State', 'Reason')}
            elif name == f'{SERVICE}.Device':
                devices[values['Address']] = values['Driver']
    return groups, devices


def snapshot(wanted, told):
    groups, drivers = told
    held = module_groups() if wanted['module'] else {}
    links = [name for name in os.listdir('/sys/class/devlink')
             if 'iommu' in name]
    found = {}
    for number, group in wanted['groups'].items():
        lines = record(number)
        found[number] = {
            'type': read(f'/sys/kernel/iommu_groups/{number}/type'),
            'drivers': {address: link(f'{DEVICES}/{address}/driver')
                        for address in group['devices']},
            'overrides': {address: override(address)
                          for address in group['devices']},
            'record': None if lines is None else 'quarantine'
            if QUARANTINE <= set(lines) else 'cut off',
            'module': held.get(number, []),
            'links': [name for name in links
                      if any(address in name for address in group['devices'])],
            'told': groups.get(number),
            'told_drivers': {address: drivers.get(address)
                             for address in group['devices']}}
    return found


def settled(wanted):
    """What the bus tells once nothing is under way any more."""
    if workers() or not daemon():
        return None
    told = bus()
    if not told or any(
            told[0].get(number, {}).get('State') in
            (None, 'applying', 'unmanaged') for number in wanted['groups']):
        return None
    return told


# -- rounds ---------------------------------------------------------------------

def is_quarantined(state):
    return state['record'] == 'quarantine'


def leg_of(group, state):
    if not group['blocked']:
        return 'change'
    if is_quarantined(state):
        return 'out'
    # All ways in begin at the same type, so that they have the same steps.
    return 'in' if state['type'] == 'identity' else 'change'


def other_type(state):
    return 'DMA' if state['type'] == 'identity' else 'identity'


names = itertools.count(1)


def rule(number, group, state, go):
    """The group's section: the other of its two states, or the present one."""
    # A rule of another name is another decision: what has failed is tried again.
    lines = [f'[group-{number}-{next(names)}]', 'rebind = always', 'match-address = '
             + ' '.join(group['devices'])]
    if not go:
        domain = 'blocked' if is_quarantined(state) else state['type']
    elif leg_of(group, state) == 'in':
        domain = 'blocked'
    else:
        domain = other_type(state)
    lines.append(f'domain = {domain}')
    if len(group['drivers']) > 1 and domain != 'blocked':
        first, second = group['drivers']
        now = state['drivers'][group['devices'][0]]
        wish = now if not go else second if now == first else first
        if wish:
            lines.append(f'driver = {wish}')
    return '\n'.join(lines) + '\n\n'


def apply(policy, text, mode):
    """In place and not closed: the watch on the folder notices nothing."""
    policy.seek(0)
    policy.truncate()
    policy.write(text)
    policy.flush()
    replace(SETTINGS, f'[Daemon]\nMode = {mode}\nMaxWorkers = 32\n')
    os.kill(daemon(), signal.SIGHUP)


def plan(wanted, states):
    """What the next round does: {group: (leg, first kill, second kill)}."""
    found = {}
    for number, group in wanted['groups'].items():
        leg = leg_of(group, states[number])
        kills = group['kills'].get(leg, [])
        if kills:
            found[number] = (leg, *kills.pop(0))
        elif any(group['kills'].values()):
            found[number] = (leg, 0, 0)     # there and on to the next leg
    return found


def cut_off(wanted, phase, places, later):
    """Kills where PLACES say; LATER are the places of the recovery."""
    wait(lambda: stopped(phase, places), f'the workers to be at {places}')
    victims = list(workers())
    stop_at('recover', later)
    if wanted['whom'] == 'daemon' and victims:
        replace(SETTINGS, '[Daemon]\nMode = audit\nMaxWorkers = 32\n')
        victims.insert(0, daemon())
    kill(victims)
    if victims:
        wait(lambda: not set(victims) & set(processes()), 'the killed')
    return len(victims)


def is_recovered(number):
    """Whether there is something to recover from, or there was a moment ago."""
    lines = record(number)
    return (lines is not None and not QUARANTINE <= set(lines)) \
        or 'recover' in traced().get(number, {})


def round_of(wanted, policy, before):
    chosen = plan(wanted, before)
    if not chosen:
        return None
    first = {number: kill for number, (_, kill, _) in chosen.items()}
    second = {number: kill for number, (_, _, kill) in chosen.items()
              if kill}
    clear()
    began = [time.monotonic()]
    stop_at('run', first)
    apply(policy, ''.join(rule(number, group, before[number],
                               number in chosen)
                          for number, group in wanted['groups'].items()),
          'enforce')
    cut_off(wanted, 'run', first, second)
    began.append(time.monotonic())
    second = {number: kill for number, kill in second.items()
              if is_recovered(number)}
    if second:
        cut_off(wanted, 'recover', second, {})
    began.append(time.monotonic())
    told = wait(lambda: settled(wanted), 'the daemon to settle')
    began.append(time.monotonic())
    after = snapshot(wanted, told)
    names = traced()
    for number, (leg, kill, kill_2) in chosen.items():
        print(json.dumps({
            'group': number, 'leg': leg, 'kills': [kill, kill_2],
            'met': names.get(number, {}),
            'took': [round(end - start, 1)
                     for start, end in zip(began, began[1:])],
            'before': before[number], 'after': after[number]}), flush=True)
    return after


def main():
    global always
    wanted = json.load(sys.stdin)
    always = wanted['always']
    os.makedirs(os.path.dirname(SETTINGS), exist_ok=True)
    clear()
    stop_at('run', {})
    with open(POLICY, 'a') as policy:
        found = snapshot(wanted, wait(bus, 'the bus'))
        while found:
            found = round_of(wanted, policy, found)
        # As it was, but for the devices.
        for path in (SPECS, TRACE, SETTINGS):
            if os.path.exists(path):
                os.unlink(path)
        policy.truncate(0)
        os.kill(daemon(), signal.SIGHUP)


main()

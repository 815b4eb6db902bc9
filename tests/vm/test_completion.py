# SPDX-License-Identifier: GPL-2.0-or-later
"""TAB in a real bash and a real zsh, with the daemon and without."""

from __future__ import annotations

import json

import pytest

from vmtest import Topology, cache, e1000e, nvme, policyd

TOPOLOGY = Topology(ports=['rp1', 'rp2'], load=['e1000e'],
                    cold=[e1000e('nic', 'rp1'), nvme('n0', 'rp2')])
CTL = 'iommu-policyctl'


def complete(vm, shell: str, lines: dict[str, list[str]]) -> dict[str, str]:
    """What the shell shows for each line; it must have all that is wanted."""
    script = (cache.GUEST_FILES / 'complete.py').read_text()
    vm.write('/run/complete.py', script)
    done = vm.run(['python3', '/run/complete.py', shell],
                  input=json.dumps([[f'{CTL} {line}', wanted]
                                    for line, wanted in lines.items()]),
                  timeout=900)
    found = dict(zip(lines, json.loads(done.stdout), strict=True))
    for line, wanted in lines.items():
        for word in wanted:
            assert word in found[line], (line, word, found)
    return found


def verbs(vm) -> list[str]:
    text = vm.out([CTL, '--help']).split('Verbs:\n')[1].split('\n\n')[0]
    return [line.split()[0] for line in text.splitlines()]


@pytest.mark.parametrize('shell', ['bash', 'zsh'])
def test_completion(vm, shell):
    nic, number = vm.address('nic'), vm.group_of('nic')
    vm.run('mkdir -p /run/files/folder && '
           'touch /run/files/one.conf /run/files/two.conf')
    found = complete(vm, shell, {
        '': verbs(vm),
        'expl': ['explain'],
        'set --': ['--rebind', '--force', '--permanent'],
        'status --no-l': ['--no-legend'],
        'plan --policy-dir=/run/files/': ['/run/files/folder'],
        'check --json=': ['pretty', 'short', 'off'],
        'list ': ['groups', 'devices'],
        'show ': [str(number), nic, vm.address('n0')],
        'explain ': [nic, vm.address('n0')],
        f'explain {nic[:7]}': [nic[7:]],
        f'apply {nic[:-1]}': [nic],
        f'set {number} ': ['identity', 'DMA-FQ', 'auto', 'blocked'],
        f'set {number} id': ['identity'],
        f'set --force {number} bl': ['blocked'],
        'check /run/files/': ['one.conf', 'two.conf', 'folder'],
        'generate /run/files/': ['one.conf', 'folder'],
        'log-level ': ['debug', 'warning'],
    })
    assert '--policy-dir' not in found['set --']
    assert 'identity' not in found['explain ']
    # Only devices, not the groups that are numbers.
    assert f'\n{number}\n' not in found['explain ']


@pytest.mark.parametrize('shell', ['bash', 'zsh'])
def test_completion_does_not_start_the_daemon(vm, shell):
    vm.run(f'systemctl stop {policyd.UNIT}')
    try:
        nic = vm.address('nic')
        complete(vm, shell, {'explain ': [nic, vm.address('n0')],
                             'show ': [str(vm.group_of('nic')), nic]})
        assert vm.run(f'systemctl is-active {policyd.UNIT}',
                      check=False).stdout == 'inactive\n'
    finally:
        vm.run(f'systemctl start {policyd.UNIT}')

# SPDX-License-Identifier: GPL-2.0-or-later
"""TAB in a real bash and a real zsh, with the daemon and without."""

from __future__ import annotations

import json
import re

import pytest

from vmtest import Topology, cache, e1000e, nvme, policyd

TOPOLOGY = Topology(ports=['rp1', 'rp2'], load=['e1000e'],
                    cold=[e1000e('nic', 'rp1'), nvme('n0', 'rp2')])
CTL = 'iommu-policyctl'


def complete(vm, shell: str, steps: list[tuple[str, list[str]]]
             ) -> dict[str, str]:
    """What the shell shows for each line; it must have all that is wanted."""
    script = (cache.GUEST_FILES / 'complete.py').read_text()
    vm.write('/run/complete.py', script)
    done = vm.run(['python3', '/run/complete.py', shell],
                  input=json.dumps(steps), timeout=1800)
    answers = json.loads(done.stdout)
    for (line, wanted), answer in zip(steps, answers, strict=True):
        for word in wanted:
            assert word in answer, (line, word, answer)
    return {line: answer for (line, _), answer in zip(steps, answers)}


def verbs(vm) -> list[str]:
    text = vm.out([CTL, '--help']).split('Verbs:\n')[1].split('\n\n')[0]
    return [line.split()[0] for line in text.splitlines()]


@pytest.mark.parametrize('shell', ['bash', 'zsh'])
def test_completion(vm, shell):
    nic, disk, number = vm.address('nic'), vm.address('n0'), vm.group_of('nic')
    vm.policy('50-disk.conf', '[disk]\nmatch-class = 0108\ndomain = DMA\n')
    vm.policy('60-nic.conf', '[nic]\nmatch-class = 0200\ndomain = keep\n')
    vm.run('mkdir -p /run/files/folder && '
           'touch /run/files/one.conf /run/files/two.conf')
    lines = {
        '': verbs(vm),
        'expl': ['explain'],
        'set --': ['--rebind', '--force', '--permanent'],
        'status --no-l': ['--no-legend'],
        'plan --policy-dir=/run/files/': ['/run/files/folder'],
        'check --json=': ['pretty', 'short', 'off'],
        'list ': ['groups', 'devices'],
        'show ': [str(number), nic, disk],
        'explain ': [nic, disk],
        f'explain {nic[:7]}': [nic[7:]],
        f'apply {nic[:-1]}': [nic],
        f'set {number} ': ['identity', 'DMA-FQ', 'auto', 'blocked'],
        f'set --force {number} bl': ['blocked'],
        # Those in force, wherever one is.
        'check ': ['50-disk.conf', '60-nic.conf'],
        'check /run/files/': ['one.conf', 'two.conf', 'folder'],
        'generate /run/files/': ['one.conf', 'folder'],
        'log-level ': ['debug', 'warning'],
    }
    # TAB must not have the bus start a daemon that does not run.
    is_active = f'!systemctl is-active {policyd.UNIT}'
    try:
        found = complete(vm, shell, [
            *((f'{CTL} {line}', wanted) for line, wanted in lines.items()),
            (f'!systemctl stop {policyd.UNIT}', []),
            (f'{CTL} restore ', [str(number), nic, disk]),
            (is_active, ['inactive'])])
    finally:
        vm.run(f'systemctl start {policyd.UNIT}')
    assert '--policy-dir' not in found[f'{CTL} set --']
    # Only devices, not the groups that are numbers; zsh says of a device
    # which group it is in.
    offered = found[f'{CTL} explain '].split('explain ', 1)[1]
    before = r'^\s*' if shell == 'zsh' else r'(?<![\w:.])'
    assert not re.search(rf'{before}{number}(?![\w:.])', offered,
                         re.MULTILINE)

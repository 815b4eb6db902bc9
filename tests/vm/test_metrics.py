# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers for Prometheus: by hand, by the timer, and what promtool says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from vmtest import Topology, apt, cache, e1000e, nvme, policyd

TOPOLOGY = Topology(
    ports=['rp1', 'rp2'], load=['e1000e'],
    cold=[e1000e('nic', 'rp1'), nvme('n0', 'rp2')],
    policy={'50-disk.conf': '[disk]\nmatch-class = 0108\ndomain = DMA-FQ\n'})

UNIT = 'iommu-policyd-metrics'
FILE = '/var/lib/prometheus/node-exporter/iommu-policyd.prom'
SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)$')
STATES = {'unmanaged', 'compliant', 'pending', 'applying', 'refused',
          'failed', 'user-owned'}


def promtool() -> Path:
    """Debian's, unpacked into the cache and not installed."""
    def build(folder: Path) -> None:
        apt.unpack('prometheus', folder)

    return cache.cached('promtool', [apt.host_codename()],
                        build) / 'usr/bin/promtool'


def check(text: str) -> None:
    done = subprocess.run([promtool(), 'check', 'metrics'], input=text,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, '')


def parse(text: str) -> dict[tuple[str, str], float]:
    found = {}
    for line in text.splitlines():
        if not line.startswith('#'):
            name, labels, value = SAMPLE.match(line).groups()
            assert (name, labels) not in found
            found[name, labels or ''] = float(value)
    return found


def metrics(vm, status: int = 0) -> str:
    done = vm.run(['iommu-policyctl', 'metrics'], check=False)
    assert (done.status, done.stderr) == (status, ''), done
    return done.stdout


def test_what_is_told(vm):
    policyd.wait_state(vm, 'n0', 'compliant', 'DMA-FQ')
    text = metrics(vm)
    check(text)
    found = parse(text)
    assert found['iommu_policy_up', ''] == 1
    info = [labels for name, labels in found if name == 'iommu_policy_info']
    assert len(info) == 1
    assert 'mode="enforce"' in info[0] and 'backend="sysfs"' in info[0]
    groups = {labels: value for (name, labels), value in found.items()
              if name == 'iommu_policy_groups'}
    assert sum(groups.values()) == len(vm.groups())
    assert groups['state="compliant",type="DMA-FQ"'] == 1
    assert {re.match('state="(.*?)"', labels)[1] for labels in groups} \
        == STATES
    assert found['iommu_policy_generation', ''] >= 1
    assert found['iommu_policy_errors', ''] == 0
    assert found['iommu_policy_drifted_groups', ''] == 0
    assert found['iommu_policy_transactions_total', 'result="applied"'] >= 1
    assert found['iommu_policy_transaction_seconds_total',
                 'result="applied"'] > 0
    samples = json.loads(vm.out(['iommu-policyctl', '--json', 'metrics']))
    assert {(sample['name'],
             ','.join(f'{name}="{value}"'
                      for name, value in sample['labels'].items())):
            sample['value'] for sample in samples} == parse(metrics(vm))
    # As nobody in particular: reads are open.
    assert vm.run(['setpriv', '--reuid=nobody', '--regid=nogroup',
                   '--clear-groups', '--', 'iommu-policyctl', 'metrics']
                  ).stdout.count('\n') == text.count('\n')


def test_drift_and_errors_are_seen(vm):
    address = vm.address('n0')
    before = parse(metrics(vm))
    vm.policy('60-broken.conf', '[x\n[y\n')
    vm.wait(lambda: parse(metrics(vm))['iommu_policy_errors', ''] == 2,
            what='errors of the policy')
    vm.policy('60-broken.conf', None)
    # That reading of the files would undo the drift.
    vm.wait(lambda: parse(metrics(vm))['iommu_policy_errors', ''] == 0,
            what='a policy without errors')
    vm.run(f'echo {address} > /sys/bus/pci/drivers/nvme/unbind && '
           f'echo DMA > /sys/bus/pci/devices/{address}/iommu_group/type && '
           f'echo {address} > /sys/bus/pci/drivers/nvme/bind')
    vm.wait(lambda: parse(metrics(vm))['iommu_policy_drifted_groups', ''] == 1,
            what='the drift')
    vm.busctl('call', policyd.SERVICE, policyd.ROOT,
              f'{policyd.SERVICE}.Manager', 'Apply', 'a{sv}', '0')
    after = parse(metrics(vm))
    assert after['iommu_policy_drifted_groups', ''] == 0
    for name, labels in (('transactions_total', 'result="applied"'),
                         ('reloads_total', 'result="failed"')):
        name = f'iommu_policy_{name}'
        assert after[name, labels] > before[name, labels]


def test_the_timer(vm):
    """Off by default; once enabled, the file is there and stays fresh."""
    assert vm.run(f'systemctl is-enabled {UNIT}.timer',
                  check=False).stdout == 'disabled\n'
    # Without the folder there is nobody to read it, which is no failure.
    vm.run(f'systemctl start {UNIT}.service')
    assert not vm.exists(FILE)
    vm.run(['mkdir', '-p', FILE.rsplit('/', 1)[0]])
    vm.run(f'systemctl enable --now {UNIT}.timer')
    try:
        vm.wait(lambda: vm.exists(FILE), what='the first file')
        assert vm.out(['stat', '-c', '%a %U', FILE]).strip() == '644 root'
        text = vm.read_bytes(FILE).decode()
        check(text)
        assert parse(text)['iommu_policy_up', ''] == 1
        vm.run(f'systemctl start {UNIT}.service')
        assert vm.out(f'ls -A {FILE.rsplit("/", 1)[0]}').split() \
            == [FILE.rsplit('/', 1)[1]]
        properties = vm.out(['systemctl', 'show', f'{UNIT}.timer', '-p',
                             'NextElapseUSecMonotonic'])
        assert properties.strip() != 'NextElapseUSecMonotonic=infinity'

        # A daemon that is not there is what the file says, and not started.
        vm.run(f'systemctl stop {policyd.UNIT}')
        vm.run(f'systemctl start {UNIT}.service')
        text = vm.read_bytes(FILE).decode()
        assert parse(text) == {('iommu_policy_up', ''): 0}
        check(text)
        assert vm.run(f'systemctl is-active {policyd.UNIT}',
                      check=False).stdout == 'inactive\n'

        # Nobody wants to know of each run, but of what goes wrong.
        vm.run('journalctl --sync')
        assert [row for row in vm.journal(f'UNIT={UNIT}.service')
                if int(row['PRIORITY']) > 5] == []
        vm.run(f'rm {FILE} && mkdir {FILE}')
        assert vm.run(f'systemctl start {UNIT}.service', check=False).status
        vm.wait(lambda: [row for row in
                         vm.journal(f'_SYSTEMD_UNIT={UNIT}.service')
                         if FILE in row['MESSAGE']], what='the error')
    finally:
        vm.run(f'systemctl disable --now {UNIT}.timer; rm -rf {FILE}; '
               f'systemctl reset-failed {UNIT}.service; '
               f'systemctl start {policyd.UNIT}')


def test_a_daemon_that_does_not_answer(vm):
    """It ends with 1, and the file and the text tell it all the same."""
    path = '/run/silent.prom'
    pid = vm.out(f'systemctl show {policyd.UNIT} -p MainPID --value').strip()
    command = ['env', 'SYSTEMD_BUS_TIMEOUT=2', 'iommu-policyctl', 'metrics']
    vm.run(['kill', '-STOP', pid])
    try:
        written = vm.run([*command, path], check=False)
        printed = vm.run(command, check=False)
    finally:
        vm.run(['kill', '-CONT', pid])
    for done in (written, printed):
        assert done.status == 1, done
        assert 'reading the state of iommu-policyd: ' in done.stderr
    assert written.stdout == ''
    text = vm.read_bytes(path).decode()
    assert text == printed.stdout
    check(text)
    assert parse(text) == {('iommu_policy_up', ''): 0}
    # It has not gone, and the next file has everything again.
    vm.run(['iommu-policyctl', 'metrics', path])
    assert parse(vm.read(path))['iommu_policy_up', ''] == 1


def test_the_unit_is_hardened(vm):
    found = json.loads(vm.out(
        ['systemd-analyze', 'security', '--json=short', '--no-pager',
         f'{UNIT}.service']))
    exposed = sum(float(row['exposure']) for row in found
                  if row['set'] is False and row['exposure'])
    assert exposed <= 2.0, [row for row in found
                            if row['set'] is False and row['exposure']]


@pytest.mark.parametrize('path', ['/nowhere/x.prom', '/dev/null', '/run'])
def test_a_file_that_cannot_be(vm, path):
    done = vm.run(['iommu-policyctl', 'metrics', path], check=False)
    assert done.status == 1
    assert path in done.stderr

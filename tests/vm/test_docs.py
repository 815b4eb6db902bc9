# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command that the documentation shows is run, in the order of the
page, and what comes out is compared with what is written there, in shape."""

import pytest

from vmtest import Topology, cache, docs, e1000e, nvme, policyd

# As on the pages: a disk for the system, one for data, a "GPU", a free slot.
TOPOLOGY = Topology(
    ports=['rp1', 'rp2', 'rp3', 'rp4'],
    cold=[nvme('disk', 'rp1'), e1000e('gpu', 'rp2'), e1000e('nic', 'rp3')],
    load=['e1000e', 'nvme'])

PAGES = ['README.md', 'docs/faq.md', 'docs/tutorial.md',
         *(str(page.relative_to(cache.TOP))
           for page in sorted((cache.TOP / 'docs').glob('*.[1-9]')))]


@pytest.mark.parametrize('shown, output, same', [
    ('group 12', 'group   7\n', True),
    ('group 12', 'group x', False),
    ('group 12 is', 'group 7', False),
    ('0000:01:00.0 5', '0000:01:00.0 6', True),
    ('0000:01:00.0 5', '0000:02:00.0 5', False),
    ('8086:10d3', '8086:10d4', False),
    ('/etc/50-a.conf:3 x', '/etc/50-a.conf:3 x', True),
    ('/etc/50-a.conf:3 x', '/etc/50-a.conf:4 x', False),
    ('Sun 2026-11-22, 5s ago', 'Mon 2027-01-02, 11s ago', True),
    ('a … d', 'a b c d', True), ('a … d', 'a d', True),
    ('a … d', 'ad', False), ('a … d', 'a b c', False),
    ('a …', 'a', True), ('… d', 'c\nd', True), ('… d', 'cd', False),
    ('e…e takes', 'e1000e takes', True), ('…', '', True), ('.', 'x', False)])
def test_shapes(shown, output, same):
    assert docs.matches([shown], output) == same


def test_what_is_read(tmp_path):
    page = tmp_path / 'a.md'
    page.write_text('''text
<!-- vm: let 3b:00.0 = device gpu -->
```
; /etc/x.conf
[a]
```
```console
# one \\
    more
shown
$ two
```
<!-- vm: skip takes a network -->
```
$ three
```
| a | `$ four` |
    # five
```ini
[b]
```
''')
    assert docs.steps(page) == [
        docs.Order(2, ['let', '3b:00.0', '=', 'device', 'gpu']),
        docs.File(4, '/etc/x.conf', '; /etc/x.conf\n[a]\n'),
        docs.Command(8, True, 'one \\\n    more', ['shown']),
        docs.Command(11, False, 'two'),
        docs.Command(15, False, 'three', [], 'takes a network'),
        docs.Command(17, False, 'four')]
    page = tmp_path / 'a.8'
    page.write_text('''.\\" vm: skip no
.Dl # one
.Dl no command
.Bd -literal -offset indent
$ printf 'a\\en' \\e
    b
.Ed
''')
    assert docs.steps(page) == [
        docs.Command(2, True, 'one', [], 'no'),
        docs.Command(5, False, "printf 'a\\n' \\\n    b")]


def test_what_is_not_run_is_little():
    """Skipped is what a guest without network and reboots cannot do."""
    skipped = [step for page in PAGES for step in docs.steps(cache.TOP / page)
               if isinstance(step, docs.Command) and step.skip]
    assert all(len(step.skip) > 10 for step in skipped)
    assert len(skipped) <= 16, [step.text for step in skipped]


def clean(vm):
    """As a machine that has just booted, but for its group numbers."""
    vm.run(f'rm -f {policyd.FOLDER}/* /etc/iommu-policyd/*.d/audit.conf; '
           f'systemctl reset-failed; systemctl start {policyd.UNIT}; '
           f'systemctl reload {policyd.UNIT}')
    for number in vm.groups():
        vm.run(['iommu-policyctl', 'restore', str(number)], check=False)
    vm.run(f'systemctl restart {policyd.UNIT}')


@pytest.mark.kernels('6.12')
@pytest.mark.parametrize('page', PAGES)
def test_page(vm, page):
    clean(vm)
    player = docs.Player(vm, cache.TOP / page)
    player.play()
    print(f'{page}: {player.commands} commands')

# SPDX-License-Identifier: GPL-2.0-or-later
"""pytest's side of the harness: which machine a test gets, and what counts.

A scenario file has TOPOLOGY at its top and its tests take `vm`. The tests of
a file share one boot. When QEMU itself dies of a signal, or the kernel before
it has run anything, that says nothing about the test: it runs once more on a
new machine, and the summary says so. With --retry-once so does a test that
fails, unless it is marked as strict.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(Path(__file__).resolve().parent))

from vmtest import (VM, EmulatorFailed, Topology, arch, cache,  # noqa: E402
                    client, iommus, kernel, otherdebian, policyd, tree)

# How often a test is run again whose machine the emulator has failed.
_RETRIES = 2
_retried: list[str] = []

# Folders with logs; not of Machines, since a retry of the last test makes that
# anew.
_used: set[Path] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup('virtual machines')
    group.addoption('--kernel', default=kernel.DEFAULT,
                    help='6.12, 6.1, several with commas, or all; 7.2 and '
                    'debug have to be named')
    group.addoption('--iommu', default='', help='another IOMMU than the '
                    f'scenario would have: {", ".join(iommus.ALL)}, several '
                    'with commas, or all')
    group.addoption('--destdir', default=None, help="a tree made by 'make "
                    "install DESTDIR='; by default it is made here")
    group.addoption('--bus', choices=['daemon', 'broker'], default=None,
                    help='every guest has dbus-daemon, or dbus-broker')
    group.addoption('--retry-once', action='store_true', help='a test that '
                    'fails runs once more, on a new machine; the summary has '
                    'its first failure')
    group.addoption('--long', action='store_true', help='races and stress '
                    'for a minute each, and not for some seconds')
    group.addoption('--brief', action='store_true', help='not everything on '
                    'every kernel: see the README')
    group.addoption('--soak', type=int, default=60, metavar='SECONDS',
                    help='how long test_soak.py goes on, each time')


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line('markers', 'kernels(*names): the kernels that '
                            'this scenario is for, as "6.12"')
    config.addinivalue_line('markers', 'iommus(*names): the IOMMUs that '
                            'this scenario is for, unless --iommu says which')
    config.addinivalue_line('markers', 'impossible(iommu, kernel, reason): '
                            'what this test cannot be tried on')
    config.addinivalue_line('markers', 'brief(*names): the kernels that '
                            'this scenario is for with --brief, if any')
    config.addinivalue_line('markers', 'fresh_vm: this test wants a machine '
                            'of its own, booted for it')
    config.addinivalue_line('markers', 'strict: what this test looks for is '
                            'rare, so one failure is one too many')
    config.unsteady = []
    wanted = config.getoption('--kernel')
    config.kernels = list(kernel.KNOWN) if wanted == 'all' \
        else wanted.split(',')
    wanted = config.getoption('--iommu')
    try:
        config.iommus = iommus.chosen(wanted) if wanted else []
    except ValueError as error:
        raise pytest.UsageError(f'--iommu: {error}') from error
    config.impossible = set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if 'iommu' in metafunc.fixturenames:
        names = metafunc.config.iommus
        for mark in metafunc.definition.iter_markers('iommus'):
            names = names or list(mark.args)
        if names:
            metafunc.parametrize('iommu', names, scope='module')
    if 'kernel_release' in metafunc.fixturenames:
        names = metafunc.config.kernels
        for mark in metafunc.definition.iter_markers('kernels'):
            names = [name for name in names
                     if {name, kernel.like(name)} & set(mark.args)]
        metafunc.parametrize('kernel_release', names, scope='module')


def _params(item: pytest.Item) -> dict[str, Any]:
    return getattr(getattr(item, 'callspec', None), 'params', {})


def _is_possible(item: pytest.Item) -> bool:
    """Whether its kernel drives its IOMMU; if not, the summary says why."""
    params = _params(item)
    release = str(params.get('kernel_release'))
    name = params.get('iommu', iommus.DEFAULT)
    reason = iommus.ALL[name].why_not(release)
    what = f'{name} on {release}'
    for mark in item.iter_markers('impossible'):
        kind, on, why = mark.args
        if (iommus.ALL[name].iommu, release) == (kind, on):
            reason, what = why, f'{item.originalname} with {what}'
    if reason:
        item.config.impossible.add(f'{what}: {reason}')
    return not reason


def _is_brief(item: pytest.Item) -> bool:
    """Whether --brief has it.

    What is done alike with the module and without is done with it on the
    kernel that needs it most, and without it on the other.
    """
    params = _params(item)
    release = params.get('kernel_release')
    mark = item.get_closest_marker('brief')
    if mark and release not in mark.args:
        return False
    if not item.config.iommus \
            and params.get('iommu', iommus.BRIEF[0]) not in iommus.BRIEF:
        return False
    usual = 'module' if release == '6.1' else 'sysfs'
    return params.get('backend', usual) == usual


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config,
                                  items: list[pytest.Item]) -> None:
    left_out = [item for item in items if not _is_possible(item)
                or config.getoption('--brief') and not _is_brief(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    _sort(items)


def _sort(items: list[pytest.Item]) -> None:
    """Keeps a file's tests of one kernel together: each change is a boot.

    pytest would go to and fro where a test has parameters of its own.
    """
    files: dict[Path, int] = {}
    kernels: dict[str, int] = {}

    def place(item: pytest.Item) -> tuple[int, int]:
        params = _params(item)
        one = f'{params.get("kernel_release")} {params.get("iommu")}'
        return (files.setdefault(item.path, len(files)),
                kernels.setdefault(one, len(kernels)))

    items.sort(key=place)


class Machines:
    """The machines that are up; at most one for a file and kernel."""

    def __init__(self, config: pytest.Config) -> None:
        destdir = config.getoption('--destdir')
        self.destdir = Path(destdir).resolve() if destdir else None
        self.trees: dict[tuple[str, ...], Path | None] = {}
        self.logs = cache.own() / 'logs'
        self.bus = config.getoption('--bus')
        self.running: dict[tuple[str, str], VM] = {}

    def tree(self, topology: Topology, release: str) -> Path | None:
        """The daemon as a machine has it, built once a run."""
        options = topology.configure
        if self.destdir and not options:
            return self.destdir
        suite, kind = otherdebian.of(release), arch.of(topology.iommu)
        key = (suite, kind.name, *options)
        if key not in self.trees:
            self.trees[key] = tree.build(*options, suite=suite, arch=kind)
        return self.trees[key]

    def boot(self, topology: Topology, release: str, name: str) -> VM:
        folder = self.logs / release / name
        if self.bus:
            topology = dataclasses.replace(topology, bus=self.bus)
        again = 1
        while folder in _used:
            again += 1
            folder = self.logs / release / f'{name}.{again}'
        _used.add(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return VM(topology, release, self.tree(topology, release), folder)

    def shared(self, topology: Topology, release: str, name: str) -> VM:
        vm = self.running.get((name, release))
        if vm and not vm.machine.alive():
            self.drop(vm)
            vm = None
        if not vm:
            vm = self.boot(topology, release, name)
            self.running[name, release] = vm
        return vm

    def drop(self, vm: VM, look: bool = True) -> list[str]:
        """Ends a machine; returns what was wrong with it."""
        for key in [key for key, value in self.running.items()
                    if value is vm]:
            del self.running[key]
        return vm.close(look)


@pytest.fixture(scope='session')
def machines(pytestconfig: pytest.Config,
             record_testsuite_property: Any) -> Iterator[Machines]:
    for reason in sorted(pytestconfig.impossible):
        record_testsuite_property('impossible', reason)
    found = pytestconfig.machines = Machines(pytestconfig)
    yield found
    for vm in list(found.running.values()):
        found.drop(vm)


def _complain(vm: VM, wrong: list[str]) -> None:
    if wrong:
        pytest.fail(f'the guest is not well (logs: {vm.logs}):\n' +
                    '\n'.join(wrong), pytrace=False)


@pytest.fixture(scope='module')
def iommu() -> str:
    """Which one the machine has; nothing: what its topology says."""
    return ''


def _name(module: Any, iommu: str) -> str:
    """What a file's machines, and their logs, are known by."""
    return f'{module.__name__}.{iommu}' if iommu else module.__name__


@pytest.fixture(scope='module')
def _file_end(request: pytest.FixtureRequest, machines: Machines,
              kernel_release: str, iommu: str) -> Iterator[None]:
    """Puts a file's machine away when its last test is through."""
    yield
    vm = machines.running.get((_name(request.module, iommu), kernel_release))
    if vm:
        _complain(vm, machines.drop(vm))


@pytest.fixture
def vm(request: pytest.FixtureRequest, machines: Machines,
       kernel_release: str, iommu: str, _file_end: None) -> Iterator[VM]:
    """The machine of this file's TOPOLOGY."""
    topology = iommus.on(getattr(request.module, 'TOPOLOGY', Topology()),
                         iommu)
    name = _name(request.module, iommu)
    fresh = request.node.get_closest_marker('fresh_vm') is not None
    if fresh:
        machine = machines.boot(topology, kernel_release,
                                f'{name}.{request.node.originalname}')
    else:
        machine = machines.shared(topology, kernel_release, name)
    yield machine
    try:
        machine.machine.check()
    except EmulatorFailed:
        machines.drop(machine, look=False)
        raise
    wrong = machine.new_complaints()
    if fresh:
        wrong += [line for line in machines.drop(machine)
                  if line not in wrong]
    elif not machine.machine.alive():
        wrong.append('the guest has ended:\n' +
                     machine.machine.console_tail())
    _complain(machine, wrong)


@pytest.fixture
def boot(request: pytest.FixtureRequest, machines: Machines,
         kernel_release: str, iommu: str) -> Iterator[Any]:
    """boot(topology) gives one more machine, for this test alone."""
    made: list[VM] = []

    def make(topology: Topology) -> VM:
        made.append(machines.boot(
            iommus.on(topology, iommu), kernel_release,
            f'{_name(request.module, iommu)}.{request.node.originalname}'))
        return made[-1]

    yield make
    wrong: list[str] = []
    for machine in made:
        wrong += machine.new_complaints()
        wrong += [line for line in machines.drop(machine)
                  if line not in wrong]
    if made:
        _complain(made[-1], wrong)


@pytest.fixture
def clients(vm: VM) -> Iterator[Any]:
    """clients() starts one more client of the kernel module."""
    made: list[client.Client] = []

    def make(**options: Any) -> client.Client:
        made.append(client.Client(vm, **options))
        return made[-1]

    yield make
    for one in made:
        if vm.machine.alive():
            one.stop()


@pytest.fixture
def nothing_left(vm: VM) -> Iterator[None]:
    """Whatever clients did ends with them, and leaves no trace."""
    yield

    def look() -> bool:
        found = client.traces(vm)
        assert not found, found
        return True
    vm.wait(look, what='nothing to be left')


@pytest.fixture(params=['sysfs', 'module'])
def backend(vm: VM, request: pytest.FixtureRequest) -> str:
    """With the kernel module, and without."""
    policyd.backend(vm, request.param)
    return str(request.param)


@pytest.fixture
def seconds(pytestconfig: pytest.Config) -> int:
    """How long a race or a stress goes on."""
    if pytestconfig.getoption('--long'):
        return 60
    return 10 if pytestconfig.getoption('--brief') else 20


def _crash(reports: list[pytest.TestReport]) -> str:
    """How the emulator failed, if one of these is its failure."""
    for report in reports:
        found = report.failed and re.search(r'\bEmulatorFailed: (.*)',
                                            str(report.longrepr))
        if found:
            return found[1]
    return ''


def _may_run_again(item: pytest.Item,
                   failed: list[pytest.TestReport]) -> bool:
    """What the guest's kernel complains of is told at the end of a test, and
    is never a matter of how fast the machine is."""
    if not failed or not item.config.getoption('--retry-once') \
            or item.get_closest_marker('strict') \
            or any(report.when == 'teardown' for report in failed):
        return False
    # Whatever the failure left there is not for the next try.
    machines = item.config.machines
    params = _params(item)
    vm = machines.running.get((_name(item.module, params.get('iommu', '')),
                               params['kernel_release']))
    return not (vm and machines.drop(vm))


def pytest_runtest_protocol(item: pytest.Item, nextitem: Any) -> bool | None:
    if 'kernel_release' not in getattr(item, 'fixturenames', ()):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for _ in range(_RETRIES):
        crash = _crash(reports)
        if not crash:
            break
        _retried.append(f'{item.nodeid}: {crash}')
        # As if it had never run: new fixtures, and with them a new machine.
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    if _may_run_again(item, failed):
        first = (item.nodeid, failed[0].longreprtext)
        item.config.unsteady.append(first)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if any(report.failed for report in reports):
            # It fails whenever it is run: no more is to be said of the first.
            item.config.unsteady.remove(first)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any,
                            config: pytest.Config) -> None:
    for reason in sorted(config.impossible):
        terminalreporter.write_line(f'IMPOSSIBLE: {reason}', yellow=True)
    for name in _retried:
        terminalreporter.write_line(
            f'RETRIED on a new machine: {name}', yellow=True)
    for name, text in config.unsteady:
        terminalreporter.write_sep('_', f'first try of {name}')
        terminalreporter.write_line(text)
    for name, _ in config.unsteady:
        terminalreporter.write_line(
            f'UNSTEADY, failed once and passed then: {name}', yellow=True)

# SPDX-License-Identifier: MIT
"""pytest plugin: --match REGEX selects cases as the C++ tests do, and exit status 77 says that all were skipped."""

import re

import pytest


def pytest_addoption(parser):
    parser.addoption("--match", metavar="REGEX", default=None, help="run the cases whose file::name it finds")


def pytest_configure(config):
    global _config
    _config = config
    config.suite_ran = config.suite_skipped = 0


def pytest_collection_modifyitems(config, items):
    pattern = config.getoption("--match")
    if not pattern:
        return
    keep = [item for item in items if re.search(pattern, item.nodeid)]
    config.hook.pytest_deselected(items=[item for item in items if item not in keep])
    items[:] = keep


def pytest_collectreport(report):
    # A whole file that skips itself, for want of a package.
    _config.suite_skipped += report.skipped


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        item.config.suite_skipped += 1
    elif report.when == "call":
        item.config.suite_ran += 1


def pytest_sessionfinish(session, exitstatus):
    if exitstatus in (0, 5) and session.config.suite_skipped and not session.config.suite_ran:
        session.exitstatus = 77

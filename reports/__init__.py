# SPDX-License-Identifier: MIT
"""From result files to tables, plots, claims and verdicts. Knows result files alone."""

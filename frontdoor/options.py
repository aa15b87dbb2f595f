# SPDX-License-Identifier: MIT
"""Argument types that several commands share."""

import argparse
import re


def regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None
    return text

#!/usr/bin/env python3
"""x402-pay.js, to be served by a site: component.py OUT FILE..."""
import sys

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("// <x402-pay>: see docs/provider.md\n(() => {\n'use strict';\n")
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as source:
            out.write(source.read())
    out.write("})();\n")

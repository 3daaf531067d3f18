#!/usr/bin/env python3
"""Make a C string of an SQL file: embed.py NAME IN OUT."""
import sys

name, source, target = sys.argv[1:]
with open(source, encoding="ascii") as f:
    lines = f.read().splitlines()
with open(target, "w", encoding="ascii") as f:
    f.write(f"/* Made from {source.split('/')[-1]}. */\n")
    f.write(f"static const char {name}[] =\n")
    for line in lines:
        if line.strip() and not line.strip().startswith("--"):
            escaped = line.replace("\\", "\\\\").replace('"', '\\"')
            f.write(f'\t"{escaped}\\n"\n')
    f.write("\t\"\";\n")

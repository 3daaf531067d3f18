#!/usr/bin/env python3
"""The files of the page as C strings: embed.py OUT NAME=FILE,FILE... ...

Scripts lose their comment lines and indentation, style sheets theirs; nothing
else is changed, so that what is served is what one reads here. Names that end
in _js are wrapped into one strict function.
"""
import sys


def lean(path):
    lines = []
    with open(path, encoding="utf-8") as source:
        for line in source:
            text = line.strip()
            if text and not (path.endswith(".js") and text.startswith("//")):
                lines.append(text)
    return "\n".join(lines) + "\n"


def c_string(text):
    out = []
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        escaped = escaped.replace("\n", "\\n").replace("??", "?\\?")
        out.append('\t"' + escaped + '"')
    return "\n".join(out)


with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("/* Made by paywall/embed.py. */\n")
    for entry in sys.argv[2:]:
        name, files = entry.split("=")
        text = "".join(lean(path) for path in files.split(","))
        if name.endswith("_js"):
            text = "(() => {\n'use strict';\n" + text + "})();\n"
        out.write(f"static const char {name}[] =\n{c_string(text)};\n")

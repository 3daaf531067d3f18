#!/usr/bin/env python3
"""House rules that a machine can check. Usage: lint.py RULE [ROOT]

Each rule prints `file:line: what is wrong` for every finding and exits 1 when
there was one. CONTRIBUTING.md says what the rules are for; the rooms and
their walls are drawn in docs/architecture.md.
"""
import os
import re
import subprocess
import sys

RULE = sys.argv[1] if len(sys.argv) > 1 else ""
ROOT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.getcwd()
findings = []


def tracked(*patterns):
    """Files git knows, and new ones it does not ignore."""
    out = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "--"] +
        list(patterns), capture_output=True, text=True, check=True).stdout
    return [f for f in out.splitlines() if os.path.exists(os.path.join(ROOT, f))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def say(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def without_comments(text):
    """Blank comments and strings, so that line numbers stay."""
    def blank(match):
        s = match.group(0)
        keep = s[0] if s[0] in "\"'" else " "
        return keep + re.sub(r"[^\n]", " ", s[1:-1]) + (keep if len(s) > 1 else "")
    return re.sub(
        r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
        blank, text, flags=re.S)


def c_files(*prefixes):
    return [f for f in tracked("*.c", "*.h")
            if not prefixes or f.startswith(prefixes)]


# ---------------------------------------------------------------- walls

# header -> where it may be included. Tests may include what they test with.
HEADER_ROOMS = {
    r"uv\.h": ("facilitator/src/net/", "facilitator/src/chain/",
               "facilitator/src/run/", "facilitator/src/store/worker",
               "facilitator/src/main.c", "provider-sdk/src/uv",
               "provider-sdk/include/x402/provider_uv.h",
               "provider-sdk/gateway/", "client-sdk/mcp/http.c",
               "examples/", "tests/"),
    r"llhttp\.h": ("facilitator/src/net/", "provider-sdk/gateway/"),
    r"sqlite3\.h": ("facilitator/src/store/sqlite", "client-sdk/src/journal",
                    "provider-sdk/src/journal",
                    "tests/"),
    r"libpq-fe\.h": ("facilitator/src/store/postgres", "tests/"),
    r"jansson\.h": ("tests/fuzz/",),
    r"curl/curl\.h": ("facilitator/src/chain/", "client-sdk/",
                      "provider-sdk/src/", "provider-sdk/gateway/",
                      "examples/", "tests/"),
    r"microhttpd\.h": ("provider-sdk/src/microhttpd",
                       "provider-sdk/include/x402/provider_microhttpd.h",
                       "examples/", "tests/"),
    r"secp256k1[a-z_]*\.h": ("libx402/src/evm/", "tests/"),
    r"confuse\.h": ("facilitator/src/config", "provider-sdk/gateway/"),
}
# libx402 is pure: no I/O, clock, randomness, threads or environment.
IMPURE_HEADERS = re.compile(
    r'#\s*include\s*[<"](?:stdio\.h|time\.h|sys/(?!types)[a-z_]+\.h|unistd\.h|'
    r'pthread\.h|threads\.h|signal\.h|fcntl\.h|uv\.h|sqlite3\.h|curl/.*|'
    r'libpq-fe\.h|arpa/.*|netinet/.*|netdb\.h|syslog\.h)[>"]')
IMPURE_CALLS = re.compile(
    r"\b(?:printf|fprintf|puts|fopen|getenv|time|clock_gettime|rand|random|"
    r"srand|getrandom|randombytes_buf|malloc_trim|abort|exit|syslog)\s*\(")
ROOMS = ("facilitator", "client-sdk", "provider-sdk")


def include_lines(path):
    for number, line in enumerate(read(path).splitlines(), 1):
        if re.match(r"\s*#\s*include\b", line):
            yield number, line


def rule_walls():
    for path in c_files():
        for number, line in include_lines(path):
            for header, allowed in HEADER_ROOMS.items():
                if re.search(r'[<"]' + header + r'[>"]', line) and \
                        not path.startswith(allowed):
                    say(path, number, f"{line.strip()}: not in this room; "
                        f"expected one of {', '.join(allowed)}")
            if path.startswith("libx402/") and IMPURE_HEADERS.search(line):
                # vsnprintf into a buffer is not I/O; base/ alone needs it.
                if "stdio.h" in line and "/* formatting only */" in line:
                    continue
                say(path, number, f"{line.strip()}: libx402 is pure")
            if path.startswith("facilitator/src/net/"):
                quoted = re.search(r'"([^"]+)"', line)
                if quoted and not quoted.group(1).startswith("net/") and \
                        quoted.group(1) not in ("uv.h", "llhttp.h"):
                    say(path, number, f"{line.strip()}: net/ is a room of its "
                        "own: libuv, llhttp and the C library only")
            if path.startswith("facilitator/src/core/") and \
                    re.search(r'"(?:net|api)/|uv\.h|sqlite3', line):
                say(path, number, f"{line.strip()}: core/ knows no loop, no "
                    "socket and no SQL")
        check_neighbours(path)
        if path.startswith("libx402/src/"):
            text = without_comments(read(path))
            for number, line in enumerate(text.splitlines(), 1):
                if IMPURE_CALLS.search(line):
                    say(path, number, f"{line.strip()}: libx402 is pure")


def check_neighbours(path):
    room = next((r for r in ROOMS if path.startswith(r + "/")), None)
    if not room:
        return
    for number, line in include_lines(path):
        for other in ROOMS:
            if other == room:
                continue
            name = {"facilitator": r'"(?:api|core|store|run)/|facilitator/',
                    "client-sdk": r"x402/client|client-sdk/",
                    "provider-sdk": r"x402/provider|provider-sdk/"}[other]
            if re.search(name, line):
                say(path, number, f"{line.strip()}: {room} may not know "
                    f"{other}")
        if room == "provider-sdk" and re.search(r'"net/', line) and \
                not path.startswith(("provider-sdk/src/uv",
                                     "provider-sdk/gateway/")):
            say(path, number, f"{line.strip()}: only the libuv adapter and "
                "the gateway use net/")


# ---------------------------------------------------------------- style

BANNED_CALLS = re.compile(
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|"
    r"popen|tmpnam|mktemp|alloca)\s*\(")
MAX_FILE_LINES = 1000
MAX_FUNCTION_LINES = 100


def rule_style():
    for path in c_files():
        text = read(path)
        lines = text.splitlines()
        code = without_comments(text)
        if not text.lstrip().startswith("/*"):
            say(path, 1, "opens without a tour comment")
        if re.match(r"(libx402|client-sdk|provider-sdk)/include/", path) and \
                "hread rule" not in text:
            say(path, 1, "public header without its thread rule")
        if len(lines) > MAX_FILE_LINES:
            say(path, len(lines), f"file of {len(lines)} lines, at most "
                f"{MAX_FILE_LINES}")
        for number, line in enumerate(code.splitlines(), 1):
            banned = BANNED_CALLS.search(line)
            if banned:
                say(path, number, f"{banned.group(1)}() is banned")
            if re.search(r"\btypedef\s+(struct|enum|union)\b", line):
                say(path, number, "typedef of a struct, enum or union")
            if re.search(r"\b(float|double)\b", line) and \
                    "Raw:" not in lines[number - 1] and \
                    not path.startswith("tests/"):
                say(path, number, "floating point; say /* Raw: why */ if it "
                    "is not money")
            if re.search(r"(->|\.)atomic\b", line) and \
                    "Raw:" not in lines[number - 1] and \
                    not path.startswith(("libx402/src/money/amount.c",
                                         "tests/")):
                say(path, number, "field of x402_amount outside amount.c")
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                say(path, number, "unfinished: " + line.strip()[:60])
        check_functions(path, code)


def check_functions(path, code):
    depth, start, head = 0, 0, ""
    for number, line in enumerate(code.splitlines(), 1):
        opened, closed = line.count("{"), line.count("}")
        if depth == 0 and opened and "=" not in line and \
                re.match(r"^\{|.*\)\s*\{", line):
            start = number
        depth += opened - closed
        if depth <= 0 and start:
            if number - start > MAX_FUNCTION_LINES:
                say(path, start, f"function of {number - start} lines, at "
                    f"most {MAX_FUNCTION_LINES}")
            start, depth = 0, 0


def rule_format():
    # One process for all: starting it costs more than a file's formatting.
    result = subprocess.run(
        [os.environ.get("CLANG_FORMAT", "clang-format-14"), "--style=file",
         "--dry-run", *c_files()],
        capture_output=True, text=True, cwd=ROOT, check=True)
    for path, line in re.findall(
            r"^(\S+?):(\d+):\d+: warning: .*\[-Wclang-format-violations\]$",
            result.stderr, re.M):
        say(path, int(line), "not as clang-format-14 would have it")


# ----------------------------------------------------------- registration

def rule_registration():
    listed = set(re.findall(r"'(\w+)'", read("tests/unit/meson.build")))
    for path in tracked("tests/unit/test_*.c"):
        name = os.path.basename(path)[len("test_"):-len(".c")]
        if name not in listed and "test_" + name not in listed:
            say(path, 1, "not registered in tests/unit/meson.build")
    for path in tracked("tests/fuzz/fuzz_*.c"):
        name = os.path.basename(path)[len("fuzz_"):-len(".c")]
        if not tracked(f"tests/fuzz/corpus/{name}/*"):
            say(path, 1, f"no corpus in tests/fuzz/corpus/{name}/")
        if f"'{name}'" not in read("tests/fuzz/meson.build"):
            say(path, 1, "not registered in tests/fuzz/meson.build")
    runner = read("tests/run.sh")
    for path in tracked("tests/*.test.mjs", "tests/**/*.test.mjs"):
        folder = os.path.dirname(path)
        if folder not in runner:
            say(path, 1, f"tests/run.sh does not run {folder}/*.test.mjs")
    for path in tracked("*.lock", "*package-lock.json"):
        if '"resolved"' in read(path):
            say(path, 1, "lock file with download addresses")


# ------------------------------------------------------------------ shown

def rule_shown():
    """A diff that a page shows is of the tree as it stands: a whole file is
    that file, any other added line is in its file."""
    for page in tracked("docs/*.md"):
        whole, target, shown = False, None, []
        for number, line in enumerate(read(page).split("\n") + ["```"], 1):
            if line.startswith("--- ") or line == "```":
                if whole and target and "\n".join(shown) + "\n" != read(target):
                    say(page, number, f"shows another {target}")
                whole, target, shown = line == "--- /dev/null", None, []
            elif line.startswith("+++ b/"):
                target = line[len("+++ b/"):]
            elif target and line.startswith("+"):
                shown.append(line[1:])
                if line[1:] not in read(target).split("\n"):
                    say(page, number, f"not in {target}: {line[1:]}")


RULES = {"walls": rule_walls, "shown": rule_shown, "style": rule_style, "format": rule_format,
         "registration": rule_registration}
if RULE not in RULES:
    sys.exit(f"lint.py: expected one of {', '.join(RULES)}, got '{RULE}'")
RULES[RULE]()
for finding in findings:
    print(finding)
print(f"lint {RULE}: {len(findings)} findings")
sys.exit(1 if findings else 0)

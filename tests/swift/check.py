"""Checks the Swift bindings as far as that goes without a Swift compiler. They are not compiled here.

Usage: check.py [LIBRARY]. It parses gendan.swift, compiles the C header, and compares three sets of
symbols: used in Swift, declared in the header, exported by the library (where one is given). Needs
tree-sitter and tree-sitter-swift (requirements.txt beside this file) and gcc. The last line begins "ok".
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

BINDINGS = Path(__file__).resolve().parents[2] / "client-ffi/bindings/swift"
# What the grammar does not know although the compiler does: closures that are only an empty tuple.
KNOWN = {"let writeReturn = { () }"}


def fail(why):
    print(f"failed: {why}", file=sys.stderr)
    sys.exit(1)


def parse(source):
    """Lines of Swift that do not parse, the known ones aside."""
    try:
        import tree_sitter
        import tree_sitter_swift
    except ImportError as error:
        fail(f"missing: {error.name} (pip install -r tests/swift/requirements.txt)")
    text = source.replace("@_documentation(visibility: private)", " " * 36)
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    lines, bad = text.splitlines(), []
    nodes = [parser.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            line = lines[node.start_point[0]].strip()
            if line not in KNOWN:
                bad.append((node.start_point[0] + 1, line))
        if node.has_error:
            nodes += node.children
    return bad


def compile_header(header):
    """Compiles the C header by itself."""
    if not shutil.which("gcc"):
        fail("missing: gcc")
    command = ["gcc", "-std=c11", "-D_Nonnull=", "-D_Nullable=", "-fsyntax-only", "-x", "c"]
    run = subprocess.run([*command, str(header)], capture_output=True, text=True, check=False)
    if run.returncode:
        fail(f"the header does not compile: {run.stderr}")


def main():
    swift = (BINDINGS / "gendan.swift").read_text()
    header = BINDINGS / "gendanFFI.h"
    if bad := parse(swift):
        fail("gendan.swift does not parse: " + "; ".join(f"line {n}: {t}" for n, t in bad[:5]))
    compile_header(header)
    name = r"\b((?:uniffi|ffi)_client_ffi_[a-z0-9_]+|ffi_gendan_[a-z0-9_]+|uniffi_gendan_[a-z0-9_]+)\s*\("
    declared = set(re.findall(name, header.read_text()))
    used = set(re.findall(name, swift))
    if not used or used - declared:
        fail(f"used and not declared: {sorted(used - declared)[:5] or 'nothing is used at all'}")
    exported = "not compared"
    if len(sys.argv) > 1:
        symbols = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], capture_output=True, text=True, check=True)
        there = {line.split()[-1] for line in symbols.stdout.splitlines() if line}
        if declared - there:
            fail(f"declared and not exported: {sorted(declared - there)[:5]}")
        exported = len(there & declared)
    print(f"ok: parsed {len(swift.splitlines())} lines; symbols used {len(used)}, declared {len(declared)}, exported {exported}")


if __name__ == "__main__":
    main()

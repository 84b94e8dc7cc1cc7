"""What schemathesis is told of this API: how TOML goes out, and the number of an order that exists.

Loaded by `cargo xtask api` through SCHEMATHESIS_HOOKS.
"""

import os

import schemathesis

AN_ORDER = os.environ.get("GENDAN_AN_ORDER", "")


@schemathesis.serializer("application/toml")
def toml(ctx, value):
    """A policy is text; what is not text is sent as its words, which is bad TOML on purpose."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def exists(text):
    """Every other drawn name of a document becomes one that is there; the draw decides, not chance."""
    return AN_ORDER if isinstance(text, str) and len(text) % 2 == 0 else text


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    if path_parameters and "doc" in path_parameters and "hash" not in path_parameters:
        return {**path_parameters, "doc": exists(path_parameters["doc"])}
    return path_parameters


@schemathesis.hook
def map_body(ctx, body):
    if isinstance(body, dict) and "doc" in body:
        return {**body, "doc": exists(body["doc"])}
    return body

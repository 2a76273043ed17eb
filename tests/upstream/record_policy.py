"""Write down the policy rules of a released service: names, defaults and the kinds of token that each is for.

Usage, with the interpreter that has the service: PYTHON tests/upstream/record_policy.py keystone > tests/upstream/identity-policy.json
"""

from __future__ import annotations

import importlib.metadata
import json
import sys


def main(namespace: str) -> None:
    (found,) = importlib.metadata.entry_points(group="oslo.policy.policies", name=namespace)
    rules = {rule.name: {"check": rule.check_str, "scopes": rule.scope_types} for rule in found.load()()}
    recorded = {"of": f"{namespace} {importlib.metadata.version(namespace)}", "rules": rules}
    json.dump(recorded, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1])

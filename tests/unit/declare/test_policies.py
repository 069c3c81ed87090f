"""Policies by name and pattern, from code and from files in which everything is checked."""

from __future__ import annotations

import pytest

from durable import Approval, Breaker, Rate, Retry, Runtime, ToolPolicy, tool
from durable.declare.policy_source import policies_of
from durable.errors import InvalidConfiguration

READ, ONCE, GATED = ToolPolicy(effect="read"), ToolPolicy(), ToolPolicy(approval=True)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("refund", READ),
        ("refund_all", GATED),
        ("refund_card", GATED),
        ("pay", None),
        ("Refund_all", None),
        ("list[1]", ONCE),
    ],
)
def test_an_exact_name_counts_before_the_first_pattern_that_fits(name, found):
    policies = policies_of({"refund*": GATED, "refund_card*": ONCE, "refund": READ, "list[[]?]": ONCE})
    assert policies.of_tool(name) is found


def test_a_pattern_is_for_tools_and_not_for_nodes_or_models():
    assert policies_of({"*": GATED}).get("chat:gpt-x", READ) is READ


TOML = """
[tools."refund*"]
effect = "idempotent"
timeout = 30.0
key_ttl = 3600.0
secrets = ["BILLING_API_KEY"]

[tools."refund*".approval]
when = "arguments.amount > 100"
approvers = ["role:finance", "alice"]
quorum = 2
expires_in = 60.0
on_expiry = "escalate"
escalate_to = ["role:board"]

[tools.look]
effect = "read"
retry = { attempts = 5, initial = 0.1 }

[tools.pay]
approval = true

[tools."app:billing/agent:clerk*/tag:money"]
allowed_when = "calls(tool) < 3"
rate = { calls = 60, per = 60.0, name = "api.example.com" }
breaker = { failures = 3, reset = 10.0 }
"""
YAML = """
tools:
  refund*:
    effect: idempotent
    timeout: 30.0
    key_ttl: 3600.0
    secrets: [BILLING_API_KEY]
    approval:
      when: arguments.amount > 100
      approvers: [role:finance, alice]
      quorum: 2
      expires_in: 60.0
      on_expiry: escalate
      escalate_to: [role:board]
  look: {effect: read, retry: {attempts: 5, initial: 0.1}}
  pay: {approval: true}
  app:billing/agent:clerk*/tag:money:
    allowed_when: calls(tool) < 3
    rate: {calls: 60, per: 60.0, name: api.example.com}
    breaker: {failures: 3, reset: 10.0}
"""


@pytest.mark.parametrize(("suffix", "text"), [("toml", TOML), ("yaml", YAML), ("yml", YAML)])
def test_a_file_says_what_code_would(tmp_path, suffix, text):
    path = tmp_path / f"policies.{suffix}"
    path.write_text(text)
    assert policies_of(path) == {
        "refund*": ToolPolicy(
            effect="idempotent",
            timeout=30.0,
            key_ttl=3600.0,
            secrets=("BILLING_API_KEY",),
            approval=Approval(
                when="arguments.amount > 100",
                approvers=("role:finance", "alice"),
                quorum=2,
                expires_in=60.0,
                on_expiry="escalate",
                escalate_to=("role:board",),
            ),
        ),
        "look": ToolPolicy(effect="read", retry=Retry(attempts=5, initial=0.1)),
        "pay": ToolPolicy(approval=True),
        "app:billing/agent:clerk*/tag:money": ToolPolicy(
            allowed_when="calls(tool) < 3",
            rate=Rate(60, per=60.0, name="api.example.com"),
            breaker=Breaker(failures=3, reset=10.0),
        ),
    }


def test_a_file_governs_the_tools_of_a_runtime(tmp_path, sqlite_url):
    path = tmp_path / "policies.toml"
    path.write_text('[tools."pay*"]\napproval = true\n')
    with Runtime(sqlite_url, policies=str(path)) as runtime:

        @runtime.function("app")
        def app():
            return tool(lambda: "free")(), pay_out()

        @tool
        def pay_out():
            return "paid"

        (question,) = runtime.run("app", id="a").interrupts
    assert question.tool == "pay_out"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tools.pay]\nefect = 'once'\n", "tools.pay.efect"),
        ("[tool.pay]\n", "tool: Extra inputs"),
        ("[tools.pay]\neffect = 'twice'\n", "tools.pay.effect"),
        ("[tools.pay]\ntimeout = '5'\n", "tools.pay.timeout"),
        ("[tools.pay]\ntimeout = -1.0\n", "timeout=-1.0"),
        ("[tools.pay]\nreconcile = 'os:system'\n", "tools.pay.reconcile"),
        ("[tools.pay.approval]\nwhen = 'arguments.amount >'\n", "no CEL expression"),
        ("[tools.pay.approval]\nquorum = 0\n", "quorum"),
        ("[tools.pay", "no TOML"),
        ("[tools.pay]\nallowed_when = 'arguments.amount >'\n", "no CEL expression"),
        ("[tools.pay]\nallowed_when = true\n", "tools.pay.allowed_when"),
        ("[tools.pay]\nrate = { calls = 0 }\n", "calls=0"),
        ("[tools.pay]\nrate = { cals = 1, calls = 1 }\n", "tools.pay.rate.cals"),
        ("[tools.pay]\nbreaker = { on = ['OSError'] }\n", "tools.pay.breaker.on"),
        ("[tools.pay]\nretry = { on_expired_token = 'os:system' }\n", "tools.pay.retry.on_expired_token"),
        ("[tools.pay]\ntags = ['money']\n", "tools.pay.tags"),
        ("[tools.'app:billing']\n", "use 'app:<name or pattern>/<tool>'"),
        ("[budget]\nstep = 3\n", "budget.step"),
        ("[budget]\nsteps = 0\n", "steps=0"),
        ("[budget]\nmoney = 1.0\n", "needs prices"),
        ("[budget.prices.x]\ninput = 1.0\n", "budget.prices.x.output"),
        ("[budget.approval]\nwhen = 'true'\n", "has no when="),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path, text, said):
    path = tmp_path / "policies.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match="policies.toml") as refused:
        policies_of(path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("policies.json", b"{}", ".json"),
        ("policies.toml", None, "cannot be read"),
        ("policies.toml", b"\xff\xfe", "cannot be read"),
        ("policies.yaml", b"tools: [", "no YAML"),
        ("policies.yaml", b"!!python/object/apply:os.system ['true']", "no YAML"),
        ("policies.yaml", b"", "policies.yaml"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidConfiguration, match="policies") as refused:
        policies_of(path)
    assert said in str(refused.value)

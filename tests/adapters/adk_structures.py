"""Apps of every structure that ADK has, made of tools and nodes with one effect each."""

from __future__ import annotations

import warnings

from google.adk import Workflow
from google.adk.agents import LlmAgent, LoopAgent, ParallelAgent, SequentialAgent
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.exit_loop_tool import exit_loop
from google.adk.workflow import JoinNode, node

from tests.adapters.adk_world import Script, call, text


class Parts:
    """What apps are made of. ``effect(name)`` and ``before(name)``, awaited first, are what a subclass brings."""

    def __init__(self):
        self.models = []

    def effect(self, name):
        raise NotImplementedError

    async def before(self, name):
        """Nothing."""

    def tool(self, name):
        async def fn(tool_context) -> dict:
            await self.before(name)
            found = self.effect(name)
            tool_context.state[f"n_{name}"] = tool_context.state.get(f"n_{name}", 0) + 1
            return found

        fn.__name__, fn.__doc__ = name, f"Does {name}."
        return fn

    def node(self, name, returns="something"):
        async def fn(node_input):
            await self.before(name)
            self.effect(name)
            return None if returns is None else {"from": name}

        fn.__name__ = name
        return fn

    def model(self, turns):
        made = Script(turns=turns)
        self.models.append(made)
        return made

    def agent(self, name, *tools, turns=None, **options):
        """An agent that calls its tools one after the other, or does as ``turns`` say."""
        plan = [[call(tool if isinstance(tool, str) else tool.name, **_args(tool))] for tool in tools]
        model = self.model([*plan, [text(f"{name} done")]] if turns is None else turns)
        made = [self.tool(tool) if isinstance(tool, str) else tool for tool in tools]
        return LlmAgent(name=name, model=model, tools=made, **options)

    @property
    def asked(self):
        """How often a model was asked."""
        return sum(model.asked for model in self.models)


def _args(tool):
    return {"request": "go"} if isinstance(tool, AgentTool) else {}


def parallel_tools(parts):
    return parts.agent("root", "t1", "t2", "t3", turns=[[call("t1"), call("t2"), call("t3")], [text("done")]])


def sequential_tools(parts):
    return parts.agent("root", "t1", "t2", "t3")


def _quietly(made, **options):
    """ADK says of these agents that they are deprecated; they are still in many apps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return made(name="root", **options)


def sequential(parts):
    return _quietly(SequentialAgent, sub_agents=[parts.agent("a1", "t1"), parts.agent("a2", "t2", "t3")])


def parallel(parts):
    return _quietly(ParallelAgent, sub_agents=[parts.agent(f"a{n}", f"t{n}") for n in (1, 2, 3)])


def loop(parts):
    def turn(request):
        if request.contents[-1].parts[-1].function_response:
            return [text("again")]
        answered = sum(1 for content in request.contents for part in content.parts if part.function_response)
        return [call(f"t{answered + 1}" if answered < 3 else "exit_loop")]

    agent = parts.agent("a1", "t1", "t2", "t3", turns=[turn])
    agent.tools.append(exit_loop)
    return _quietly(LoopAgent, sub_agents=[agent], max_iterations=5)


def transfer(parts):
    sub = parts.agent("sub", "t1", "t2", description="does the work")
    return parts.agent("root", turns=[[call("transfer_to_agent", agent_name="sub")], [text("never")]], sub_agents=[sub])


def agent_tool(parts):
    return parts.agent("root", AgentTool(agent=parts.agent("sub", "t1", "t2")), "t3")


def task(parts):
    turns = [[call("t1")], [call("t2")], [call("finish_task", result="all")]]
    sub = parts.agent("sub", "t1", "t2", turns=turns, mode="task", description="does the work")
    return parts.agent("root", turns=[[call("sub", request="go")], [text("done")]], sub_agents=[sub])


def graph(parts):
    n1, n2, n3, n4 = (parts.node(name) for name in ("n1", "n2", "n3", "n4"))
    return Workflow(name="root", edges=[("START", n1, (n2, n3), JoinNode(name="join"), n4)])


def silent_graph(parts):
    n1, n2, n3 = (parts.node(name, None) for name in ("n1", "n2", "n3"))
    return Workflow(name="root", edges=[("START", n1, n2, n3)])


def dynamic(parts):
    children = [parts.node(name) for name in ("d1", "d2", "d3")]

    @node(rerun_on_resume=True)
    async def parent(ctx, node_input):
        for child in children:
            await ctx.run_node(child, node_input)
        return "all"

    return Workflow(name="root", edges=[("START", parent)])

"""The same cycle as a graph of LangGraph, for whoever wants to stop before load is shed.

The nodes are the functions of ``ems.market.cycle.STAGES``, so the result is the same. In an
emergency the graph waits before the dispatch until a person approves. It costs about a hundred
times what plain calls do: for a person's decision that does not matter, for a year of auctions it
does. Needs requirements-learning.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypedDict

from ems.errors import InvalidSpec
from ems.extras import require
from ems.market.cycle import STAGES, CycleState, MarketCycle, MarketRun

Approve = Callable[[CycleState], bool]
"""Is asked before the dispatch of a suspended auction."""
BEFORE = "dispatch"


class Held(TypedDict):
    """What goes from node to node."""

    state: CycleState


def compiled_graph() -> Any:
    """The graph of one auction; its states are kept, so that it can wait."""
    require("langgraph", "requirements-learning.txt")
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(Held)
    names = [stage.__name__ for stage in STAGES]
    for stage in STAGES:
        graph.add_node(stage.__name__, _node(stage))
    graph.add_node("approval", _approval)
    graph.add_edge(START, names[0])
    for first, then in pairwise(names):
        if then == BEFORE:
            graph.add_conditional_edges(first, _next, ["approval", BEFORE])
        else:
            graph.add_edge(first, then)
    graph.add_edge("approval", BEFORE)
    graph.add_edge(names[-1], END)
    return graph.compile(checkpointer=InMemorySaver(serde=JsonPlusSerializer(pickle_fallback=True)))


def run_graph(cycle: MarketCycle, approve: Approve, hours: float | None = None) -> MarketRun:
    """As ``MarketCycle.run``, each suspended auction only if ``approve`` says so.

    Raises ``InvalidSpec`` where it does not: nothing is dispatched then.
    """
    from langgraph.types import Command

    graph, state = compiled_graph(), cycle.start()
    states = []
    for step in range(cycle.n_auctions(hours)):
        config = {"configurable": {"thread_id": str(step)}}
        found = graph.invoke({"state": state}, config)
        if "__interrupt__" in found:
            if not approve(found["state"]):
                raise InvalidSpec(f"auction {step}: the shedding was not approved; nothing is told")
            found = graph.invoke(Command(resume=True), config)
        state = found["state"]
        states.append(state)
    return cycle.ended(states)


def _node(stage: Callable[[CycleState], CycleState]) -> Callable[[Held], Held]:
    return lambda held: {"state": stage(held["state"])}


def _approval(held: Held) -> dict[str, object]:
    """Wait for a person."""
    from langgraph.types import interrupt

    interrupt({"auction": held["state"].step})
    return {}


def _next(held: Held) -> str:
    return "approval" if held["state"].watch.suspended else BEFORE

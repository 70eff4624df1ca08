"""Plan when a building should charge, run and trade, and show what that was worth.

What is listed here is public: ``from ems import BatteryAgent, GlobalOptimizer, Horizon``. A name
is loaded from its module when it is first used, so that ``import ems`` itself costs nothing.
Modules that are not named here may change without notice.

===========================  ==================================================================
time and solving
Horizon                      the steps of a plan with their prices and local hours
Solver                       which solver, how exact, how long
Plan                         what one agent does in every step
DispatchPlan                 what all agents of a bus do together, with its cost and its audit
agents
Agent                        what every device is: an immutable value that writes its own rules
BatteryAgent                 a stationary battery
EVAgent                      a car that is plugged in at times and must be full in time
three_phase                  a car that charges in fixed phases of power
PVAgent                      a PV field, curtailable or not
GridAgent                    the connection to the grid: limits, prices, demand charge
HomeAgent                    a group of agents behind one meter, an agent among neighbours
BaseLoadAgent                what nobody plans
FlexibleDeviceAgent          what the two kinds of devices below have in common
DiscretePhaseDevice          an appliance whose runs start at one time or another
HeatPumpAgent                a heat pump in a house that keeps heat and loses it
Cycle                        one run of an appliance: its profile, when it may start
WeatherAgent                 what a weather forecast says of sun and temperature
ProbabilityModelAgent        learns when people use an appliance, and predicts it
LearningRate                 how fast it learns
control
GlobalOptimizer              plans a day: decentralized, centralized, or again in phases
as_metered                   the baseline of what the meters recorded
by_rule                      the same devices under a rule that people run
money
Tariff                       what a kWh costs and earns, with its sources
load_tariff                  a tariff by name or from a TOML file
settle                       what a plan costs at the meter, and its other figures
savings                      what one day's figures save against another's
DayKpis                      those figures
a building and its data
Building                     a building's meters, tariff and assets, from which days are made
Assets                       what is planned besides the meters' own devices
EVSpec                       how its cars are planned
Place                        where it stands: sun and public holidays
get_con                      a read-only connection to the measurements
list_buildings               the buildings of a database
read_history                 the meters of a building
list_findings                what the quality rules found in its meters
portfolio                    what a database holds, building by building
build_database               write measurements into a database
twin_dataset                 the synthetic buildings
read_meter                   a meter of your own
pipelines
ComparisonSpec               days under every mode against both baselines: what is asked for
run_comparison               … and its stream of days
summarise                    … and what they come to
IntegratedSpec               learned habits in the plans: what is asked for
SearchSpec                   how habits are learned best: what is asked for
search_device                … and the grid of learning rates for one device
use_histories                when the devices of a building were used
pipeline_run                 keep a run in MLflow
communities
Community                    homes that share: alone, together, by a rule, by prices
made_homes                   a street of homes made from measured ones
settle_community             what every home pays under a rule and a key
CommunitySpec                what a community is run with
run_community                days of a community, planned and settled piece by piece
community_result             its totals by home and by way
markets
OrderBook                    orders of many auctions, in whole kW and ticks of price
UniformPrice                 one price for all, and where it lies among those that clear
clear                        which orders are accepted, and at which price
read_scenario                who meets in a market, by name or from a TOML file
MarketCycle                  auctions in a row: bid, clear, dispatch, watch the grid
honest_bidders               the bidders of a scenario, each honest
Plant                        a plant that bids, at cost or what it asks
settle_market                who paid whom, what it cost, how the grid fared
errors
EmsError                     everything this package raises on purpose
InvalidSpec                  a value someone gave is outside what is allowed
DataError                    measurements or a database cannot be used
SolveError                   no proven optimum
Infeasible                   no plan exists; names the broken rules
TrackingError                the experiment store cannot be used
===========================  ==================================================================
"""

from importlib import import_module

__version__ = "0.2.0"

_NAMES_OF = {
    "ems.agents": (
        *("Agent", "BatteryAgent", "EVAgent", "three_phase", "PVAgent", "GridAgent", "HomeAgent"),
        *("BaseLoadAgent", "FlexibleDeviceAgent", "DiscretePhaseDevice", "HeatPumpAgent"),
        "Cycle",
    ),
    "ems.agents.dispatch_plan": ("DispatchPlan",),
    "ems.community.account": ("settle_community",),
    "ems.community.community": ("Community",),
    "ems.community.sampling": ("made_homes",),
    "ems.control.baselines": ("as_metered", "by_rule"),
    "ems.control.optimizer": ("GlobalOptimizer",),
    "ems.core.horizon": ("Horizon",),
    "ems.core.participant": ("Plan",),
    "ems.core.solver": ("Solver",),
    "ems.economics.settlement": ("DayKpis", "savings", "settle"),
    "ems.economics.tariff": ("Tariff",),
    "ems.economics.tariff_file": ("load_tariff",),
    "ems.errors": (
        *("EmsError", "InvalidSpec", "DataError", "SolveError", "Infeasible", "TrackingError"),
    ),
    "ems.forecast.weather": ("WeatherAgent",),
    "ems.market.account": ("settle_market",),
    "ems.market.bidders": ("Plant", "honest_bidders"),
    "ems.market.clearing": ("UniformPrice", "clear"),
    "ems.market.cycle": ("MarketCycle",),
    "ems.market.orders": ("OrderBook",),
    "ems.market.scenario": ("read_scenario",),
    "ems.learning.probability_model": ("ProbabilityModelAgent",),
    "ems.learning.rate": ("LearningRate",),
    "ems.learning.usage": ("use_histories",),
    "ems.pipelines.community": ("CommunitySpec", "run_community"),
    "ems.pipelines.community_totals": ("community_result",),
    "ems.pipelines.comparison": ("summarise",),
    "ems.pipelines.parallel": ("run_comparison",),
    "ems.pipelines.probability": ("search_device",),
    "ems.pipelines.spec": ("ComparisonSpec", "IntegratedSpec", "SearchSpec"),
    "ems.site.assets": ("Assets",),
    "ems.agents.ev": ("EVSpec",),
    "ems.site.building": ("Building",),
    "ems.site.place": ("Place",),
    "ems.store.build": ("build_database",),
    "ems.store.connection": ("get_con",),
    "ems.store.ingest.meter": ("read_meter",),
    "ems.store.ingest.twin": ("twin_dataset",),
    "ems.store.read": ("list_buildings", "list_findings", "portfolio", "read_history"),
    "ems.tracking": ("pipeline_run",),
}
_HOME = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604 - the names above


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module 'ems' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    # Cached: __getattr__ runs only for names that are not found.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

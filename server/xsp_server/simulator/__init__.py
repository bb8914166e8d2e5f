"""A simulated bidder: real OpenRTB answers, as slow, as failing and as random as it is told.

    model       how it decides: a pure function of settings, seed and request
    http, grpc  servers that answer out of a model; over HTTP it can also break in many ways
    transport   the same inside the exchange's process, as the transport "simulated"
    endpoints   one bidder over both servers, for the command line

No other room knows it: to the exchange it is a bidder like any other.
"""

from xsp_server.simulator.distributions import Distribution, Fixed, LogNormal, Uniform
from xsp_server.simulator.endpoints import Endpoints, running, serve
from xsp_server.simulator.grpc import GrpcSimulator
from xsp_server.simulator.http import HttpSimulator
from xsp_server.simulator.model import BidderModel, Plan
from xsp_server.simulator.settings import BidderSettings, Fault, FaultSettings
from xsp_server.simulator.transport import SimulatedSettings, SimulatedTransport

__all__ = [
    "BidderModel",
    "BidderSettings",
    "Distribution",
    "Endpoints",
    "Fault",
    "FaultSettings",
    "Fixed",
    "GrpcSimulator",
    "HttpSimulator",
    "LogNormal",
    "Plan",
    "SimulatedSettings",
    "SimulatedTransport",
    "Uniform",
    "running",
    "serve",
]

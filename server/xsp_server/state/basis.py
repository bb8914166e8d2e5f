"""What a decision rests on, and what to decide while the store is away."""

from functools import cache

from xsp.state.v1.guarantee_pb2 import DecisionBasis, DecisionSource, Durability, FailPolicy
from xsp_server.state.backend import StateBackend, StoreAway


def stored(backend: StateBackend, *, wrote: bool) -> DecisionBasis:
    """The store decided; whether something was written. To be copied, not to be changed."""
    return _stored(backend.scheme, durable=backend.durable, wrote=wrote)


@cache
def _stored(scheme: str, *, durable: bool, wrote: bool) -> DecisionBasis:
    durability = Durability.DURABILITY_UNSPECIFIED
    if wrote and durable:
        durability = Durability.DURABILITY_DISK
    elif wrote and scheme == "memory":
        durability = Durability.DURABILITY_PROCESS
    elif wrote:
        durability = Durability.DURABILITY_STORE_MEMORY
    return DecisionBasis(
        source=DecisionSource.DECISION_SOURCE_STORE, durability=durability, backend=scheme
    )


def away(backend: StateBackend, failure: StoreAway, *, open_: bool) -> DecisionBasis:
    """The store was away; whether it was let pass."""
    source = (
        DecisionSource.DECISION_SOURCE_FAIL_OPEN
        if open_
        else DecisionSource.DECISION_SOURCE_FAIL_CLOSED
    )
    return DecisionBasis(source=source, backend=backend.scheme, failure=str(failure))


def is_open(policy: "FailPolicy.ValueType", default: "FailPolicy.ValueType") -> bool:
    """Whether a policy lets pass; `default` stands for an unspecified one."""
    return (policy or default) == FailPolicy.FAIL_POLICY_FAIL_OPEN

"""Prices of scarce things, from the packing problem in which ads may be packed in part."""

from collections.abc import Sequence

from xsp_server.auction.packing.problem import Problem

_ZERO = 1e-9
_MOST_STEPS = 400

Rows = list[list[float]]


def find_prices(
    problem: Problem, left: Sequence[int], worths: Sequence[Sequence[int]]
) -> list[list[float]]:
    """What one more of each stock would be worth if ads could be packed in part.

    The simplex method, from the empty packing. Its numbers are floats: prices that are a little off
    give a bound that is a little off, not a wrong one (see `goal`).

    Args:
        problem: what is packed.
        left: how much there is of each stock.
        worths: by ad, what packings are to have the most of; the first counts before the next.

    Returns:
        By worth, then by stock, the price.
    """
    count = len(problem.ads)
    rows = [[0.0] * count + [float(n)] for n in left]
    for index, claims in enumerate(problem.claims):
        for thing, amount in claims:
            rows[thing][index] = float(amount)
    scales = [max(1, *worth) for worth in worths]
    goals = [
        [*(n / scale for n in worth), 0.0] for worth, scale in zip(worths, scales, strict=True)
    ]
    # The free variables: an ad's share, or what is left of stock n as -1 - n.
    free, basic = list(range(count)), [-1 - thing for thing in range(len(rows))]
    for _ in range(_MOST_STEPS):
        column = _entering(goals)
        if column is None:
            break
        place = _leaving(rows, column)
        _pivot(rows, goals, place, column)
        free[column], basic[place] = basic[place], free[column]
    prices = [[0.0] * len(rows) for _ in goals]
    for column, name in enumerate(free):
        if name < 0:
            for price, goal, scale in zip(prices, goals, scales, strict=True):
                price[-1 - name] = -goal[column] * scale
    return prices


def _entering(goals: Rows) -> int | None:
    """The column that adds the most to the first goal that can still grow; None: none can."""
    first = goals[0][:-1]
    most = max(first, default=0.0)
    if most > _ZERO:
        return first.index(most)
    for level in range(1, len(goals)):
        goal, above = goals[level], goals[:level]
        open_columns = [
            column
            for column in range(len(first))
            if goal[column] > _ZERO and all(abs(other[column]) < _ZERO for other in above)
        ]
        if open_columns:
            return max(open_columns, key=goal.__getitem__)
    return None


def _leaving(rows: Rows, column: int) -> int:
    """The row that limits the column the most: each ad is in one at least."""
    ratios = (
        (row[-1] / row[column], place) for place, row in enumerate(rows) if row[column] > _ZERO
    )
    return min(ratios)[1]


def _pivot(rows: Rows, goals: Rows, place: int, column: int) -> None:
    """Changes the variable of a column for that of a row."""
    top = rows[place]
    pivot, top[column] = top[column], 1.0
    amounts = [(n, amount / pivot) for n, amount in enumerate(top) if amount]
    for row in (*rows, *goals):
        factor = row[column]
        if factor and row is not top:
            row[column] = 0.0
            for n, amount in amounts:
                row[n] -= factor * amount
    for n, amount in amounts:
        top[n] = amount

"""Small changes of a module's source, each of which should make a test fail.

A change is one of:

    compare     `<` to `<=` or `>=`, `==` to `!=`, `in` to `not in`, and their likes
    connective  `and` to `or`; one operand dropped
    condition   an `if`, a conditional expression or a comprehension's `if` always or never true
    operator    `+` to `-`, `*` to `/`, `|` to `&`; `not` or `-` dropped
    constant    a number and one more, `True` to `False`, data text and other text
    call        `min` to `max`, `any` to `all`; a method that folds text, or a keyword, dropped
    element     one element of a tuple, list, set or dict dropped
    return      what is returned or what a lambda comes to is None
    statement   a call, an assignment to a part, `del` or `raise` dropped; `break` to `continue`

What only people read stays as it is: docstrings, annotations, decorators, the text of messages,
evidence and whatever is worked out for evidence alone. So do asserts, which say what the checks
before them have made true.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

LONGEST_TEXT = 110
"""Characters of the source around a change that tell it apart from others."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node hangs: a field of its parent, or one place of a field that is a list."""

    parent: ast.AST
    name: str
    index: int | None = None

    def put(self, node: ast.AST) -> None:
        """Hangs another node there."""
        if self.index is None:
            setattr(self.parent, self.name, node)
        else:
            getattr(self.parent, self.name)[self.index] = node


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module.

    Attributes:
        module: its name, as `xsp_server.auction.checks`.
        line: where in the module.
        function: in which function or class; empty: in none.
        kind: what kind of change it is.
        before: the source that it changes, with some of what is around it.
        after: the same, changed.
    """

    module: str
    line: int
    function: str
    kind: str
    before: str
    after: str
    _tree: ast.Module = field(repr=False, compare=False)
    _place: Place = field(repr=False, compare=False)
    _old: ast.AST = field(repr=False, compare=False)
    _new: ast.AST = field(repr=False, compare=False)

    def compile(self, filename: str) -> CodeType:
        """The changed module as code."""
        self._place.put(self._new)
        try:
            return compile(self._tree, filename, "exec", dont_inherit=True)
        finally:
            self._place.put(self._old)


def find_mutants(module: str, source: str) -> list[Mutant]:
    """Every change of a module, in the order of its source.

    Args:
        module: its name.
        source: its text.
    """
    tree = ast.parse(source)
    return [
        mutant
        for site in _sites(tree, _Site(Place(tree, "body"), tree, ()))
        for mutant in _mutants_at(module, tree, site)
    ]


@dataclass(frozen=True, slots=True)
class _Site:
    """A node, where it hangs, and what is around it, the outermost first.

    Nodes whose ids are in `shown` say what only evidence shows.
    """

    place: Place
    node: ast.AST
    around: tuple["_Site", ...]
    shown: frozenset[int] = frozenset()


def _sites(node: ast.AST, site: _Site) -> Iterator[_Site]:
    around = (*site.around, site)
    shown = _shown(node) if isinstance(node, ast.FunctionDef) else frozenset[int]()
    for name, value in ast.iter_fields(node):
        if name in _LEFT_ALONE:
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_for_people(child, node, name):
                continue
            place = Place(node, name, index if isinstance(value, list) else None)
            inner = _Site(place, child, around, site.shown | shown)
            if id(child) not in inner.shown:
                yield inner
                yield from _sites(child, inner)


_LEFT_ALONE = {"annotation", "returns", "decorator_list", "type_comment", "ctx", "bases"}
_TYPES = {
    *("tuple", "list", "dict", "set", "frozenset", "type"),
    *("Callable", "Collection", "Iterable", "Iterator", "Mapping", "Sequence"),
}


def _is_for_people(child: ast.AST, parent: ast.AST, name: str) -> bool:
    return _is_text_or_type(child) or (name != "func" and _takes_text_or_types(parent, name))


def _is_text_or_type(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.JoinedStr():
            return True
        case ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.BinOp(op=ast.BitOr()):
            names = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
            return bool(names & {"str", "int", "float", "list", "tuple", "Fraction", "BidRequest"})
    return False


def _takes_text_or_types(parent: ast.AST, name: str) -> bool:
    match parent:
        case ast.Raise():
            return True
        case ast.Subscript(value=ast.Name(id=id_)):
            return name == "slice" and id_ in _TYPES
        case ast.Call(func=ast.Name(id="Evidence" | "field" | "cast" | "TypeVar")):
            return True
        case ast.Call(func=ast.Attribute(attr="HasField" | "WhichOneof")):
            return True
    return False


def _shown(function: ast.FunctionDef) -> frozenset[int]:
    """Ids of the nodes of a function that say what goes into variables which only evidence reads.

    A variable is one of these if each place that reads it is within a call of `Evidence`, or within
    what goes into another one of these.
    """
    given = [each for node in ast.walk(function) for each in _assigned(node)]
    arguments = {argument.arg for argument in function.args.args}
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _makes(node)]
    shown = {id(part) for call in calls for part in ast.walk(call)}
    found = -1
    while found != len(shown):
        found = len(shown)
        read = {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            if id(node) not in shown
        }
        for names, value in given:
            if not names & (read | arguments):
                shown |= {id(part) for part in ast.walk(value)}
    return frozenset(shown - {id(call) for call in calls})


def _makes(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Evidence"


def _assigned(node: ast.AST) -> Iterator[tuple[set[str], ast.AST]]:
    """Variables that get a value together, and the value; of `a, b = c, d` each has its own."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            pairs = zip(targets, values, strict=True)
            yield from (({t.id}, value) for t, value in pairs if isinstance(t, ast.Name))
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
            if all(isinstance(target, ast.Name) for target in targets):
                yield {t.id for t in targets if isinstance(t, ast.Name)}, value
        case ast.Assign(targets=[ast.Name(id=name)]):
            yield {name}, node.value
        case ast.AugAssign(target=ast.Name(id=name)):
            yield {name}, node


def _mutants_at(module: str, tree: ast.Module, site: _Site) -> Iterator[Mutant]:
    for kind, new in _changes(site):
        ast.copy_location(new, site.node)
        ast.fix_missing_locations(new)
        outer = _told_by(site)
        before = _text(outer.node)
        site.place.put(new)
        after = _text(outer.node if outer is not site else new)
        site.place.put(site.node)
        line = _line(site)
        function = ".".join(
            each.node.name
            for each in site.around
            if isinstance(each.node, ast.FunctionDef | ast.ClassDef)
        )
        if before != after:
            yield Mutant(
                module, line, function, kind, before, after, tree, site.place, site.node, new
            )


def _line(site: _Site) -> int:
    for each in (site, *reversed(site.around)):
        if isinstance(each.node, ast.expr | ast.stmt):
            return each.node.lineno
    return 1


def _told_by(site: _Site) -> _Site:
    """The greatest node around a change whose source is short; at most its statement."""
    told = site
    for outer in reversed(site.around):
        if isinstance(told.node, ast.stmt) or not isinstance(outer.node, ast.expr | ast.stmt):
            if isinstance(told.node, ast.stmt):
                break
            continue
        if isinstance(outer.node, _COMPOUND) or len(_text(outer.node)) > LONGEST_TEXT:
            break
        told = outer
    return told


_COMPOUND = (
    *(ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try),
    ast.AsyncFunctionDef,
)


def _text(node: ast.AST) -> str:
    match node:
        case ast.If(test=test):
            return f"if {_text(test)}:"
        case ast.While(test=test):
            return f"while {_text(test)}:"
    return " ".join(ast.unparse(node).split())


Change = tuple[str, ast.AST]
"""What kind it is, and what takes the node's place."""


def _changes(site: _Site) -> Iterator[Change]:
    for kind, changes in _CHANGES.items():
        if isinstance(site.node, kind):
            yield from changes(site.node, site)


_OPPOSITES: dict[type[ast.cmpop], Sequence[type[ast.cmpop]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


def _of_compare(node: ast.Compare, _: _Site) -> Iterator[Change]:
    for place, op in enumerate(node.ops):
        for other in _OPPOSITES[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield "compare", ast.Compare(node.left, ops, node.comparators)


def _of_connective(node: ast.BoolOp, _: _Site) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "connective", ast.BoolOp(other, node.values)
    for place in range(len(node.values)):
        left = [*node.values[:place], *node.values[place + 1 :]]
        yield "connective", left[0] if len(left) == 1 else ast.BoolOp(node.op, left)


def _of_statement_condition(node: ast.If | ast.While, _: _Site) -> Iterator[Change]:
    if isinstance(node.test, ast.Constant):
        return
    never: list[ast.stmt] = node.orelse or [ast.Pass()]
    if isinstance(node, ast.If):
        yield "condition", ast.If(ast.Constant(value=True), node.body, node.orelse)
    yield "condition", ast.If(ast.Constant(value=False), [ast.Pass()], never)


def _of_conditional(node: ast.IfExp, _: _Site) -> Iterator[Change]:
    yield "condition", node.body
    yield "condition", node.orelse


def _of_comprehension(node: ast.comprehension, _: _Site) -> Iterator[Change]:
    for place in range(len(node.ifs)):
        left = [*node.ifs[:place], *node.ifs[place + 1 :]]
        yield "condition", ast.comprehension(node.target, node.iter, left, node.is_async)


_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def _of_operator(node: ast.BinOp, _: _Site) -> Iterator[Change]:
    other = _OPERATORS.get(type(node.op))
    if other is not None:
        yield "operator", ast.BinOp(node.left, other(), node.right)


def _of_sign(node: ast.UnaryOp, _: _Site) -> Iterator[Change]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield "operator", node.operand


def _of_constant(node: ast.Constant, _: _Site) -> Iterator[Change]:
    match node.value:
        case bool():
            yield "constant", ast.Constant(not node.value)
        case int() | float():
            yield "constant", ast.Constant(node.value + 1)
        case str():
            yield "constant", ast.Constant(f"{node.value}*")


_OTHER_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_OTHER_METHODS = {
    "partition": "rpartition",
    "rpartition": "partition",
    "startswith": "endswith",
    "endswith": "startswith",
    "find": "rfind",
    "isdisjoint": "issubset",
    "issubset": "issuperset",
    "issuperset": "issubset",
    "union": "intersection",
    "intersection": "union",
    "append": "count",
    "add": "discard",
}
_FOLDING = {"lower", "upper", "strip", "lstrip", "rstrip"}


def _of_call(node: ast.Call, _: _Site) -> Iterator[Change]:
    match node.func:
        case ast.Name(id=name) if name in _OTHER_FUNCTIONS:
            other = _OTHER_FUNCTIONS[name]
            keywords = [] if other == "list" else node.keywords
            yield "call", ast.Call(ast.Name(other, ast.Load()), node.args, keywords)
        case ast.Attribute(value=value, attr=name) if name in _FOLDING:
            yield "call", value
        case ast.Attribute(value=value, attr=name) if name in _OTHER_METHODS:
            method = ast.Attribute(value, _OTHER_METHODS[name], ast.Load())
            yield "call", ast.Call(method, node.args, node.keywords)
    for place in range(len(node.keywords)):
        left = [*node.keywords[:place], *node.keywords[place + 1 :]]
        yield "call", ast.Call(node.func, node.args, left)


def _of_elements(node: ast.Tuple | ast.List | ast.Set, site: _Site) -> Iterator[Change]:
    if isinstance(getattr(node, "ctx", None), ast.Store) or len(node.elts) < 2:
        return
    if _is_unpacked(site):
        return
    for place in range(len(node.elts)):
        left = [*node.elts[:place], *node.elts[place + 1 :]]
        yield "element", ast.Set(left) if isinstance(node, ast.Set) else type(node)(left, node.ctx)


def _is_unpacked(site: _Site) -> bool:
    """Whether a tuple only stands for several assignments in one line."""
    match site.place.parent:
        case ast.Assign(targets=[ast.Tuple()]):
            return True
    return False


def _of_dict(node: ast.Dict, _: _Site) -> Iterator[Change]:
    for place in range(len(node.keys)):
        keys = [*node.keys[:place], *node.keys[place + 1 :]]
        values = [*node.values[:place], *node.values[place + 1 :]]
        yield "element", ast.Dict(keys, values)


def _of_lambda(node: ast.Lambda, _: _Site) -> Iterator[Change]:
    yield "return", ast.Lambda(node.args, ast.Constant(None))


def _of_statement(node: ast.stmt, _: _Site) -> Iterator[Change]:
    match node:
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Delete() | ast.Raise():
            yield "statement", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield "statement", ast.Pass()
        case ast.Break():
            yield "statement", ast.Continue()
        case ast.Continue():
            yield "statement", ast.Break()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


_CHANGES: dict[type[ast.AST] | tuple[type[ast.AST], ...], Callable[[Any, _Site], Iterator[Change]]]
_CHANGES = {
    ast.Compare: _of_compare,
    ast.BoolOp: _of_connective,
    (ast.If, ast.While): _of_statement_condition,
    ast.IfExp: _of_conditional,
    ast.comprehension: _of_comprehension,
    ast.BinOp: _of_operator,
    ast.UnaryOp: _of_sign,
    ast.Constant: _of_constant,
    ast.Call: _of_call,
    (ast.Tuple, ast.List, ast.Set): _of_elements,
    ast.Dict: _of_dict,
    ast.Lambda: _of_lambda,
    ast.stmt: _of_statement,
}
"""What is done to which nodes."""
